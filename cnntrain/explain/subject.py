"""What a picture is of: a trained network, its layers by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.parts import apply_threads, choose_device, place
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import near_match
from cnntrain.explain.taps import Tap
from cnntrain.model.evaluate import open_to_evaluate
from cnntrain.model.model import Trained
from cnntrain.show.pixels import Pixels, Scaling, photographs

PASSED_ON = ("flatten", "dropout", "identity")
"""Layers that change no number in evaluation."""


@dataclass(frozen=True)
class Subject:
    """A trained network on its device, with its plan.

    `scaling` is what its preprocessing does to pixels; `layers` are the planned nodes by dotted
    name, without those of auxiliary heads, which run in training only.
    """

    trained: Trained
    plan: Plan
    device: torch.device
    scaling: Scaling
    layers: dict[str, PlannedNode]

    @property
    def net(self) -> nn.Module:
        """The network, in evaluation mode."""
        return self.trained.net

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the outputs."""
        return self.trained.classes

    def pixels(self, images: Tensor) -> Pixels:
        """Images (N, C, H, W) as they were before normalisation, (N, H, W, 3)."""
        return photographs(images, scaling=self.scaling)


def open_subject(path: Path, *, overrides: Sequence[str] = ()) -> Subject:
    """The network of a run, to be looked at.

    Args:
        path: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file that
            names weights.
        overrides: changes; those that evaluation allows.

    Raises:
        UsageError: nothing is there, or a change is not allowed.
        CheckpointError: the checkpoint is missing or damaged.
    """
    trained = open_to_evaluate(path, overrides)
    compute = trained.loaded.config.compute
    apply_threads(compute)
    device = choose_device(compute, trained.loaded)
    place(trained.net, compute=compute, device=device)
    plan = plan_network(trained.loaded, num_classes=len(trained.classes))
    heads = tuple(f"{name}." for name, *_ in plan.aux)
    layers = {name: node for name, node in plan.walk() if not name.startswith(heads)}
    return Subject(trained, plan, device, _scaling(trained), layers)


def _scaling(trained: Trained) -> Scaling:
    for step in trained.eval_steps:
        if step["name"] == "normalize" and step.get("mean") is not None:
            return Scaling(tuple(step["mean"]), tuple(step["std"]))
    channels = trained.in_shape[0]
    return Scaling((0.0,) * channels, (1.0,) * channels)


def find_layer(subject: Subject, name: str, *, maps: bool = False) -> PlannedNode:
    """A layer by its dotted name.

    Args:
        subject: the network.
        name: such as `conv1`, or `mid.residual1.body.conv2`.
        maps: it must give maps (C, H, W).

    Raises:
        UsageError: there is none of that name, or it gives no maps.
    """
    node = subject.layers.get(name)
    if node is None:
        raise UsageError(f"the network has no layer '{name}'", remedy=_near(subject, name))
    if maps and len(node.out_shape) != 3:
        message = f"the layer '{name}' gives no maps, but {node.out_shape[0]} numbers"
        raise UsageError(message, remedy=f"the last one that does is '{last_maps(subject)}'")
    return node


def _near(subject: Subject, name: str) -> str:
    inside = [each for each in subject.layers if each.endswith(f".{name}")]
    near = inside[0] if inside else near_match(name, subject.layers)
    if near is not None:
        return f"did you mean '{near}'?"
    outer = [node.name for node in subject.plan.body.nodes]
    some = ", ".join(outer[:12]) + (", ..." if len(outer) > 12 else "")
    return f"its layers are {some} (`cnntrain summary` shows all)"


def last_maps(subject: Subject) -> str:
    """The last of the outermost layers that has weights and gives more than one number a map.

    Raises:
        UsageError: there is none.
    """
    names = [
        node.name
        for node in subject.plan.body.nodes
        if len(node.out_shape) == 3 and node.parameters and math.prod(node.out_shape[1:]) > 1
    ]
    if not names:
        raise UsageError(
            "the network has no layer that gives maps",
            remedy="`saliency` and `occlusion` need none; "
            "`patches` and `deconv` take any other layer by --layer",
        )
    return names[-1]


def pooled_end(subject: Subject) -> tuple[str, str] | None:
    """The global average pooling and the linear layer that the network ends in, if it does."""
    nodes = list(subject.plan.body.nodes)
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


def feature_tap(subject: Subject, layer: str | None) -> Tap:
    """The output of a layer; without a name what the last linear layer reads."""
    if layer is not None:
        find_layer(subject, layer)
        return Tap(layer)
    linear = [
        name
        for name in subject.layers
        if isinstance(subject.trained.net.get_submodule(name), nn.Linear)
    ]
    if linear:
        return Tap(linear[-1], reads=True)
    return Tap(subject.plan.body.nodes[-1].name)


def class_number(subject: Subject, name: str) -> int:
    """The position of a class in the list of classes.

    Raises:
        UsageError: there is none of that name.
    """
    if name in subject.classes:
        return subject.classes.index(name)
    near = near_match(name, subject.classes)
    some = ", ".join(subject.classes[:12]) + (", ..." if len(subject.classes) > 12 else "")
    remedy = f"did you mean '{near}'?" if near else f"the classes are {some}"
    raise UsageError(f"the network has no class '{name}'", remedy=remedy)
