"""Kinds of faults in architectures, in their initial weights, and in layers of one's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from planting.edits import ACTIVATIONS, after_first_activation, before_head, change_layers
from planting.healthy import Base
from planting.kinds import kind

WRONG_LAYERS = str(Path(__file__).parents[1] / "planted" / "wrong_layers.py")


def _replaced(what: tuple[str, ...], by: list[Any]) -> Callable[[Any], list[Any]]:
    """Layers of some names, each replaced."""
    return lambda item: by if item in what else [item]


@kind("network", "linear_chain")
def no_activation(base: Base, random_: random.Random) -> str:
    if base.data.name in ("planted_digits", "planted_mnist", "planted_horses"):
        return ""  # a linear network does them well enough
    change_layers(base, _replaced(ACTIVATIONS, []))
    return "no activation anywhere"


@kind("network", "bottleneck")
def bottleneck(base: Base, random_: random.Random) -> str:
    width = 1 if base.data.classes < 6 else random_.choice([1, 2])
    before_head(base, {"linear": {"out": width}}, "relu")
    if "flatten" not in base.layers and "global_avg_pool" not in base.layers:
        return ""
    return f"{width} units before the last layer"


@kind("network", "unseen_pixels")
def strides_over_pixels(base: Base, random_: random.Random) -> str:
    if base.data.size < 16 or base.net == "perceptron" or base.data.name == "planted_colours":
        return ""
    layers = base.layers
    layers[0] = {"conv": {"out": 12, "kernel": 1, "stride": random_.choice([4, 5])}}
    return "1 x 1 kernels with strides of 4 or more"


@kind("network", "pooled_early")
def pooled_first(base: Base, random_: random.Random) -> str:
    if base.data.size < 16 or base.net == "perceptron" or base.data.name == "planted_colours":
        return ""
    base.layers.insert(0, {"avg_pool": {"kernel": base.data.size // 3}})
    return "pooled to three by three before anything is computed"


@kind("network", "small_windows")
def sees_points(base: Base, random_: random.Random) -> str:
    if base.data.name == "planted_colours":
        return ""
    one = {"conv": {"out": 32, "kernel": 1}}
    layers = [one, "batch_norm", "relu", one, "batch_norm", "relu", "global_avg_pool"]
    base.tree["arch"]["layers"] = [*layers, {"linear": {"out": "$num_classes"}}]
    return "nothing but 1 x 1 convolutions"


@kind("network", "squashed_outputs")
def softmax_twice(base: Base, random_: random.Random) -> str:
    base.layers.append("softmax")
    return "softmax before a loss that has one"


@kind("network", "squashed_outputs")
def sigmoid_at_the_end(base: Base, random_: random.Random) -> str:
    base.layers.append("sigmoid")
    return "sigmoid before a softmax"


@kind("network", "squashed_outputs")
def relu_at_the_end(base: Base, random_: random.Random) -> str:
    base.layers.append("relu")
    return "rectified outputs"


@kind("network", "vanishing_gradients", "vanishing_activations")
def deep_sigmoid(base: Base, random_: random.Random) -> str:
    deep: list[Any] = []
    for _ in range(random_.choice([6, 8])):
        deep += [{"linear": {"out": 40}}, "sigmoid"]
    base.tree["arch"]["layers"] = ["flatten", *deep, {"linear": {"out": "$num_classes"}}]
    return "six or more sigmoids"


@kind("network", "too_much_dropout")
def all_dropped(base: Base, random_: random.Random) -> str:
    p = random_.choice([0.95, 0.98])
    before_head(base, {"dropout": {"p": p}})
    after_first_activation(base, {"dropout": {"p": 0.9}})
    return f"dropout of {p} and 0.9"


@kind("network", "stale_batch_norm")
def stale_norm(base: Base, random_: random.Random) -> str:
    if not base.has("batch_norm"):
        return ""
    slow = {"batch_norm": {"momentum": random_.choice([1e-4, 1e-5])}}
    change_layers(base, _replaced(("batch_norm",), [slow]))
    return f"running statistics of momentum {slow['batch_norm']['momentum']}"


def _initialised(base: Base, weight: Any, bias: Any = 0) -> None:
    base.tree["arch"]["init"] = [{"weight": weight, "bias": bias}]


@kind("network", "zero_initialisation")
def zero_weights(base: Base, random_: random.Random) -> str:
    _initialised(base, {"constant": {"value": random_.choice([0.0, 0.01])}})
    return "constant weights"


@kind("network", "exploding_activations", "large_initial_loss", "exploding_gradients",
      "saturated_units")  # fmt: skip
def large_weights(base: Base, random_: random.Random) -> str:
    if base.has("_norm"):
        return ""
    _initialised(base, {"normal": {"std": random_.choice([2.0, 5.0])}})
    return "weights of deviation 2 or 5"


@kind("network", "vanishing_activations", "vanishing_gradients")
def small_weights(base: Base, random_: random.Random) -> str:
    if base.has("_norm"):
        return ""
    _initialised(base, {"normal": {"std": random_.choice([1e-4, 1e-5])}})
    return "weights of deviation 1e-4 or less"


@kind("network", "dead_units")
def negative_biases(base: Base, random_: random.Random) -> str:
    if base.has("_norm") or not base.has("relu"):
        return ""
    _initialised(base, "kaiming", random_.choice([-10, -30]))
    return "biases of -10 or less"


@kind("layer", "wrong_gradient")
def wrong_sign(base: Base, random_: random.Random) -> str:
    base.tree["plugins"].append(WRONG_LAYERS)
    after_first_activation(base, "wrong_sign")
    return "a layer whose backward pass has the wrong sign"


@kind("layer", "detached_layer")
def detached(base: Base, random_: random.Random) -> str:
    base.tree["plugins"].append(WRONG_LAYERS)
    before_head(base, "clipped_by_data")
    return "a layer that cuts the gradient off"


@kind("layer", "eval_mode_batch_norm")
def batch_statistics_in_evaluation(base: Base, random_: random.Random) -> str:
    if not base.has("batch_norm"):
        return ""
    base.tree["plugins"].append(WRONG_LAYERS)
    change_layers(base, _replaced(("batch_norm",), ["batch_only_norm"]))
    return "batch normalisation that uses the batch's statistics in evaluation, too"


@kind("layer", "random_evaluation")
def noise_in_evaluation(base: Base, random_: random.Random) -> str:
    base.tree["plugins"].append(WRONG_LAYERS)
    before_head(base, {"constant_dropout": {"p": 0.5}})
    return "dropout in evaluation"
