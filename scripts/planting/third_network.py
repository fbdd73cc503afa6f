"""The third lot of faults in networks and in layers of one's own."""

from __future__ import annotations

import random
from functools import partial

from planting.edits import (
    ACTIVATIONS,
    after_first_activation,
    before_head,
    change_layers,
    exchange_layers,
    has_objects,
)
from planting.healthy import HEAD, POOL, Base, conv
from planting.kinds import kind
from planting.third_recipe import with_parts

later = partial(kind, lot=3)


@later("network", "vanishing_activations", clue="group_norm|global_avg_pool")
def instance_norm_before_mean(base: Base, random_: random.Random) -> str:
    """Each map is normalised by itself just before its mean is taken: the mean is the same for all.

    The cause: the features of the last layer do not depend on the image.
    """
    if base.net not in ("normed", "residual"):
        return ""
    maps = 32 if base.net == "normed" else 24
    at = base.layers.index("global_avg_pool")
    base.layers.insert(at, {"group_norm": {"groups": maps}})
    return "instance normalisation before global average pooling"


@later("network", "vanishing_activations", "vanishing_gradients", "dead_units")
def deep_without_shortcuts(base: Base, random_: random.Random) -> str:
    """Dozens of rectified convolutions with neither norms nor shortcuts between them.

    The cause: too deep for plain layers, signal and gradient vanish.
    """
    depth = random_.choice([24, 30])
    stem = [conv(12, stride=2 if base.data.size > 12 else 1), "relu", POOL]
    base.tree["arch"]["layers"] = [*stem, *[conv(12), "relu"] * depth, "global_avg_pool", HEAD]
    return f"{depth} plain convolutions"


@later("network", "vanishing_activations", "vanishing_gradients", clue="layer_scale")
def layer_scale_without_shortcut(base: Base, random_: random.Random) -> str:
    """Layer scale, which begins at a millionth, on the only path and not beside a shortcut.

    The cause: the signal begins a million times too small, and so does the gradient.
    """
    change_layers(base, lambda item: [item, "layer_scale"] if item in ACTIVATIONS else [item])
    return "layer scale behind each activation, without shortcuts"


@later("network", "large_initial_loss", "exploding_activations", "exploding_gradients", clue="gain")
def cold_scores(base: Base, random_: random.Random) -> str:
    """The scores are multiplied by 1000 before the softmax (divided by a tiny temperature).

    The cause: the softmax is saturated from the start, the loss is huge and jumps.
    """
    factor = random_.choice([1000.0, 3000.0])
    base.layers.append({"gain": {"initial": factor}})
    return f"scores times {factor:g}"


@later("network", "stale_batch_norm", "too_much_dropout")
def dropout_before_norm(base: Base, random_: random.Random) -> str:
    """Dropout just above each batch normalisation: in evaluation the variance is another one.

    The cause: running statistics were measured with dropout and are used without.
    """
    if not has_objects(base) or not base.has("batch_norm"):
        return ""
    p = random_.choice([0.7, 0.8])
    change_layers(
        base, lambda item: [{"dropout": {"p": p}}, item] if item == "batch_norm" else [item]
    )
    return f"dropout of {p} before each batch normalisation"


@later("network", "pooled_early", "bottleneck", clue="adaptive_avg_pool|upsample")
def places_forgotten(base: Base, random_: random.Random) -> str:
    """Each map is averaged to one value early on, and enlarged to its former size again.

    The cause: behind that layer nothing is known of where anything is in the image.
    """
    if not has_objects(base) or base.net not in ("lenet", "plain", "tanh"):
        return ""
    one, large = {"adaptive_avg_pool": {"out": 1}}, {"upsample": {"size": base.data.size}}
    after_first_activation(base, one, large)
    return "maps averaged to one value, and enlarged again"


@later("network", "vanishing_activations", "unseen_pixels", clue="group_norm")
def colours_normalised_away(base: Base, random_: random.Random) -> str:
    """Instance normalisation of the images, where the colour of the whole image is the class.

    The cause: each channel of each image gets mean 0, the colours are lost.
    """
    if base.data.name != "planted_colours":
        return ""
    base.layers.insert(0, {"group_norm": {"groups": 3}})
    return "instance normalisation of images that differ by colour"


@later("layer", "eval_mode_batch_norm", clue="viewed_in_wrong_order")
def viewed_in_wrong_order(base: Base, random_: random.Random) -> str:
    """`view` in place of `permute` in a layer: values of different images are mixed.

    The cause: the output for an image depends on other images of its batch.
    """
    with_parts(base)
    after_first_activation(base, "viewed_in_wrong_order")
    return "a layer that mixes the images of a batch"


@later("layer", "random_evaluation", "detached_layer", clue="made_in_forward")
def made_in_forward(base: Base, random_: random.Random) -> str:
    """A linear layer is made in each forward pass, so its weights are drawn each time.

    The cause: the layer has no parameters and is random in evaluation, too.
    """
    with_parts(base)
    before_head(base, {"made_in_forward": {"out": 48}}, "relu")
    return "a layer made in the forward pass"


@later("layer", "frozen_layer", "detached_layer", clue="in_a_list")
def convolutions_in_a_list(base: Base, random_: random.Random) -> str:
    """Convolutions in a plain Python list: they are not registered and never learn.

    The cause: the network has hardly any parameters, its convolutions stay random.
    """
    with_parts(base)
    depth = random_.choice([3, 4])
    base.tree["arch"]["layers"] = [{"in_a_list": {"depth": depth}}, HEAD]
    return f"{depth} convolutions that are not registered"


@later("layer", "wrong_gradient")
def relu_of_wrong_mask(base: Base, random_: random.Random) -> str:
    """A rectifier of one's own whose backward pass keeps the gradient of the units that are off.

    The cause: the backward pass is wrong, as finite differences show.
    """
    if not base.has("relu"):
        return ""
    with_parts(base)
    exchange_layers(base, ("relu", "leaky_relu"), "relu_of_wrong_mask")
    return "rectifiers with the wrong mask in the backward pass"


@later("layer", "random_evaluation", "eval_mode_batch_norm", clue="state_never_reset")
def state_never_reset(base: Base, random_: random.Random) -> str:
    """A layer adds up what it gave for all batches before and is never reset.

    The cause: the output for an image depends on what was computed before it.
    """
    if not has_objects(base) or base.net == "perceptron":
        return ""
    with_parts(base)
    before_head(base, {"state_never_reset": {"kept": 1.0}})
    return "a layer whose state grows from batch to batch"
