"""The layers of a model, found by name and by what they are for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch import Tensor, nn

from cnntrain.arch.plan import PlannedNode
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import near_match
from cnntrain.show.words import listed

if TYPE_CHECKING:
    from cnntrain.model.model import Model

PASSED_ON = ("flatten", "dropout", "gaussian_noise", "masking_noise", "identity")
"""Layers that change no number in evaluation."""


def find_layer(model: Model, name: str, *, maps: bool = False) -> PlannedNode:
    """A layer by its dotted name.

    Args:
        model: the model.
        name: such as `conv1`, or `mid.residual1.body.conv2`.
        maps: it must give maps (C, H, W).

    Raises:
        UsageError: there is none of that name, or it gives no maps.
    """
    node = model.layers.get(name)
    if node is None:
        raise UsageError(f"the network has no layer '{name}'", remedy=_near(model, name))
    if maps and len(node.out_shape) != 3:
        message = f"the layer '{name}' gives no maps, but {node.out_shape[0]} numbers"
        raise UsageError(message, remedy=f"the last one that does is '{last_maps(model)}'")
    return node


def outermost(model: Model) -> list[str]:
    """The outermost layers that change anything in evaluation."""
    nodes = model.plan.body.nodes
    return [node.name for node in nodes if node.node.operation not in PASSED_ON]


def matching_layers(model: Model, patterns: Sequence[str]) -> list[str]:
    """The layers whose names match any of the patterns, in the network's order.

    Args:
        model: the model.
        patterns: dotted names; `*`, `?` and `[..]` stand for what is between two dots, so that
            `conv*` are outermost layers, without those inside of them.
    """
    asked = [pattern.split(".") for pattern in patterns]
    return [name for name in model.layers if any(_matches(name.split("."), p) for p in asked)]


def _matches(name: Sequence[str], pattern: Sequence[str]) -> bool:
    pairs = zip(name, pattern, strict=False)
    return len(name) == len(pattern) and all(fnmatchcase(*pair) for pair in pairs)


def _near(model: Model, name: str) -> str:
    inside = [each for each in model.layers if each.endswith(f".{name}")]
    near = inside[0] if inside else near_match(name, model.layers)
    if near is not None:
        return f"did you mean '{near}'?"
    outer = [node.name for node in model.plan.body.nodes]
    return f"its layers are {listed(outer, most=12)} (`cnntrain summary` shows all)"


def last_maps(model: Model) -> str:
    """The last of the outermost layers that has weights and gives more than one number a map.

    Raises:
        UsageError: there is none.
    """
    names = [
        node.name
        for node in model.plan.body.nodes
        if len(node.out_shape) == 3 and node.parameters and math.prod(node.out_shape[1:]) > 1
    ]
    if not names:
        raise UsageError(
            "the network has no layer that gives maps",
            remedy="`saliency` and `occlusion` need none; "
            "`patches` and `deconv` take any other layer by --layer",
        )
    return names[-1]


def pooled_end(model: Model) -> tuple[str, str] | None:
    """The global average pooling and the linear layer that the network ends in, if it does."""
    nodes = list(model.plan.body.nodes)
    last = nodes.pop()
    if last.node.operation != "linear":
        return None
    above = last
    while nodes and above.node.sources == (nodes[-1].name,):
        above = nodes.pop()
        if above.node.operation == "global_avg_pool":
            return above.name, last.name
        if above.node.operation not in PASSED_ON:
            return None
    return None


def all_kernels(model: Model) -> dict[str, Tensor]:
    """The kernels (out, in, height, width) of all layers that have some, by name.

    A linear layer that reads the pixels has some as large as the image.
    """
    found: dict[str, Tensor] = {}
    image = model.plan.body.in_shape
    for name, module in model.net.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4:
            found[name] = _out_first(weight, module)
        elif isinstance(module, nn.Linear) and not found and module.in_features == math.prod(image):
            found[name] = module.weight.view(-1, *image)
    return found


def _out_first(weight: Tensor, module: nn.Module) -> Tensor:
    """Kernels (out, in, ...) of those of a transposed convolution, (in, out / groups, ...)."""
    if not getattr(module, "transposed", False):
        return weight
    groups = int(getattr(module, "groups", 1))
    return weight.reshape(groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
