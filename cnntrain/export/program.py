"""The network as a torch.export program: traced once, for ONNX and for a `.pt2` file."""

from __future__ import annotations

import io
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from cnntrain.assemble.transfer.about import KEY
from cnntrain.core.errors import UsageError
from cnntrain.export.reference import Reference, write_compared


def trace(net: nn.Module, *, in_shape: tuple[int, int, int]) -> ExportedProgram:
    """The forward pass for any number of images.

    Raises:
        UsageError: a layer cannot be traced, or only for one number of images.
    """
    # a layer called `code` would be taken for the program's own attribute
    own = [name for name, _ in net.named_children() if hasattr(GraphModule, name)]
    traced = nn.Sequential(OrderedDict(net=net)) if own else net
    images = torch.zeros(2, *in_shape)  # with one image torch takes the batch for a constant
    with _entered(net) as layers, without_chatter():
        try:
            return torch.export.export(traced, (images,), dynamic_shapes=({0: Dim("N")},))
        except Exception as error:  # whatever a layer's own code does when it is traced
            what = f"the layer '{layers[-1]}'" if layers else "the network"
            raise UsageError(
                f"torch.export cannot trace {what}: {first_line(error)}",
                remedy="--to safetensors has the weights alone",
            ) from error


def save_program(program: ExportedProgram, path: Path, *, text: str, reference: Reference) -> float:
    """Write a `.pt2` file, with `text` in the extra file `cnntrain.json`; see `write_compared`.

    Raises:
        CnntrainError: what was written gives other logits.
    """
    made = io.BytesIO()
    torch.export.save(program, made, extra_files={f"{KEY}.json": text})

    def compare(temporary: Path) -> float:
        with temporary.open("rb") as file:
            forward = torch.export.load(file).module()
        return reference.check(forward, what="the torch.export program")

    return write_compared(path, made.getvalue(), compare)


@contextmanager
def without_chatter() -> Iterator[None]:
    """torch shows a graph and warns before it raises; the error says what there is to say."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


@contextmanager
def _entered(net: nn.Module) -> Iterator[list[str]]:
    """The names of the layers whose forward pass has begun and not ended, outermost first."""
    names: list[str] = []

    def enter(name: str, *_: Any) -> None:
        names.append(name)

    def leave(*_: Any) -> None:
        names.pop()

    hooks = []
    for name, module in net.named_modules():
        if name:
            hooks.append(module.register_forward_pre_hook(partial(enter, name)))
            hooks.append(module.register_forward_hook(leave))
    try:
        yield names
    finally:
        for each in hooks:
            each.remove()


def first_line(error: BaseException) -> str:
    """What an error says, in short."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
