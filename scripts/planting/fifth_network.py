"""The fifth lot of faults in networks and in layers of one's own."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from planting.edits import (
    ACTIVATIONS,
    after_first_activation,
    before_head,
    change_layers,
    exchange_layers,
    has_objects,
    optimizer_of,
    rename_layers,
)
from planting.healthy import HEAD, POOL, Base, conv
from planting.kinds import kind

later = partial(kind, lot=5)

PARTS = str(Path(__file__).with_name("fifth_parts.py"))


def with_parts(base: Base) -> None:
    """Let the run file use what fifth_parts.py has."""
    base.tree["plugins"].append(PARTS)


@later("network", "unseen_pixels", clue="channel_slice")
def reads_one_channel(base: Base, random_: random.Random) -> str:
    """The network begins with `x[:, :1]`, left from a program for grey images.

    The cause: only red is read, and classes that differ by hue look alike in it; read all channels.
    """
    if base.data.hue:
        return ""
    base.layers.insert(0, {"channel_slice": {"start": 0, "stop": 1}})
    return "only the first of three channels is read"


@later("network")
def nothing_but_dense_layers(base: Base, random_: random.Random) -> str:
    """A perceptron is used for objects that may be anywhere in the image.

    The cause: each place has weights of its own, so that what was learnt at one place does not help
    at another; use convolutions.
    """
    if base.data.name not in ("planted_shapes", "planted_arrows"):
        return ""
    width = random_.choice([64, 128])
    dense: Any = {"linear": {"out": width}}
    base.tree["arch"]["layers"] = ["flatten", dense, "relu", dense, "relu", HEAD]
    return f"a perceptron of {width} and {width} units"


@later("network", "pooled_early")
def patches_of_large_images(base: Base, random_: random.Random) -> str:
    """Patches of 16 pixels or so, right for images of 224, where four of them cover the image.

    The cause: the first layer's kernel and stride are half of the image, so that where anything is
    within a patch has to be learnt place by place; use small kernels and strides.
    """
    if not has_objects(base):
        return ""
    side = base.data.size // 2
    first = conv(24, kernel=side, stride=side)
    first["conv"]["padding"] = 0
    mixed = conv(24, kernel=1)
    layers = [first, "batch_norm", "relu", mixed, "batch_norm", "relu", "global_avg_pool", HEAD]
    base.tree["arch"]["layers"] = layers
    return f"the image is cut into four patches of {side} x {side}"


@later("layer", "stale_batch_norm", "other_in_evaluation", clue="convolutions_with_one_norm")
def one_norm_for_all(base: Base, random_: random.Random) -> str:
    """A block makes one batch normalisation and uses it behind each of its convolutions.

    The cause: its running statistics are a mixture of those of several layers and right for none,
    so that evaluation computes something else than training; make one for each convolution.
    """
    if not base.has("batch_norm"):
        return ""
    with_parts(base)
    depth = random_.choice([3, 4])
    after_first_activation(base, {"convolutions_with_one_norm": {"depth": depth}})
    return f"one batch normalisation for {depth} convolutions"


@later("layer", "vanishing_activations", "exploding_activations", clue="raw_coordinates")
def coordinates_in_pixels(base: Base, random_: random.Random) -> str:
    """The coordinates of each pixel are added as channels, as numbers up to the image's size.

    The cause: these two channels are tens of times as large as the normalised pixels and drown
    them in the first layer; scale coordinates to -1 to 1.
    """
    if base.net not in ("lenet", "plain") or optimizer_of(base)["name"] != "sgd":
        return ""
    if base.data.size < 16 or not has_objects(base):
        return ""  # few pixels, and so small coordinates; or colours, which outweigh them
    with_parts(base)
    base.layers.insert(0, "raw_coordinates")
    return "two channels with coordinates in pixels"


@later("layer", "detached_layer", "eval_mode_batch_norm", clue="kept_by_shape")
def kept_from_the_first_batch(base: Base, random_: random.Random) -> str:
    """A layer caches its result by the shape of the batch, which is nearly always the same.

    The cause: it hands on the values of the first batch for all others, so that the output does not
    depend on the image, and no gradient passes; remove the cache.
    """
    with_parts(base)
    before_head(base, "kept_by_shape")
    return "a layer that hands on the first batch for ever"


@later("layer", "wrong_gradient")
def weight_gradient_reshaped(base: Base, random_: random.Random) -> str:
    """Linear layers of one's own: the weights' gradient gets its shape by `reshape`, not by `.T`.

    The cause: the gradient's values are at the wrong weights, as finite differences show;
    transpose it.
    """
    if not has_objects(base) or base.has("_norm"):
        return ""
    with_parts(base)
    rename_layers(base, "linear", "linear_by_hand")
    return "linear layers whose weight gradient is reshaped"


@later("layer", "detached_layer")
def weights_copied_in_forward(base: Base, random_: random.Random) -> str:
    """Convolutions of one's own that make a new tensor of their weights in each forward pass.

    The cause: the copy cuts the gradient off, so that the convolutions stay as random as they
    began; use the parameters themselves.
    """
    if base.net == "perceptron" or not has_objects(base):
        return ""
    with_parts(base)
    rename_layers(base, "conv", "conv_of_a_copy")
    return "convolutions with copies of their weights"


@later("layer", "detached_layer", clue="result_discarded")
def result_discarded(base: Base, random_: random.Random) -> str:
    """A loop calls each convolution but forgets `x =`: what they give is thrown away.

    The cause: the convolutions have no effect and no gradient, and what remains is a linear
    classifier of pixels; assign the result.
    """
    if base.data.name in ("planted_digits", "planted_mnist", "planted_horses"):
        return ""  # a linear network does them well enough
    with_parts(base)
    depth = random_.choice([3, 4])
    base.tree["arch"]["layers"] = [{"result_discarded": {"depth": depth}}, POOL, "flatten", HEAD]
    return f"the results of {depth} convolutions are thrown away"


@later("layer", "wrong_gradient", "vanishing_gradients", clue="scaled_gradient")
def gradient_scaled_away(base: Base, random_: random.Random) -> str:
    """A layer that scales the gradient (as for two tasks) by a factor that is far too small.

    The cause: its backward pass makes the gradient thousands of times smaller, so that all layers
    below it hardly learn, as finite differences show; remove it, or use a factor near 1.
    """
    if optimizer_of(base)["name"] != "sgd" or base.net == "perceptron":
        return ""
    with_parts(base)
    factor = random_.choice([1e-4, 1e-5])
    before_head(base, {"scaled_gradient": {"factor": factor}})
    return f"the gradient times {factor:g} below the last layer"


@later("layer", "other_in_evaluation", clue="mask_drawn_once")
def mask_drawn_once(base: Base, random_: random.Random) -> str:
    """Dropout of one's own draws its mask when it is made, and uses it for all of training.

    The cause: the same units are off in all of training and on in evaluation, where what they give
    was never trained; draw a mask in each forward pass.
    """
    with_parts(base)
    p = random_.choice([0.5, 0.7])
    drop: Any = {"mask_drawn_once": {"p": p}}
    change_layers(base, lambda item: [item, drop] if item in ACTIVATIONS else [item])
    return f"dropout of {p} with a mask drawn once"


@later("layer", "large_initial_loss", "exploding_activations", clue="sum_of_places")
def summed_over_places(base: Base, random_: random.Random) -> str:
    """Global pooling of one's own adds up each map and does not divide by its size.

    The cause: features are as many times too large as a map has places, so that the first loss is
    large and the rate too high for the last layer; take the mean.
    """
    if "global_avg_pool" not in base.layers or optimizer_of(base)["name"] != "sgd":
        return ""
    with_parts(base)
    exchange_layers(base, ("global_avg_pool",), "sum_of_places")
    return "the sum of each map in place of its mean"


@later("layer", "not_finite", clue="logarithm")
def logarithm_of_normalised(base: Base, random_: random.Random) -> str:
    """The network begins with a logarithm, as for spectra, and the images are normalised.

    The cause: normalised pixels are negative for a good part, and have no logarithm, so that the
    first loss is not a number; take the logarithm before, or not at all.
    """
    with_parts(base)
    base.layers.insert(0, "logarithm")
    return "the logarithm of normalised pixels"
