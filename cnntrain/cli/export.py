"""`cnntrain export`: a trained network as a file that others can run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Plugins, Trained, opened
from cnntrain.core.units import byte_size
from cnntrain.show.words import percent

if TYPE_CHECKING:
    from cnntrain.assemble.transfer.about import Included
    from cnntrain.export.export import Exported
    from cnntrain.export.rescored import Rescored


class Format(StrEnum):
    """What a network can be exported to."""

    onnx = "onnx"
    torch_export = "torch_export"
    safetensors = "safetensors"
    torchvision = "torchvision"


class Inside(StrEnum):
    """What an ONNX file can do itself, around the network."""

    preprocessing = "preprocessing"
    probabilities = "probabilities"


def export(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    to: Annotated[
        list[Format] | None, typer.Option(help="The format; repeatable. Default: onnx.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file, or a folder that exists; default ./NAME with its suffix."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    include: Annotated[
        list[Inside] | None,
        typer.Option(
            help="What an ONNX file does itself: preprocessing (it is given 8-bit images), "
            "probabilities (it gives them, not logits). Repeatable."
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Of an ONNX file; fewer bits are scored on the validation images."),
    ] = "float32",
    overrides: Overrides = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Write a trained network for other programs, and check it.

    onnx (for onnxruntime and others) and torch_export (a .pt2 program) compute logits, or what the
    task has in their place, from preprocessed float32 images (N, C, H, W), for any N. safetensors
    has the weights by our names, torchvision by those of its model of the same architecture. All
    state the classes and the preprocessing, in JSON: in their metadata under `cnntrain`, for
    torchvision in a file next to it. With --include preprocessing an ONNX file is given 8-bit
    images (N, H, W, C), with --include probabilities it gives softmax(logits / temperature).
    --precision int8 quantizes with validation images.
    """
    from cnntrain.export.export import export as write
    from cnntrain.model.opening import EXPORT, EXPORT_WITH_IMAGES

    use = EXPORT if precision == "float32" else EXPORT_WITH_IMAGES
    model = opened(run, overrides=overrides, plugins=plugins, use=use)
    parts = cast("list[Included]", [each.value for each in include or ()])
    what = "logits" if model.loaded.config.task.output == "logits" else "outputs"
    what = "probabilities" if "probabilities" in parts else what
    written = []
    for file in write(
        model,
        formats=to or [Format.onnx],
        out=out,
        force=force,
        include=parts,
        precision=precision,
    ):
        written.append(file)
        if not as_json:
            output.result(_line(file, what))
        for step in file.unknown_steps:
            output.note(
                f"note: the preprocessing '{step}' is a plugin's: {file.path} names it, and who "
                "uses the file must do it"
            )
        if file.rescored is not None and file.rescored.is_worse:
            before, after = (percent(each) for each in (file.rescored.before, file.rescored.after))
            output.note(
                f"note: {file.path} is worse than the network: {before} before, {after} after"
            )
    if as_json:
        files = [{**asdict(file), "path": str(file.path)} for file in written]
        output.result_json({"files": files})
        return
    uses = [_how_to_use(file, model.in_shape, parts) for file in written if file.images]
    for number, command in enumerate(uses):
        output.note(f"{'' if number else 'next':<4}  {command}")


def _how_to_use(file: Exported, in_shape: tuple[int, int, int], parts: Sequence[Included]) -> str:
    """A command that runs the file on a black image, or reads its weights."""
    from cnntrain.assemble.transfer.about import INPUT, PIXELS

    path, (channels, height, width) = json.dumps(str(file.path)), in_shape
    match file.format:
        case "onnx":
            images = f'"{INPUT}": numpy.zeros({(1, *in_shape)}, "float32")'
            if "preprocessing" in parts:
                images = f'"{PIXELS}": numpy.zeros({(1, height, width, channels)}, "uint8")'
            code = "import numpy, onnxruntime; "
            code += f"print(onnxruntime.InferenceSession({path}).run(None, {{{images}}}))"
        case "torch_export":
            images = f"torch.zeros{(1, *in_shape)}"
            code = f"import torch; print(torch.export.load({path}).module()({images}))"
        case "safetensors":
            code = f"from safetensors.torch import load_file; print(load_file({path}).keys())"
        case _:
            code = f"import torch, torchvision; net = {file.model}; "
            code += f"print(net.load_state_dict(torch.load({path})))"
    return f"python -c {shlex.quote(code)}"


def _line(file: Exported, what: str) -> str:
    size = f"{file.path}: {byte_size(file.bytes)}"
    if file.rescored is not None:
        return f"{size}, {_rescored(file.rescored, what)}"
    if file.largest_difference is None:
        return f"{size}, classes and preprocessing"
    model = f", {file.model}" if file.model else ""
    within = f"{what} within {file.largest_difference:.1e} of"
    near = within if file.largest_difference else f"the same {what} as"
    return f"{size}{model}, {near} the network on {file.images} images"


def _rescored(found: Rescored, what: str) -> str:
    drop, images = found.drop, f"{found.images:,} {found.split} images"
    ranges = f"; ranges from {found.calibrated_on}" if found.calibrated_on else ""
    return (
        f"the network's class for {percent(found.agreement)} of {images}; {what} differ by "
        f"{found.mean_difference:.1e} on average, {found.largest_difference:.1e} at most\n"
        f"top-1 {percent(found.before)} before, {percent(found.after)} after on {images}; the drop "
        f"is {100 * drop.low:.2f} to {100 * drop.high:.2f} points with 95 % confidence{ranges}"
    )
