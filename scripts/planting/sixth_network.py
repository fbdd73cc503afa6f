"""The sixth lot of faults in networks and in layers of one's own."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from planting.edits import (
    ACTIVATIONS,
    after_first_activation,
    before_head,
    exchange_layers,
    has_objects,
    is_adaptive,
    rename_layers,
)
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=6)

PARTS = str(Path(__file__).with_name("sixth_parts.py"))


def with_parts(base: Base) -> None:
    """Let the run file use what sixth_parts.py has."""
    base.tree["plugins"].append(PARTS)


def _exchange_pooling(base: Base, by: str) -> None:
    """A layer in place of what turns maps into features."""
    ends = ("global_avg_pool", "flatten")
    at = next(i for i, item in enumerate(base.layers) if item in ends)
    base.layers[at] = by


@later("layer", "unseen_pixels", clue="first_place")
def first_place_only(base: Base, random_: random.Random) -> str:
    """The features are `x[:, :, 0, 0]`, as one takes the first token of a transformer.

    The cause: the first place of the maps is the image's upper left corner, and all else is thrown
    away; take the mean of all places, or make the maps flat.
    """
    if base.net == "perceptron" or not has_objects(base):
        return ""
    with_parts(base)
    _exchange_pooling(base, "first_place")
    return "the first place of each map alone"


@later("layer", "vanishing_activations", "vanishing_gradients", clue="spatial_attention")
def attention_over_all_places(base: Base, random_: random.Random) -> str:
    """Spatial attention of one's own has a softmax over all places, and nothing scales it back.

    The cause: the weights of hundreds of places sum to 1, so that all values become hundreds of
    times smaller, and so do gradients; use a sigmoid, or multiply by the number of places.
    """
    if base.net not in ("lenet", "plain", "tanh") or is_adaptive(base) or base.data.size < 16:
        return ""
    with_parts(base)
    after_first_activation(base, "spatial_attention")
    return "attention whose weights sum to 1 over all places"


@later("layer", "eval_mode_batch_norm", clue="self_attention")
def attention_across_the_batch(base: Base, random_: random.Random) -> str:
    """Self-attention that expects (sequence, batch, features) is given the batch first.

    The cause: images of a batch attend to each other, so that the output for an image is a mixture
    of other images, in evaluation, too; bring the axes into the right order (`batch_first`).
    """
    with_parts(base)
    before_head(base, "self_attention")
    return "attention between the images of a batch"


@later(
    "layer",
    "large_initial_loss",
    "exploding_activations",
    "exploding_gradients",
    clue="shares_of_the_sum",
)
def divided_by_their_sum(base: Base, random_: random.Random) -> str:
    """Scores of either sign are divided by their sum, to make them probabilities.

    The cause: scores have sums near 0 or below, so that the outputs are huge or have the wrong
    sign, and jump; hand on the scores as they are.
    """
    with_parts(base)
    base.layers.append("shares_of_the_sum")
    return "scores divided by their sum"


@later("layer", "vanishing_activations", "vanishing_gradients", clue="conv_of_means")
def mean_over_the_window(base: Base, random_: random.Random) -> str:
    """Convolutions of one's own take the mean of a window's products, as image filters do.

    The cause: each layer divides by the number of its weights per filter, so that signal and
    gradient vanish from layer to layer; take the sum.
    """
    if base.net not in ("lenet", "plain", "tanh") or is_adaptive(base):
        return ""
    with_parts(base)
    rename_layers(base, "conv", "conv_of_means")
    return "convolutions that average over their windows"


@later("layer", "wrong_gradient", clue="tanh_by_hand")
def slope_from_the_input(base: Base, random_: random.Random) -> str:
    """A tanh of one's own: the slope, `1 - y ** 2` of the output y, is computed from the input.

    The cause: for inputs beyond 1 the backward pass has the wrong sign and any size, as finite
    differences show; use the output.
    """
    if is_adaptive(base) or not base.has("_norm"):
        return ""  # Adam bears it, and without norms few inputs are beyond 1
    with_parts(base)
    exchange_layers(base, ACTIVATIONS, "tanh_by_hand")
    return "tanh whose slope is computed from its input"


@later("layer", "wrong_gradient", clue="norm_without_gradient")
def statistics_without_gradient(base: Base, random_: random.Random) -> str:
    """Batch normalisation of one's own computes mean and variance under `torch.no_grad()`.

    The cause: the backward pass takes them for constants, so that the gradient is wrong, as finite
    differences show; let the gradient pass through both.
    """
    if not base.has("batch_norm"):
        return ""
    with_parts(base)
    exchange_layers(base, ("batch_norm",), "norm_without_gradient")
    return "batch normalisation without the gradient of its statistics"


@later("layer", "random_evaluation", "other_in_evaluation", clue="random_turns")
def turned_in_the_network(base: Base, random_: random.Random) -> str:
    """The network begins with a random rotation that does not ask whether it is training.

    The cause: images are turned by any quarter in evaluation, too, so that answers differ from one
    call to the next, and which way is up is lost; turn in training only, and by less.
    """
    if base.data.turn or base.data.name == "planted_shapes":
        return ""  # what they show is the same in any direction
    with_parts(base)
    base.layers.insert(0, "random_turns")
    return "images turned at random in training and evaluation"


@later("layer", "vanishing_activations", "vanishing_gradients", "saturated_units", clue="gated")
def gates_begin_closed(base: Base, random_: random.Random) -> str:
    """Gates of a highway network, whose biases begin below 0, on a path without a shortcut.

    The cause: a gate of bias -10 lets a twenty-thousandth of the signal and of the gradient pass;
    begin with open gates, or carry the input past them.
    """
    if is_adaptive(base):
        return ""
    with_parts(base)
    closed = random_.choice([8, 10])
    before_head(base, {"gated": {"closed": closed}})
    return f"gates with a bias of -{closed}"


@later("layer", "vanishing_activations", "exploding_activations", clue="white_border")
def white_border_after_normalising(base: Base, random_: random.Random) -> str:
    """Images are padded with 255, a white byte, inside the network, where they are normalised.

    The cause: the border is a hundred times as large as all that the image shows, so that it
    drowns the image in the first layers; pad with 0, or before normalising.
    """
    if base.has("_norm") or base.net == "perceptron":
        return ""
    with_parts(base)
    width = random_.choice([2, 4])
    base.layers.insert(0, {"white_border": {"width": width}})
    return f"a border of {width} pixels of 255"
