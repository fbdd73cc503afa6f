"""The kinds of an ONNX file: what is inside, and in which precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from cnntrain.assemble.transfer.about import (
    FilePrecision,
    Included,
    describe,
    has_any_size,
    undescribed,
)
from cnntrain.core.errors import UsageError
from cnntrain.export.fewer_bits import CALIBRATION, to_float16, to_int8
from cnntrain.export.inside import with_preprocessing, with_probabilities
from cnntrain.export.onnx import Forward
from cnntrain.export.reference import Reference, make_raw_reference
from cnntrain.export.rescored import Rescored, rescore
from cnntrain.model.images import SplitImages, every_split, find_images
from cnntrain.model.model import Model
from cnntrain.tasks.answers import gives_probabilities

_TOLERANCES = {"float16": 0.05, "int8": torch.inf}
"""Of logits on made images; int8 is judged on those of the data."""

_REMEDY = "use --precision float32; float16 has no numbers above 65504"


@dataclass(frozen=True)
class OnnxVariant:
    """How an ONNX file is to be.

    Args:
        model: whose network it is.
        steps: the preprocessing; see `cnntrain.assemble.transfer.about.explicit_steps`.
        include: what the file does itself, around the network.
        precision: of weights and sums.
        scored: the images that fewer bits are judged on; None for float32.
        calibration: those that the ranges of int8 are taken from.
    """

    model: Model
    steps: Sequence[Mapping[str, Any]]
    include: Sequence[Included]
    precision: FilePrecision
    scored: SplitImages | None = None
    calibration: SplitImages | None = None

    @property
    def output(self) -> str:
        """The name of what the network gives."""
        return self.model.loaded.config.task.output

    def about(self) -> dict[str, Any]:
        """What the file says of itself; so do those of other formats."""
        about = getattr(self.model.task, "about", None)
        return describe(
            name=self.model.loaded.config.name,
            epoch=self.model.epoch,
            targets=self.model.named,
            in_shape=self.model.in_shape,
            out_shape=self.model.plan.body.out_shape,
            preprocessing=self.steps,
            temperature=self.model.temperature,
            bits=self.model.bits,
            include=self.include,
            precision=self.precision,
            output=self.output,
            answers=about(self.model.classes) if about is not None else None,
        )

    def finish(self, net: Any) -> Any:
        """The file's ONNX model of the network's."""
        if self.precision == "float16":
            net = to_float16(net)
        if self.calibration is not None:
            net = to_int8(net, self.calibration)
        if "preprocessing" in self.include:
            any_size, shape = has_any_size(self.steps), self.model.in_shape
            net = with_preprocessing(net, self.steps, in_shape=shape, any_size=any_size)
        if "probabilities" in self.include:
            classes, temperature = len(self.model.classes), self.model.temperature
            net = with_probabilities(net, temperature=temperature, classes=classes)
        return net

    def answer(self, logits: Tensor) -> Tensor:
        """What the file gives of the network's logits."""
        if "probabilities" not in self.include:
            return logits
        return (logits / self.model.temperature).softmax(dim=1)

    def reference(self, net: nn.Module, plain: Reference) -> Reference:
        """What the file is compared with; `plain` if it is the network alone."""
        made = plain
        if "preprocessing" in self.include:
            shape, pipeline = self.model.in_shape, self.model.pipeline
            made = make_raw_reference(net, in_shape=shape, pipeline=pipeline)
        made = replace(made, logits=self.answer(made.logits))
        if self.precision == "float32":
            return made
        return replace(made, tolerance=_TOLERANCES[self.precision], remedy=_REMEDY)

    def judge(self, net: nn.Module, found: list[Rescored]) -> Callable[[Forward], None]:
        """What adds the file's result on images to `found`; nothing for float32."""

        def score(forward: Forward) -> None:
            if self.scored is None:
                return
            raw = "preprocessing" in self.include
            ranges = None if self.calibration is None else self.calibration.described
            result = rescore(net, forward, self.scored, answer=self.answer, raw=raw)
            found.append(replace(result, calibrated_on=ranges))

        return score


def make_variant(
    model: Model,
    steps: Sequence[Mapping[str, Any]],
    *,
    formats: Sequence[str],
    include: Sequence[Included],
    precision: FilePrecision,
) -> OnnxVariant:
    """What is asked for, with the images that it needs, before anything is computed.

    int8 takes its ranges from validation images, where there are none from training images.

    Raises:
        UsageError: it cannot be obeyed for a format, the task or the preprocessing.
        DataError: the images are missing.
        CheckpointError: they are of other classes.
    """
    asked = ["--include"] if include else []
    asked += [] if precision == "float32" else ["--precision"]
    others = [form for form in formats if form != "onnx"]
    if asked and others:
        message = f"{' and '.join(asked)} cannot be obeyed for {others[0]}, only for ONNX files"
        raise UsageError(message, remedy="use --to onnx alone")
    is_scored = precision != "float32" or "probabilities" in include
    if is_scored and not gives_probabilities(model.task):
        raise UsageError(
            "probabilities and fewer bits need a task whose answers are classes",
            remedy="leave out --include probabilities and --precision",
        )
    if unknown := undescribed(steps) if "preprocessing" in include else ():
        raise UsageError(
            f"the preprocessing '{unknown[0]}' cannot be put into an ONNX file",
            remedy="leave out --include preprocessing; the program that reads the file does it",
        )
    if "preprocessing" in include and model.in_shape[0] not in (1, 3):
        message = f"images of {model.in_shape[0]} channels are not such as Pillow resizes"
        raise UsageError(message, remedy="leave out --include preprocessing")
    variant = OnnxVariant(model, steps, include, precision)
    if precision == "float32":
        return variant
    there = every_split(model.loaded).parts
    split = next(name for name in ("validation", "test", "train") if name in there)
    scored = find_images(model, split=split)
    if precision == "float16":
        return replace(variant, scored=scored)
    whole = find_images(model, split="train") if split == "test" else scored
    generator = torch.Generator().manual_seed(0)
    positions = torch.randperm(len(whole.positions), generator=generator)[:CALIBRATION]
    calibration = replace(whole, positions=positions.sort().values)
    return replace(variant, scored=scored, calibration=calibration)
