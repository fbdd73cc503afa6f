"""`cnntrain export`: a trained network as a file that others can run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Plugins, Trained, opened
from cnntrain.core.units import byte_size

if TYPE_CHECKING:
    from cnntrain.export.export import Exported


class Format(StrEnum):
    """What a network can be exported to."""

    onnx = "onnx"
    torch_export = "torch_export"
    safetensors = "safetensors"
    torchvision = "torchvision"


def export(
    run: Trained,
    to: Annotated[
        list[Format] | None, typer.Option(help="The format; repeatable. Default: onnx.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The file, or a folder that exists; default ./NAME with its suffix."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    overrides: Overrides = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Write a trained network for other programs, and check it.

    onnx (for onnxruntime and others) and torch_export (a .pt2 program) compute logits from
    preprocessed float32 images (N, C, H, W), for any N. safetensors has the weights by our names,
    torchvision by those of its model of the same architecture. All tell the classes and the
    preprocessing, in JSON: in their metadata under `cnntrain`, for torchvision in a file beside.
    """
    from cnntrain.export.export import export as write
    from cnntrain.model.opening import EXPORT

    model = opened(run, overrides=overrides, plugins=plugins, use=EXPORT)
    written = []
    for file in write(model, formats=to or [Format.onnx], out=out, force=force):
        written.append(file)
        if not as_json:
            output.result(_line(file))
    if as_json:
        output.result_json({"files": [{**vars(file), "path": str(file.path)} for file in written]})


def _line(file: Exported) -> str:
    size = f"{file.path}: {byte_size(file.bytes)}"
    if file.largest_difference is None:
        return f"{size}, classes and preprocessing"
    model = f", {file.model}" if file.model else ""
    within = f"logits within {file.largest_difference:.1e} of"
    near = within if file.largest_difference else "the same logits as"
    return f"{size}{model}, {near} the network on {file.images} images"
