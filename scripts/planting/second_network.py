"""The second lot of faults in architectures and their initial weights."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from planting.edits import ACTIVATIONS, after_first_activation, change_layers
from planting.healthy import HEAD, Base, conv
from planting.kinds import kind

second = partial(kind, lot=2)


def _stem(base: Base) -> list[Any]:
    """Eight by eight maps, or a little more."""
    size = base.data.size
    return [conv(12, kernel=5, stride=1 if size < 16 else 2 if size < 20 else 4), "relu"]


@second(
    "network",
    "exploding_activations",
    "alike_units",
    "exploding_gradients",
    "large_initial_loss",
    "saturated_units",
)
def positive_weights(base: Base, random_: random.Random) -> str:
    if base.has("_norm"):
        return ""
    high = random_.choice([0.2, 0.5])
    base.tree["arch"]["init"] = [{"weight": {"uniform": {"low": 0.0, "high": high}}, "bias": 0}]
    return f"weights from 0 to {high}"


@second(
    "network", "zero_initialisation", "vanishing_activations", "vanishing_gradients", "dead_units"
)
def every_norm_begins_at_zero(base: Base, random_: random.Random) -> str:
    if not base.has("batch_norm"):
        return ""
    base.tree["arch"]["init"] = [{"layers": "batch_norm", "weight": 0, "bias": 0}]
    return "the factors of every batch normalisation begin at 0"


@second("network", "vanishing_activations", "vanishing_gradients")
def epsilon_without_minus(base: Base, random_: random.Random) -> str:
    norms = [name for name in ("batch_norm", "group_norm") if base.has(name)]
    if not norms:
        return ""
    epsilon = random_.choice([1e5, 1e6])
    plain = {"batch_norm": {"epsilon": epsilon}}

    def change(item: Any) -> Any:
        if isinstance(item, dict) and "group_norm" in item:
            return {"group_norm": {**item["group_norm"], "epsilon": epsilon}}
        return plain if item == "batch_norm" else item

    change_layers(base, lambda item: [change(item)])
    return f"epsilon of {epsilon:g} in {norms[0]}"


@second("network", "vanishing_activations", "vanishing_gradients", clue="softmax")
def softmax_between(base: Base, random_: random.Random) -> str:
    if base.has("_norm"):
        return ""
    change_layers(base, lambda item: ["softmax" if item in ACTIVATIONS else item])
    return "softmax in place of each activation"


@second("network", "exploding_activations", "exploding_gradients", "large_initial_loss")
def deep_sums(base: Base, random_: random.Random) -> str:
    depth = random_.choice([12, 16])
    body = [conv(12), "relu", conv(12)]
    block = {"residual": {"body": body}}
    base.tree["arch"]["layers"] = [*_stem(base), *[block] * depth, "flatten", HEAD]
    base.tree["arch"]["init"] = [{"weight": "kaiming", "bias": 0}]
    return f"{depth} residual blocks, all without norms"


@second("network", "exploding_activations", "exploding_gradients", "large_initial_loss")
def loud_branch(base: Base, random_: random.Random) -> str:
    if base.net not in ("lenet", "plain", "tanh"):
        return ""
    gain, out = random_.choice([300.0, 1000.0]), base.layers[0]["conv"]["out"]
    paths = {"straight": ["identity"], "loud": [conv(out), {"gain": {"initial": gain}}]}
    after_first_activation(base, {"branches": {"merge": "add", "paths": paths}})
    return f"one of two branches times {gain:g}"


@second("network", "vanishing_activations", "unseen_pixels")
def normalised_over_one_map(base: Base, random_: random.Random) -> str:
    if base.data.channels != 1:
        return ""
    base.layers.insert(0, "layer_norm")
    return "layer normalisation over the single channel of grey images"


@second("network", "linear_chain")
def slope_of_one(base: Base, random_: random.Random) -> str:
    if base.has("max_pool") or base.data.name in ("planted_digits", "planted_mnist"):
        return ""
    linear = {"leaky_relu": {"slope": 1.0}}
    change_layers(base, lambda item: [linear if item in ACTIVATIONS else item])
    return "leaky rectifiers of slope 1"


@second("network", "bottleneck", clue="outputs of 'conv")
def single_maps(base: Base, random_: random.Random) -> str:
    if base.net in ("perceptron", "grouped"):
        return ""

    def change(item: Any) -> Any:
        return {"conv": {**item["conv"], "out": 1}} if "conv" in item else item

    change_layers(base, lambda item: [change(item)])
    return "one map in each convolution"


@second("network", "small_windows", "pooled_early")
def averaged_at_once(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    base.tree["arch"]["layers"] = [conv(16), "relu", "global_avg_pool", HEAD]
    return "one convolution, then the mean of each map"


@second("network", "too_much_dropout")
def drops_the_main_path(base: Base, random_: random.Random) -> str:
    p = random_.choice([0.9, 0.95])
    after_first_activation(base, {"stochastic_depth": {"p": p}})
    return f"stochastic depth of {p} outside any residual block"


@second("network", "too_much_dropout")
def images_dropped(base: Base, random_: random.Random) -> str:
    p = random_.choice([0.9, 0.95])
    base.layers.insert(0, {"dropout2d": {"p": p}})
    return f"channel dropout of {p} on the images"


@second("network", clue="gaussian_noise")
def noise_within(base: Base, random_: random.Random) -> str:
    std = random_.choice([10.0, 30.0])
    base.layers.insert(-1, {"gaussian_noise": {"std": std}})
    return f"noise of {std:g} before the last layer"


@second("network", "small_windows", "unseen_pixels", clue="dilation")
def dilated_beyond_the_image(base: Base, random_: random.Random) -> str:
    if base.net in ("perceptron", "residual") or base.data.name == "planted_colours":
        return ""
    dilation = base.data.size - 1

    def change(item: Any) -> Any:
        if "conv" not in item or item["conv"]["padding"] != "same":
            return item
        return {"conv": {**item["conv"], "dilation": dilation}}

    before = str(base.layers)
    change_layers(base, lambda item: [change(item)])
    return f"dilation of {dilation} pixels" if str(base.layers) != before else ""
