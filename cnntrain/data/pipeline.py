"""A list of transforms, made from plain data and split between worker and device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place
from cnntrain.data import TRANSFORMS
from cnntrain.data.global_draws import drawing_from
from cnntrain.data.mixing import Mixing
from cnntrain.data.on_device import begin_step
from cnntrain.data.share import Rows
from cnntrain.data.transform_errors import TransformError, in_place
from cnntrain.data.transform_parts import Showing, unit
from cnntrain.data.windows import HeightWidth, Picture, Sizing, Windows, cut_one, size_of


@runtime_checkable
class Transform(Protocol):
    """What every transform does."""

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` uint8 or float, to the same; random numbers only from `generator`."""
        ...

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """(height, width) of the result; ValueError when impossible."""
        ...


class ReadsShown(Protocol):
    """What a transform does, too, whose `reads_shown` is true; see `Showing`."""

    def shown(self, images: Tensor, shown: Showing) -> Tensor:
        """`(N, C, H, W)` to the same, by which images they are."""
        ...


@dataclass(frozen=True)
class Step:
    """One transform in its place; `is_foreign` if it is of a plugin."""

    position: int
    name: str
    transform: Transform
    is_random: bool
    is_by_image: bool = False
    is_foreign: bool = False

    @property
    def reads_shown(self) -> bool:
        """Whether it asks which images they are; see `Showing`."""
        return bool(getattr(self.transform, "reads_shown", False))


@dataclass(frozen=True)
class Pipeline:
    """Transforms in order; the result is float32 (pixels from 0 to 1 where nothing normalises).

    Args:
        steps: what is done to the images, each on its own.
        mixings: what is done to a whole batch and its targets afterwards, by a `MixedLoader`.
        targets: `stored`: those that the data have. `images`: the result is also the target.
            `pairs`: it is the input with its target, `(N, 2 C, H, W)`; see `image_targets`.
    """

    steps: tuple[Step, ...]
    mixings: tuple[Mixing, ...] = ()
    targets: Literal["stored", "images", "pairs"] = "stored"

    @property
    def is_random(self) -> bool:
        """Whether any of the steps draws random numbers."""
        return any(step.is_random for step in self.steps)

    def drawing(self, seed: int) -> AbstractContextManager[None]:
        """Within, what steps of a plugin draw from the process's generators follows from a seed."""
        foreign = any(step.is_foreign for step in self.steps)
        return drawing_from(seed) if foreign else nullcontext()

    @property
    def reads_shown(self) -> bool:
        """Whether any of the steps does."""
        return any(step.reads_shown for step in self.steps)

    def __call__(
        self,
        images: Tensor,
        generator: torch.Generator,
        rows: Rows = None,
        shown: Showing | None = None,
    ) -> Tensor:
        """Transform a batch `(N, C, H, W)`, or rows of it; the generator is on their device."""
        return unit(self.applied(images, generator, rows, shown))

    def applied(
        self,
        images: Tensor,
        generator: torch.Generator,
        rows: Rows = None,
        shown: Showing | None = None,
    ) -> Tensor:
        """The same, but 8-bit pixels stay such where no step makes numbers of them."""
        for step in self.steps:
            if step.is_random:
                begin_step(generator, step.position)
            with in_place(step.position, step.name):
                if shown is not None and step.reads_shown:
                    images = cast(ReadsShown, step.transform).shown(images, shown)
                elif rows is not None and (step.is_random or step.is_foreign):
                    images = rows.apply(step.transform, images, generator)
                else:
                    images = step.transform(images, generator)
        return images

    def output_size(self, size: HeightWidth) -> HeightWidth:
        """What images of `size` (height, width) become.

        Raises:
            TransformError: a transform is impossible.
        """
        for step in self.steps:
            with in_place(step.position, step.name):
                size = step.transform.output_size(size)
        return size

    def fixed_size(self) -> HeightWidth | None:
        """What images of any size become; None where that depends on theirs.

        Two large shapes stand for all: a list that gives both one size gives it to every image.

        Raises:
            TransformError: a transform is impossible.
        """
        first, second = (self.output_size(shape) for shape in ((4096, 4096), (4096, 6144)))
        return first if first == second else None

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
        found: list[Windows] = []
        for number in range(len(self.steps)):
            found.append(self.windows(number, found[-1].size if found else size, None))
        return found

    def picture(self, picture: Picture, generator: torch.Generator | None) -> Picture:
        """Apply sizing transforms to one image."""
        for number in range(len(self.steps)):
            picture = cut_one(picture, self.windows(number, size_of(picture), generator))
        return picture

    def windows(self, number: int, size: HeightWidth, generator: torch.Generator | None) -> Windows:
        """The window of one sizing transform, for an image of a size."""
        step = self.steps[number]
        sizing = cast(Sizing, step.transform)  # `divide` has asked, which takes as long as drawing
        with in_place(step.position, step.name):
            return sizing.windows(size, count=1, generator=generator)


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
        with in_place(position, name):
            made = _made(name, {key: item[key] for key in item if key != "name"})
            _refuse_place(name, made, steps, mixings)
        if isinstance(made, Mixing):
            mixings.append(made)
        else:
            options = TRANSFORMS.entry(name).options
            is_random, is_by_image = (bool(options.get(key)) for key in ("random", "by_image"))
            is_foreign = not type(made).__module__.startswith("cnntrain.data.")
            steps.append(Step(position, name, made, is_random, is_by_image, is_foreign))
    return Pipeline(tuple(steps), tuple(mixings))


def _made(name: str, parameters: Mapping[str, Any]) -> Transform | Mixing:
    entry = TRANSFORMS.entry(name)
    checked, complaints = entry.check(parameters)
    if complaints:
        raise ConfigError(complaints[0].message, remedy=complaints[0].remedy)
    made = TRANSFORMS.load(name)(**checked)
    mixes = bool(entry.options.get("mixes"))
    if isinstance(made, Mixing if mixes else Transform):
        return made
    separate = "__call__(images, generator) and output_size(size)"
    call = "mix(images, shares, random)" if mixes else separate
    message = f"the transform '{name}' is a {type(made).__name__} that cannot be applied"
    remedy = f"make it a class with {call}"
    raise ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))


def _refuse_place(
    name: str, made: Transform | Mixing, steps: Sequence[Step], mixings: Sequence[Mixing]
) -> None:
    """Raise a ValueError if a transform cannot stand after others."""
    if isinstance(made, Mixing):
        # a batch is mixed in one way at the most, so the ways must leave room for each other
        total = sum(mixing.probability for mixing in (*mixings, made))
        if total > 1:
            raise ValueError(
                f"a batch is mixed once at the most, but the probabilities add up to {total:g}; "
                f"give each mixing its share, such as `{name}: {{probability: 0.5}}`"
            )
        return
    options = TRANSFORMS.entry(name).options
    scaling = [s.name for s in steps if TRANSFORMS.entry(s.name).options.get("scales")]
    if scaling and (reason := misplaced(name, options, scaling[0])):
        raise ValueError(reason)
    if mixings:
        raise ValueError(
            "works on single images, so it must stand before what mixes them; change the order"
        )


def misplaced(name: str, options: Mapping[str, Any], after: str) -> str:
    """Why a transform cannot stand after one that scales, `normalize` or `zca`; empty if it can."""
    if options.get("before_normalize"):
        return f"works on pixels from 0 to 1, so it must stand before {after}"
    if name == after:
        return "stands twice in one list"
    if options.get("scales"):
        return f"scales pixels, as '{after}' has done: remove one of the two"
    if after == "zca" and not options.get("corrupts"):
        return "moves pixels, each of which was whitened for its place: it must stand before zca"
    return ""


def build_eval_pipeline(items: Sequence[Mapping[str, Any]], *, corrupts: bool = False) -> Pipeline:
    """As `build_pipeline`, and what evaluation forbids is an error.

    Evaluation must give the same numbers each time, and for one image the same as for a batch, so
    nothing is random, and sizes are changed first (by Pillow, image by image). With `corrupts` a
    random transform that says so is allowed: `image_targets` draws it by the image's position.
    """
    pipeline = build_pipeline(items)
    reason = "is random; evaluation must give the same result each time"
    if pipeline.mixings:
        position = len(pipeline.steps)
        raise TransformError(position, str(items[position]["name"]), reason)
    _, tail = pipeline.divide(random_in_worker=False)
    for step in tail.steps:
        is_fixed = corrupts and TRANSFORMS.entry(step.name).options.get("corrupts")
        if step.is_random and not is_fixed:
            raise TransformError(step.position, step.name, reason)
        if isinstance(step.transform, Sizing):
            raise TransformError(step.position, step.name, "must stand first in this list")
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
    found = pipeline.fixed_size() if size is None else pipeline.output_size(size)
    if found is None:
        raise ValueError(
            "the images may differ in size, and the transforms do not bring them to one; "
            "add `resize: {size: [height, width]}`, or a crop"
        )
    return found
