"""A list of transforms, made from plain data and split between worker and device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place
from cnntrain.data import TRANSFORMS
from cnntrain.data.mixing import Mixing
from cnntrain.data.transform_parts import unit
from cnntrain.data.windows import (
    HeightWidth,
    Sizing,
    Windows,
    cut_picture,
)


@runtime_checkable
class Transform(Protocol):
    """What every transform does."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` uint8 or float, to the same; random numbers only from `generator`."""
        ...

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """(height, width) of the result; ValueError when impossible."""
        ...


class TransformError(ValueError):
    """A transform cannot do its work where it stands.

    Args:
        position: of the transform in its list, counted from 0.
        name: of the transform.
        reason: why.
    """

    def __init__(self, position: int, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.position = position
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class Step:
    """One transform in its place."""

    position: int
    name: str
    transform: Transform
    is_random: bool
    is_by_image: bool = False


@dataclass(frozen=True)
class Pipeline:
    """Transforms in order; the result is float32 (pixels from 0 to 1 where nothing normalises).

    Args:
        steps: what is done to the images, each on its own.
        mixings: what is done to a whole batch and its targets afterwards, by a `MixedLoader`.
    """

    steps: tuple[Step, ...]
    mixings: tuple[Mixing, ...] = ()

    @property
    def is_random(self) -> bool:
        """Whether any of the steps draws random numbers."""
        return any(step.is_random for step in self.steps)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a batch `(N, C, H, W)`; the generator is on the images' device."""
        return unit(self.applied(images, generator))

    def applied(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The same, but 8-bit pixels stay such where no step makes numbers of them."""
        for step in self.steps:
            try:
                images = step.transform(images, generator)
            except ValueError as error:
                raise TransformError(step.position, step.name, str(error)) from error
        return images

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """What images of `size` (height, width) become.

        Raises:
            TransformError: a transform is impossible.
        """
        for step in self.steps:
            try:
                size = step.transform.output_size(size)
            except ValueError as error:
                raise TransformError(step.position, step.name, str(error)) from error
        return size

    def divide(self, *, random_in_worker: bool) -> tuple[Pipeline, Pipeline]:
        """The leading sizing transforms, done by Pillow image by image, and the rest, batched.

        Args:
            random_in_worker: whether random ones count; if not, the first part is the same in
                every epoch, so that its result can be kept.
        """
        count = 0
        for step in self.steps:
            if not isinstance(step.transform, Sizing) or (step.is_random and not random_in_worker):
                break
            count += 1
        return Pipeline(self.steps[:count]), Pipeline(self.steps[count:])

    def fixed_windows(self, size: HeightWidth) -> list[Windows]:
        """The window of each sizing transform, in order, for images of one size."""
        found = []
        for number, step in enumerate(self.steps):
            found.append(self.windows(number, size, None))
            size = step.transform.output_size(size)
        return found

    def picture(self, picture: Image.Image, generator: torch.Generator | None) -> Image.Image:
        """Apply sizing transforms to one Pillow image."""
        for number in range(len(self.steps)):
            windows = self.windows(number, (picture.height, picture.width), generator)
            picture = cut_picture(picture, windows)
        return picture

    def windows(self, number: int, size: HeightWidth, generator: torch.Generator | None) -> Windows:
        """The window of one sizing transform, for an image of a size."""
        step = self.steps[number]
        assert isinstance(step.transform, Sizing)
        try:
            return step.transform.windows(size, count=1, generator=generator)
        except ValueError as error:
            raise TransformError(step.position, step.name, str(error)) from error


def build_pipeline(items: Sequence[Mapping[str, Any]]) -> Pipeline:
    """The transforms that plain data describe: `{"name": "normalize", "mean": [...], ...}`.

    Raises:
        ConfigError: there is no such transform, or its parameters are wrong.
        TransformError: a transform refuses its parameters or its place.
    """
    steps: list[Step] = []
    mixings: list[Mixing] = []
    for position, item in enumerate(items):
        name = str(item["name"])
        options = TRANSFORMS.entry(name).options
        made = _made(position, item)
        if isinstance(made, Mixing):
            mixings.append(made)
            _refuse_certainty(position, name, mixings)
        else:
            _refuse_place(position, name, steps, mixings)
            is_random, is_by_image = (bool(options.get(key)) for key in ("random", "by_image"))
            steps.append(Step(position, name, made, is_random, is_by_image))
    return Pipeline(tuple(steps), tuple(mixings))


def _made(position: int, item: Mapping[str, Any]) -> Transform | Mixing:
    name = str(item["name"])
    entry = TRANSFORMS.entry(name)
    checked, complaints = entry.check({key: item[key] for key in item if key != "name"})
    if complaints:
        raise ConfigError(complaints[0].message, remedy=complaints[0].remedy)
    try:
        made = TRANSFORMS.load(name)(**checked)
    except ValueError as error:
        raise TransformError(position, name, str(error)) from error
    mixes = bool(entry.options.get("mixes"))
    if isinstance(made, Mixing if mixes else Transform):
        return made
    call = (
        "mix(images, shares, random)"
        if mixes
        else "__call__(images, generator) and output_size(size)"
    )
    message = f"the transform '{name}' is a {type(made).__name__} that cannot be applied"
    remedy = f"make it a class with {call}"
    raise ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))


def _refuse_place(
    position: int, name: str, steps: Sequence[Step], mixings: Sequence[Mixing]
) -> None:
    earlier = [step.name for step in steps]
    reason = ""
    if TRANSFORMS.entry(name).options.get("before_normalize") and "normalize" in earlier:
        reason = "works on pixels from 0 to 1, so it must stand before normalize"
    elif name == "normalize" and "normalize" in earlier:
        reason = "stands twice in one list"
    elif mixings:
        reason = "works on single images, so it must stand before what mixes them; change the order"
    if reason:
        raise TransformError(position, name, reason)


def _refuse_certainty(position: int, name: str, mixings: Sequence[Mixing]) -> None:
    """A batch is mixed in one way at the most, so the ways must leave room for each other."""
    total = sum(mixing.probability for mixing in mixings)
    if total > 1:
        reason = (
            f"a batch is mixed once at the most, but the probabilities add up to {total:g}; give "
            f"each mixing its share, such as `{name}: {{probability: 0.5}}`"
        )
        raise TransformError(position, name, reason)


def build_eval_pipeline(items: Sequence[Mapping[str, Any]]) -> Pipeline:
    """As `build_pipeline`, and what evaluation forbids is an error.

    Evaluation must give the same numbers each time, and for one image the same as for a batch, so
    nothing is random, and sizes are changed first (by Pillow, image by image).
    """
    pipeline = build_pipeline(items)
    reason = "is random; evaluation must give the same result each time"
    if pipeline.mixings:
        position = len(pipeline.steps)
        raise TransformError(position, str(items[position]["name"]), reason)
    head, tail = pipeline.divide(random_in_worker=False)
    for step in tail.steps:
        if step.is_random:
            raise TransformError(step.position, step.name, reason)
        if isinstance(step.transform, Sizing):
            raise TransformError(step.position, step.name, "must stand first in this list")
    assert not head.is_random
    return pipeline


def planned_size(
    size: HeightWidth | None, items: Sequence[tuple[str, Mapping[str, Any]]]
) -> HeightWidth:
    """The size that the network sees.

    Args:
        size: of the stored images; None when they differ or are not known.
        items: names and parameters of the transforms.

    Raises:
        TransformError: a transform is impossible.
        ValueError: the images would not all get one size.
    """
    pipeline = build_pipeline([{"name": name, **parameters} for name, parameters in items])
    if size is not None:
        return pipeline.output_size(size)
    # Two large shapes stand for all: a list that gives both one size gives it to every image.
    found = {pipeline.output_size(shape) for shape in ((4096, 4096), (4096, 6144))}
    if len(found) > 1:
        raise ValueError(
            "the images may differ in size, and the transforms do not bring them to one; "
            "add `resize: {size: [height, width]}`, or a crop"
        )
    return found.pop()
