"""Weights alone: by our names as safetensors, by torchvision's as its models load them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from cnntrain.assemble.transfer.about import KEY
from cnntrain.assemble.transfer.name_maps import map_file, map_of
from cnntrain.assemble.transfer.torchvision_weights import (
    INCEPTIONS,
    known_models,
    published_for,
)
from cnntrain.checkpoint.foreign import Rule, rename
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.export.reference import Reference, write_compared


def save_safetensors(net: nn.Module, path: Path, *, text: str, reference: Reference) -> float:
    """Write the weights by our names, with `text` in the metadata under `cnntrain`.

    What is compared is the network that reads them; see `write_compared`.
    """
    content = safetensors.torch.save(_apart(net.state_dict()), {"format": "pt", KEY: text})

    @torch.inference_mode()
    def compare(temporary: Path) -> float:
        weights = _apart(safetensors.torch.load_file(temporary))  # aligned, as torch's own are

        def forward(images: Tensor) -> Tensor:
            logits: Tensor = functional_call(net, weights, images, strict=True)
            return logits

        return reference.check(forward, what="the network with the written weights")

    return write_compared(path, content, compare)


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
        draws = self.name.startswith(
            ("vgg", "googlenet", "inception")
        )  # initial values, unless it is kept
        quick = {"init_weights": False} if draws else {}
        with _WithoutValues():
            model: nn.Module = torchvision.models.get_model(
                self.name, weights=None, **quick, **self.options
            )
        return model.eval()


class _WithoutValues(TorchFunctionMode):
    """Within, weights have no values; what torchvision computes a RegNet's widths from has some."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        meta = {"device": "meta"} if func in (torch.empty, torch.ones, torch.zeros) else {}
        return func(*args, **{**(kwargs or {}), **meta})


def find_twin(net: nn.Module, *, num_classes: int) -> Twin:
    """The model of torchvision that has the same weights, by another name each.

    Raises:
        UsageError: torchvision has none.
    """
    near: list[tuple[int, str]] = []
    for twin in _candidates(net, num_classes):
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


def save_torchvision(twin: Twin, path: Path, *, reference: Reference) -> float:
    """Write the state_dict of torchvision's model, and compare that model; see `write_compared`.

    Raises:
        UsageError: torchvision's model computes something else with these weights.
    """

    @torch.inference_mode()
    def compare(temporary: Path) -> float:
        model = twin.empty()
        model.load_state_dict(torch.load(temporary, weights_only=True), assign=True)
        difference = reference.difference(model)
        if not difference <= reference.limit:
            raise UsageError(
                f"torchvision's {twin.name} has these weights, but computes something else with "
                f"them: its logits differ by {difference:.2g}",
                remedy="it may have another stride, activation or epsilon; use another format",
            )
        return difference

    made = io.BytesIO()
    torch.save(_apart(twin.state), made)
    return write_compared(path, made.getvalue(), compare)


def _candidates(net: nn.Module, num_classes: int) -> Iterator[Twin]:
    """The models whose map has all names of the network, those of about its size first."""
    count = sum(parameter.numel() for parameter in net.parameters())
    parameters = {model: published_for(model)[0].parameters for model in known_models()}
    states: dict[Path | None, Mapping[str, Tensor] | None] = {}
    for model in sorted(parameters, key=lambda model: abs(parameters[model] - count)):
        file = map_file(model, publisher="torchvision")  # one for many models
        if file not in states:
            states[file] = _renamed(net, map_of(model, "torchvision") or ())
        state = states[file]
        if state is None:
            continue
        options: dict[str, bool | int] = {"num_classes": num_classes}
        if model in INCEPTIONS:
            options["aux_logits"] = any(name.lower().startswith("aux") for name in state)
        yield Twin(model, options, state)


def _renamed(net: nn.Module, rules: Sequence[Rule]) -> Mapping[str, Tensor] | None:
    try:
        return rename(net.state_dict(), rules)
    except CheckpointError:
        return None


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
