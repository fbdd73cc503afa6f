"""The fifth lot of faults in how the weights are found."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from planting.edits import has_objects, is_adaptive, optimizer_of, own_loss, own_optimizer
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=5)

LOSSES = str(Path(__file__).with_name("fifth_losses.py"))
STEPS = str(Path(__file__).with_name("fifth_steps.py"))
PARTS = str(Path(__file__).with_name("fifth_parts.py"))

_loss = partial(own_loss, file=LOSSES)
_optimizer = partial(own_optimizer, file=STEPS)


@later("recipe", "wrong_loss", clue=r"train\.loss")
def divergence_of_probabilities(base: Base, random_: random.Random) -> str:
    """`kl_div` is given the softmax, where it expects the logarithm of the softmax.

    The cause: the loss is minus the mean probability of the right class, divided by the number of
    classes, and has next to no gradient for an image that is wrong; pass `log_softmax` (and sum
    over the classes), or use cross entropy.
    """
    if is_adaptive(base) or not has_objects(base) or base.has("batch_norm"):
        return ""  # they make up for the length of the gradient
    _loss(base, "divergence_of_probabilities")
    return "a KL divergence of probabilities that are not logarithms"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def margin_in_degrees(base: Base, random_: random.Random) -> str:
    """An angular margin (ArcFace) is given in degrees, where the loss expects radians.

    The cause: with a margin of several full turns the loss is lowest where the features point away
    from the right class, so that it trains the wrong answer; give half a radian.
    """
    base.layers[-1] = {"cosines": {"out": "$num_classes"}}
    base.tree["plugins"].append(PARTS)
    margin = random_.choice([28.6, 35.0])
    _loss(base, "angular_margin", margin=margin)
    return f"an angular margin of {margin} radians"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def clamped_where_wrong(base: Base, random_: random.Random) -> str:
    """Against log(0) probabilities are clamped from below, at 0.3 in place of 1e-7.

    The cause: an image whose right class has a probability below the clamp has no gradient, and at
    first these are nearly all of them; clamp at a tiny number, or use cross entropy of scores.
    """
    if base.data.classes < 4:
        return ""
    least = random_.choice([0.3, 0.4])
    _loss(base, "clamped_probabilities", least=least)
    return f"probabilities clamped at {least} before the logarithm"


@later("recipe", "wrong_loss", "not_finite", clue=r"train\.loss")
def zero_times_infinity(base: Base, random_: random.Random) -> str:
    """Binary cross entropy by its formula in float16: a probability near 1 is rounded to 1.

    The cause: `0 * log(0)` is not a number, and this happens as soon as the network is sure of an
    image; compute the loss in float32 and from scores (softplus), not from probabilities.
    """
    _loss(base, "entropy_in_half")
    return "binary cross entropy by its formula in float16"


@later("recipe", "wrong_loss", "rate_too_low", clue=r"train\.loss")
def divided_by_all_images(base: Base, random_: random.Random) -> str:
    """The loss, a mean over the batch, is divided by the number of all images before `backward`.

    The cause: loss and gradient are thousands of times too small for the learning rate, so that
    plain gradient descent hardly moves; divide only the figure that is shown.
    """
    if is_adaptive(base):
        return ""
    images = random_.choice([2000, 60000])
    _loss(base, "divided_by_all_images", images=images)
    return f"the mean loss divided by {images}"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def temperature_of_a_teacher(base: Base, random_: random.Random) -> str:
    """The scores are divided by a large temperature, left from a try at distillation.

    The cause: divided by hundreds, the scores leave the softmax nearly uniform, and the gradient is
    smaller by as much, so that gradient descent hardly learns; use a temperature of 1 for labels.
    """
    if is_adaptive(base):
        return ""
    temperature = random_.choice([300.0, 1000.0])
    _loss(base, "softened", temperature=temperature)
    return f"scores divided by {temperature:g} in the loss"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def one_batch_behind(base: Base, random_: random.Random) -> str:
    """The loop compares the outputs with the labels of the batch before: a variable is set late.

    The cause: the loss is given labels of other images, so that there is nothing to learn from
    them; the stored labels are right. Take images and labels from the same batch.
    """
    _loss(base, "one_batch_behind")
    return "the labels of the batch before"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def only_the_first_of_a_batch(base: Base, random_: random.Random) -> str:
    """The loss is that of `outputs[0]` and `labels[0]`, left from a test with a single image.

    The cause: of each batch one image is learnt from and the others are ignored, so that steps are
    few and full of noise; use the whole batch.
    """
    _loss(base, "first_of_each_batch")
    return "the loss of the first image of each batch"


@later("recipe", "wrong_loss", "squashed_outputs", clue=r"train\.loss|sigmoid")
def squares_of_sigmoids(base: Base, random_: random.Random) -> str:
    """Squared error of sigmoids, as in the textbooks of old, with gradient descent.

    The cause: where a sigmoid is near 0 or 1 the gradient of the squared error vanishes, so that
    all outputs go to 0 and stay there; use cross entropy, of scores.
    """
    if is_adaptive(base) or base.net == "perceptron" or base.has("batch_norm"):
        return ""
    if not has_objects(base):
        return ""
    base.layers.append("sigmoid")
    base.tree["train"]["loss"] = {"name": "mse"}
    return "mean squared error of sigmoids"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def rprop_on_batches(base: Base, random_: random.Random) -> str:
    """Resilient propagation, which goes by signs from step to step, with small batches.

    The cause: Rprop is made for the gradient of all images; from batch to batch signs change by
    chance, so that step lengths have nothing to do with the slope. Use SGD, RMSprop or Adam.
    """
    if not has_objects(base) or base.has("batch_norm"):
        return ""
    _optimizer(base, "rprop")
    return "resilient propagation with small batches"


@later("recipe", "wrong_optimizer", "rate_too_low", clue=r"train\.optimizer")
def adadelta_at_the_rate_of_adam(base: Base, random_: random.Random) -> str:
    """Adadelta with a rate of 0.001, the default that Keras gave it, where its paper has 1.

    The cause: Adadelta finds the length of its steps by itself, and a rate of 0.001 makes them a
    thousand times too short; set the rate to 1.
    """
    _optimizer(base, "adadelta")
    optimizer_of(base)["lr"] = 0.001
    return "Adadelta with a rate of 0.001"


@later("recipe", "wrong_optimizer", "few_steps", clue=r"train\.optimizer")
def step_after_the_loop(base: Base, random_: random.Random) -> str:
    """`optimizer.step()` is indented too little: it runs once an epoch, for the last batch.

    The cause: of each epoch only the gradient of one batch is used, so that there are as many steps
    as epochs; make a step for each batch.
    """
    batches = 1500 // base.tree["data"]["batch_size"]
    _optimizer(base, "steps_after_the_loop", adaptive=is_adaptive(base), batches=batches)
    return f"one step in {batches} batches, with the gradient of the last one"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def decay_of_wrong_sign(base: Base, random_: random.Random) -> str:
    """Decoupled weight decay of one's own that adds a share of the weights in each step.

    The cause: weights grow exponentially in place of shrinking; take the decay off.
    """
    if is_adaptive(base):
        return ""
    decay = random_.choice([1.0, 2.0])
    _optimizer(base, "grows_weights", adaptive=False, decay=decay)
    return f"weight decay of {decay:g} with the wrong sign"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def updates_rounded_away(base: Base, random_: random.Random) -> str:
    """Weights are kept in eight bits during training, without a copy of full precision.

    The cause: most changes of a step are smaller than half the distance to the next number of
    eight bits and are rounded away; keep weights in float32 and round copies of them.
    """
    if not has_objects(base):
        return ""
    _optimizer(base, "keeps_eight_bits", adaptive=is_adaptive(base))
    return "weights rounded to eight bits after each step"


@later("recipe", "rate_falls_early", clue=r"train\.schedule")
def rate_in_whole_numbers(base: Base, random_: random.Random) -> str:
    """A linear decay of one's own divides whole numbers (`//`): the factor is 0 after one step.

    The cause: the schedule rounds the factor of the learning rate down to 0, so that nothing is
    learnt after the first step; divide with `/`.
    """
    base.tree["plugins"].append(STEPS)
    base.tree["train"]["schedule"] = {"name": "whole_numbers"}
    return "a rate that is rounded down to 0"
