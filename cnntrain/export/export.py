"""Writing a trained network as files that others can run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnntrain.assemble.transfer.about import (
    FilePrecision,
    Included,
    as_text,
    explicit_steps,
    undescribed,
)
from cnntrain.core.atomic import disk_errors, write_output
from cnntrain.core.errors import UsageError
from cnntrain.data.image_targets import uncorrupted
from cnntrain.export.onnx import require_packages, save_onnx
from cnntrain.export.program import save_program, trace
from cnntrain.export.reference import make_reference
from cnntrain.export.rescored import Rescored
from cnntrain.export.variant import OnnxVariant, make_variant
from cnntrain.export.weights import Twin, find_twin, save_safetensors, save_torchvision
from cnntrain.model.model import Model

SUFFIXES = {
    "onnx": ".onnx",
    "torch_export": ".pt2",
    "safetensors": ".safetensors",
    "torchvision": ".pth",
}
"""The formats, and how their files end."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        format: of the file; torchvision's weights come with a description as a second file.
        path: the file.
        bytes: its size.
        largest_difference: of its outputs to the network's; None for a description.
        images: on how many images that was measured.
        model: the call that makes torchvision's model.
        rescored: what float16 or int8 costs, on images of the data.
        unknown_steps: of the preprocessing, which the file's reader cannot do by their names.
    """

    format: str
    path: Path
    bytes: int
    largest_difference: float | None
    images: int
    model: str | None = None
    rescored: Rescored | None = None
    unknown_steps: tuple[str, ...] = ()


def export(
    model: Model,
    *,
    formats: Sequence[str],
    out: Path | None = None,
    force: bool = False,
    include: Sequence[Included] = (),
    precision: FilePrecision = "float32",
) -> Iterator[Exported]:
    """Write a model in other formats; every file is compared with its network on the CPU.

    The network's input are preprocessed images, its output what the task gives, as the files say,
    unless an ONNX file has these steps inside.

    Args:
        model: the model.
        formats: of `SUFFIXES`.
        out: the file, or a folder; NAME in the current folder if not given.
        force: whether files that exist are replaced.
        include: steps that an ONNX file does itself: it is given `(N, H, W, C)` uint8, or gives
            `softmax(logits / temperature)`.
        precision: of an ONNX file; float16 and int8 are scored again on validation images.

    Yields:
        The files, as they are written.

    Raises:
        UsageError: a file exists, or the network cannot be written in a format or a precision.
        DataError: images that a precision needs are missing or unreadable.
        DiskError: a file cannot be written.
    """
    formats = list(dict.fromkeys(formats))
    if "onnx" in formats:
        require_packages()
    head, _ = model.pipeline.divide(random_in_worker=False)
    steps = explicit_steps(uncorrupted(model.eval_steps), sizing=len(head.steps))
    variant = make_variant(model, steps, formats=formats, include=include, precision=precision)
    mark = "" if precision == "float32" else f".{precision}"
    targets = _targets(formats, out, f"{model.loaded.config.name}{mark}")
    for path in [] if force else _written(targets):
        if path.exists():
            remedy = "--force replaces it; --out gives another name"
            raise UsageError(f"{path} already exists", remedy=remedy)
    net = copy.deepcopy(model.net)  # the model stays where it is
    net = net.to(memory_format=torch.contiguous_format).to("cpu")
    twin = None
    if "torchvision" in formats:  # refused before anything is written
        twin = find_twin(net, num_classes=len(model.classes))
    yield from _write(targets, model, net, twin, variant)


def _write(
    targets: Mapping[str, Path],
    model: Model,
    net: nn.Module,
    twin: Twin | None,
    variant: OnnxVariant,
) -> Iterator[Exported]:
    """The files of a network on the CPU; torchvision's weights with a description beside them."""
    _, tail = model.pipeline.divide(random_in_worker=False)
    about = variant.about()
    reference = make_reference(net, in_shape=model.in_shape, pipeline=tail)
    weights = sum(t.numel() * t.element_size() for t in net.state_dict().values())
    described: dict[str, Any] = {"text": as_text(about), "reference": reference}
    program = cache(partial(trace, net, in_shape=model.in_shape))  # once, if a format asks for it
    for form, path in targets.items():
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        call, scores = None, list[Rescored]()
        match form:
            case "onnx":
                difference = save_onnx(
                    program(),
                    path,
                    text=described["text"],
                    output=variant.output,
                    reference=variant.reference(net, reference),
                    weights=weights,
                    finish=variant.finish,
                    judge=variant.judge(net, scores),
                )
            case "torch_export":
                difference = save_program(program(), path, **described)
            case "safetensors":
                difference = save_safetensors(net, path, **described)
            case _:
                assert twin is not None
                call = twin.call
                difference = save_torchvision(twin, path, reference=reference)
        yield Exported(
            format=form,
            path=path,
            bytes=path.stat().st_size,
            largest_difference=difference,
            images=len(reference.images),
            model=call,
            rescored=scores[0] if scores else None,
            unknown_steps=undescribed(variant.steps),
        )
        if call is not None:
            beside = path.with_suffix(".json")
            write_output(beside, f"{as_text({**about, 'model': call})}\n".encode())
            yield Exported(form, beside, beside.stat().st_size, None, 0)


def _targets(formats: Sequence[str], out: Path | None, name: str) -> dict[str, Path]:
    """Where each format goes."""
    if out is None or out.is_dir():
        return {form: (out or Path()) / f"{name}{SUFFIXES[form]}" for form in formats}
    if len(formats) > 1:
        raise UsageError(
            f"{out} is not a folder, and there are {len(formats)} files to write",
            remedy="give --out a folder that exists, or export one format at a time",
        )
    [form] = formats
    if out.suffix != SUFFIXES[form]:
        raise UsageError(
            f"{out} is to be written as {form}, whose files end in {SUFFIXES[form]}",
            remedy="correct --out or --to",
        )
    return {form: out}


def _written(targets: Mapping[str, Path]) -> list[Path]:
    """All files, with the description beside torchvision's weights."""
    beside = [path.with_suffix(".json") for form, path in targets.items() if form == "torchvision"]
    return [*targets.values(), *beside]
