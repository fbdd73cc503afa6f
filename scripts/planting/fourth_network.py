"""The fourth lot of faults in networks and in layers of one's own."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from planting.edits import ACTIVATIONS, change_layers, exchange_layers, has_objects, optimizer_of
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=4)

PARTS = str(Path(__file__).with_name("fourth_parts.py"))


def with_parts(base: Base) -> None:
    """Let the run file use what fourth_parts.py has."""
    base.tree["plugins"].append(PARTS)


def _end_of_maps(base: Base) -> int | None:
    """Where rectified maps are pooled or made flat."""
    if base.net in ("perceptron", "tanh", "grouped"):
        return None
    ends = ("global_avg_pool", "flatten")
    return next(i for i, item in enumerate(base.layers) if item in ends)


@later("network", "exploding_activations", "exploding_gradients", clue="leaky_relu")
def slope_of_a_hundred(base: Base, random_: random.Random) -> str:
    """The slope of leaky rectifiers is given as its reciprocal, as another library expects it.

    The cause: negative values are made a hundred times as large in each layer, and activations and
    gradients explode; the slope ought to be 0.01.
    """
    if base.has("_norm"):
        return ""
    exchange_layers(base, ACTIVATIONS, {"leaky_relu": {"slope": 100.0}})
    return "leaky rectifiers of slope 100"


@later("layer", "wrong_gradient", clue="relu_without_upstream")
def upstream_forgotten(base: Base, random_: random.Random) -> str:
    """A rectifier of one's own whose backward pass leaves out the gradient that comes from above.

    The cause: the backward pass gives the slope of the layer alone and not its product with the
    gradient of what follows, as finite differences show.
    """
    if not base.has("relu"):
        return ""
    with_parts(base)
    exchange_layers(base, ("relu", "leaky_relu"), "relu_without_upstream")
    return "rectifiers whose backward pass ignores what comes from above"


@later("layer", "detached_layer", "vanishing_gradients", clue="positions_of_maxima")
def positions_in_place_of_values(base: Base, random_: random.Random) -> str:
    """Max pooling of one's own hands on the indices of the maxima in place of the maxima.

    The cause: the pooling layer gives positions, through which no gradient passes, so that nothing
    below it learns; hand on the values.
    """
    if base.net not in ("lenet", "plain"):
        return ""
    with_parts(base)
    wrong = "positions_of_maxima"
    change_layers(
        base, lambda item: [wrong if isinstance(item, dict) and "max_pool" in item else item]
    )
    return "max pooling that gives indices"


@later("layer", "not_finite", clue="norm_without_epsilon")
def norm_without_epsilon(base: Base, random_: random.Random) -> str:
    """A normalisation of one's own divides by the deviation of each map, and adds nothing to it.

    The cause: a map that is constant for an image has deviation 0, and 0 / 0 is not a number; add
    a small epsilon below the root.
    """
    found = _end_of_maps(base)
    if found is None:
        return ""
    with_parts(base)
    base.layers.insert(found, "norm_without_epsilon")
    return "maps divided by a deviation that may be 0"


@later("layer", "stale_batch_norm", "other_in_evaluation", clue="norm_by_variance")
def divided_by_the_variance(base: Base, random_: random.Random) -> str:
    """Batch normalisation of one's own that forgets the root, in evaluation only.

    The cause: evaluation divides by the running variance where training divides by the deviation,
    so that the layer computes something else than what was trained; take the root in both.
    """
    if not base.has("batch_norm"):
        return ""
    with_parts(base)
    exchange_layers(base, ("batch_norm",), "norm_by_variance")
    return "batch normalisation that divides by the variance in evaluation"


@later("layer", "not_finite", clue="bilinear_pooling")
def root_of_zero(base: Base, random_: random.Random) -> str:
    """Bilinear pooling of rectified maps with signed square roots of the products.

    The cause: the slope of the root at 0 is infinite, and the gradient is not a number where a map
    is 0 all over; add a small number below the root.
    """
    found = _end_of_maps(base)
    if found is None:
        return ""
    with_parts(base)
    base.layers[found : found + 1] = ["bilinear_pooling"]
    return "bilinear pooling with the root of values that may be 0"


@later("layer", "vanishing_activations", clue="bytes_to_unit")
def rescaled_once_more(base: Base, random_: random.Random) -> str:
    """The network begins with a division by 255, and the images are normalised already.

    The cause: the network sees values near 0 that differ by a few thousandths; scale them once.
    """
    if base.has("batch_norm"):
        return ""
    with_parts(base)
    base.layers.insert(0, "bytes_to_unit")
    return "normalised images divided by 255"


@later("layer", "detached_layer", "vanishing_gradients", clue="rounded_to_levels")
def quantised_without_straight_through(base: Base, random_: random.Random) -> str:
    """Activations are rounded to few levels, as on a small chip, without a gradient for it.

    The cause: rounding has slope 0 everywhere, so that no layer below it learns; let the gradient
    pass straight through.
    """
    if not has_objects(base):
        return ""
    with_parts(base)
    rounded: Any = {"rounded_to_levels": {"levels": 4}}
    change_layers(base, lambda item: [item, rounded] if item in ACTIVATIONS else [item])
    return "activations rounded to quarters"


@later("layer", "exploding_gradients", clue="fast_sine")
def sine_of_high_frequency(base: Base, random_: random.Random) -> str:
    """Sines of frequency 30 as activations, from networks that represent a single image.

    The cause: the outputs swing with the smallest change of the input, so that training images are
    memorised or not at all; use a usual activation, or a frequency near 1.
    """
    with_parts(base)
    frequency = random_.choice([30.0, 60.0])
    exchange_layers(base, ACTIVATIONS, {"fast_sine": {"frequency": frequency}})
    return f"sines of frequency {frequency:g}"


@later(
    "layer",
    "exploding_activations",
    "exploding_gradients",
    "vanishing_activations",
    "vanishing_gradients",
    clue="squared",
)
def squared_activations(base: Base, random_: random.Random) -> str:
    """Squares as activations, as in networks that compute on encrypted images.

    The cause: values are squared from layer to layer, and activations and gradients explode or
    vanish; use another activation, or normalise in between.
    """
    if base.has("_norm") or optimizer_of(base)["name"] != "sgd":
        return ""
    with_parts(base)
    exchange_layers(base, ACTIVATIONS, "squared")
    return "squares as activations"


@later("layer", "too_much_dropout", "other_in_evaluation", clue="dropout_without_scale")
def dropout_never_rescaled(base: Base, random_: random.Random) -> str:
    """Dropout of one's own that scales nothing: in evaluation values are several times as large.

    The cause: evaluation sees other means than training; divide what is kept by 1 - p in training.
    """
    with_parts(base)
    p = random_.choice([0.7, 0.8])
    drop: Any = {"dropout_without_scale": {"p": p}}
    change_layers(base, lambda item: [item, drop] if item in ACTIVATIONS else [item])
    return f"dropout of {p} that scales nothing"
