"""Weights alone: by our names as safetensors, by torchvision's as its models load them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn
from torch.func import functional_call

from cnntrain.assemble.transfer.about import KEY
from cnntrain.checkpoint.foreign import Rule, rename
from cnntrain.core.atomic import write_atomically
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.export.reference import Reference


def save_safetensors(
    net: nn.Module, path: Path, *, text: str, reference: Reference, needed: int
) -> float:
    """Write the weights by our names; the largest difference of the network that reads them.

    Args:
        net: the network.
        path: the file.
        text: what it says of itself, JSON in the metadata under `cnntrain`.
        reference: what it is compared with.
        needed: bytes that it takes, roughly.

    Raises:
        DiskError: it cannot be written.
    """
    found: list[float] = []

    def write(file: BinaryIO) -> None:
        metadata = {"format": "pt", KEY: text}
        file.write(safetensors.torch.save(_apart(net.state_dict()), metadata))

    @torch.inference_mode()
    def check(temporary: Path) -> None:
        weights = _apart(safetensors.torch.load_file(temporary))  # aligned, as torch's own are

        def forward(images: Tensor) -> Tensor:
            logits: Tensor = functional_call(net, weights, images, strict=True)
            return logits

        found.append(reference.check(forward, what="the network with the written weights"))

    write_atomically(path, write, needed=needed, before_replace=check)
    return found[0]


@dataclass(frozen=True)
class Twin:
    """torchvision's model of a network.

    Args:
        name: in `torchvision.models`.
        options: what it is made with, besides the number of classes.
        state: the network's weights by its names.
    """

    name: str
    options: Mapping[str, bool | int]
    state: Mapping[str, Tensor]

    @property
    def call(self) -> str:
        """How to make it, in Python."""
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"torchvision.models.{self.name}({options})"

    def empty(self) -> nn.Module:
        """The model without weights."""
        with torch.device("meta"):
            model: nn.Module = torchvision.models.get_model(
                self.name, weights=None, **_quick(self.name), **self.options
            )
        return model.eval()


def find_twin(net: nn.Module, *, num_classes: int, maps: Mapping[str, Sequence[Rule]]) -> Twin:
    """The model of torchvision that has the same weights, by another name each.

    Args:
        net: the network.
        num_classes: of its classes.
        maps: of our names to those of torchvision's models, by the model.

    Raises:
        UsageError: torchvision has none.
    """
    near: list[tuple[int, str]] = []
    for twin in _candidates(net, num_classes, maps):
        expected = {name: tensor.shape for name, tensor in twin.empty().state_dict().items()}
        given = {name: tensor.shape for name, tensor in twin.state.items()}
        if given == expected:
            return twin
        if wrong := _first_difference(given, expected):
            near.append((len(given.items() ^ expected.items()), f"{twin.name} {wrong}"))
    nearest = f"; the nearest, {min(near)[1]}" if near else ""
    raise UsageError(
        f"torchvision has no model with the layers and shapes of this network{nearest}",
        remedy="use another format; --to torchvision is for networks such as archs/resnet18",
    )


def save_torchvision(twin: Twin, path: Path, *, reference: Reference, needed: int) -> float:
    """Write the state_dict of torchvision's model; the largest difference of that model.

    Raises:
        UsageError: torchvision's model computes something else with these weights.
        DiskError: it cannot be written.
    """
    found: list[float] = []

    def write(file: BinaryIO) -> None:
        torch.save(_apart(twin.state), file)

    @torch.inference_mode()
    def check(temporary: Path) -> None:
        model = twin.empty()
        model.load_state_dict(torch.load(temporary, weights_only=True), assign=True)
        found.append(reference.difference(model))
        if not found[0] <= reference.limit:
            raise UsageError(
                f"torchvision's {twin.name} has these weights, but computes something else with "
                f"them: its logits differ by {found[0]:.2g}",
                remedy="it may have another stride, activation or epsilon; use another format",
            )

    write_atomically(path, write, needed=needed, before_replace=check)
    return found[0]


def _candidates(
    net: nn.Module, num_classes: int, maps: Mapping[str, Sequence[Rule]]
) -> Iterator[Twin]:
    """The models whose map has all names of the network."""
    for model, rules in maps.items():
        try:
            state = rename(net.state_dict(), rules)
        except CheckpointError:
            continue
        options: dict[str, bool | int] = {"num_classes": num_classes}
        if model == "googlenet":
            options["aux_logits"] = any(name.startswith("aux") for name in state)
        yield Twin(model, options, state)


def _quick(model: str) -> dict[str, bool]:
    """Keywords without which a model would draw initial values."""
    return {"init_weights": False} if model.startswith(("vgg", "googlenet")) else {}


def _first_difference(given: Mapping[str, torch.Size], expected: Mapping[str, torch.Size]) -> str:
    for name, shape in expected.items():
        if name in given and given[name] != shape:
            return f"has {name} of {tuple(shape)}, not {tuple(given[name])}"
    missing = [name for name in expected if name not in given]
    return f"has {missing[0]} too" if missing else ""


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that share no memory, in torch's usual order of dimensions."""
    return {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
