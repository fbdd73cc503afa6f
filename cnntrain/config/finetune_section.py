"""The `finetune` section: whose weights a network starts from, and which of them may move.

The protocol is that of transfer learning: a network trained on many images, a new last layer for
one's own classes, the early layers at rest or nearly so, and then a refinement.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cnntrain.config.section import Section
from cnntrain.core.kinds import Fraction, Names, NonNegativeFloat, PositiveFloat


def _epoch(value: Any) -> Any:
    """YAML's keys are read as strings."""
    if isinstance(value, str) and re.fullmatch(r"0*[1-9][0-9]{0,8}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("an epoch, counted from 1")


Epoch = Annotated[int, BeforeValidator(_epoch)]


class WeightsSection(Section):
    """Where the weights come from: exactly one of `torchvision`, `run` and `file`."""

    torchvision: str | None = None
    """A set of torchvision's, such as resnet50/IMAGENET1K_V2; downloaded once."""
    run: str | None = None
    """A run's folder, runs/NAME for the latest of that name, or one of its checkpoints."""
    file: str | None = None
    """A file with a state_dict: .pt, .pth, .th or .safetensors; never code."""
    rename: str | dict[str, Any] | None = None
    """A map of names, `ours: theirs`, or the name of a .yaml file with one."""


class FinetuneSection(Section):
    """Transfer learning: weights to start from, and what may change of them."""

    weights: WeightsSection
    """Where the weights come from."""
    head: Literal["auto", "new", "keep"] = "auto"
    """The last layer: auto makes a new one unless it was trained for the same classes."""
    least_loaded: Fraction = 0.9
    """Share of the network's weights, the head apart, below which loading is an error."""
    freeze: Names = ()
    """Layers, by name or shell pattern, whose weights and batch-norm statistics are frozen."""
    unfreeze: dict[Epoch, Names] = Field(default_factory=dict)
    """Epoch: frozen layers (patterns) that learn from that epoch on."""
    lr_scale: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Layer (name or pattern): factor of its learning rate."""
    layer_decay: PositiveFloat | None = None
    """Factor of the learning rate from each stage to the one before it; the head has 1."""
    l2_sp: NonNegativeFloat = 0.0
    """Weight decay towards the loaded weights in place of zero (Li et al. 2018, L2-SP)."""
    probe: bool = False
    """Linear probe: all but the head is frozen, and its features are computed once."""
