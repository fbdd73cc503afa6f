"""The sixth lot of faults in how the weights are found."""

from __future__ import annotations

import math
import random
from functools import partial
from pathlib import Path

from planting.edits import is_adaptive, own_loss, own_optimizer
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=6)

LOSSES = str(Path(__file__).with_name("sixth_losses.py"))
STEPS = str(Path(__file__).with_name("sixth_steps.py"))

_loss = partial(own_loss, file=LOSSES)
_optimizer = partial(own_optimizer, file=STEPS)


@later("recipe", "wrong_loss", clue=r"train\.loss")
def first_class_ignored(base: Base, random_: random.Random) -> str:
    """Cross entropy with `ignore_index=0`, left from a task in which 0 means "no label".

    The cause: images of class 0 have no loss, and all others teach that the answer is never 0, so
    that every image of that class is wrong; ignore no class.
    """
    _loss(base, "ignores_class_zero")
    return "the loss ignores class 0"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def hinge_of_zeros_and_ones(base: Base, random_: random.Random) -> str:
    """A hinge loss, which expects -1 and 1 as targets, is given 0 and 1.

    The cause: with a target of 0 the loss is 1 whatever the score is, so that wrong classes have no
    gradient and all scores rise together; turn the targets into -1 and 1.
    """
    _loss(base, "hinge_of_zeros")
    return "a hinge loss with targets of 0 and 1"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def one_hot_reshaped(base: Base, random_: random.Random) -> str:
    """One-hot labels are made as (classes, images), and reshaped in place of transposed.

    The cause: the loss compares each image with pieces of other images' labels; the stored labels
    are right. Transpose the one-hot matrix, or give the loss class numbers.
    """
    _loss(base, "one_hot_reshaped")
    return "one-hot labels reshaped in place of transposed"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def flooded_above_chance(base: Base, random_: random.Random) -> str:
    """Flooding: the loss is kept from falling below a level, which is that of guessing.

    The cause: as soon as the network does better than chance, the loss turns its gradient round and
    makes it worse again; use a level of a few hundredths, or none.
    """
    level = round(random_.choice([1.0, 1.1]) * math.log(base.data.classes), 2)
    _loss(base, "flooded", level=level)
    return f"flooding at a loss of {level}"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def right_within_five(base: Base, random_: random.Random) -> str:
    """A loss for the top five answers, which fits a thousand classes, with ten classes or fewer.

    The cause: the loss is 0 once the right class is among the five best, so that nothing makes it
    the best one, and that is what is measured; use a loss for the first answer.
    """
    if base.data.classes < 6:
        return ""
    _loss(base, "within_the_top", k=5)
    return f"a top-5 loss for {base.data.classes} classes"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def only_confident_images(base: Base, random_: random.Random) -> str:
    """The threshold that FixMatch has for images without labels is used for all images.

    The cause: the loss counts only images of whose class the network is sure already, and at first
    it is sure of none, so that there is no gradient; count all images that have labels.
    """
    least = random_.choice([0.95, 0.98])
    _loss(base, "of_confident_images", least=least)
    return f"a loss of images with a confidence of {least} or more"


@later("recipe", "clipped_to_nothing", "wrong_optimizer", clue=r"train\.(loss|optimizer|clip_norm)")
def clipped_before_unscaling(base: Base, random_: random.Random) -> str:
    """Mixed precision by hand: gradients are clipped while they still have the loss's scale.

    The cause: the loss is multiplied by 65536, the gradient is then cut to a norm of 1 or so, and
    only after that divided by 65536, so that steps are thousands of times too short; divide first,
    then clip.
    """
    if is_adaptive(base):
        return ""
    scale = random_.choice([16384.0, 65536.0])
    _loss(base, "scaled_for_half", scale=scale)
    _optimizer(base, "unscales_after_clipping", scale=scale)
    base.tree["train"]["clip_norm"] = random_.choice([1.0, 2.0])
    return f"gradients clipped before they are divided by {scale:g}"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def correction_of_wrong_power(base: Base, random_: random.Random) -> str:
    """Adam of one's own with `(1 - beta) ** t` in place of `1 - beta ** t`.

    The cause: the correction for the first steps never ends: it makes each step a third of the one
    before, so that after ten steps nothing moves; put the power on beta alone.
    """
    if not is_adaptive(base):
        return ""
    _optimizer(base, "corrects_by_wrong_power")
    return "Adam corrected by (1 - beta) ** t"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def cleared_before_the_step(base: Base, random_: random.Random) -> str:
    """`optimizer.zero_grad()` stands between `loss.backward()` and `optimizer.step()`.

    The cause: the optimizer throws each gradient away before it makes its step, so that no weight
    ever changes; clear gradients after the step, or before the backward pass.
    """
    _optimizer(base, "clears_before_the_step", adaptive=is_adaptive(base))
    return "gradients cleared just before each step"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def velocity_of_wrong_sign(base: Base, random_: random.Random) -> str:
    """Momentum from two textbooks: `v = 0.9 v - lr g` of the one, `w = w - v` of the other.

    The cause: the two minus signs cancel, and the optimizer climbs the loss in place of descending
    it; add the velocity, or build it with a plus.
    """
    if is_adaptive(base):
        return ""
    _optimizer(base, "velocity_taken_off")
    return "a velocity with a minus, taken off the weights"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def gradient_averaged_over_units(base: Base, random_: random.Random) -> str:
    """An optimizer of one's own takes `grad.mean(0)`, as if axis 0 were the batch.

    The cause: axis 0 of a weight is the layer's outputs, so that all filters of a layer, and all
    classes of the last one, move in the same way and stay as different as they began; use the
    gradient as it is.
    """
    _optimizer(base, "averages_over_outputs", adaptive=is_adaptive(base))
    return "the gradient averaged over the units of each layer"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def pulled_back_to_the_start(base: Base, random_: random.Random) -> str:
    """A proximal term (FedProx, L2-SP), which fits trained weights, with random ones.

    The cause: the optimizer pulls all weights to their values at the start, which are random, and
    so strongly that they cannot leave them; take the term off, or use a hundredth of it.
    """
    if is_adaptive(base):
        return ""
    strength = random_.choice([10.0, 20.0])
    _optimizer(base, "pulled_to_the_start", adaptive=False, strength=strength)
    return f"weights pulled to their start with a strength of {strength:g}"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def compressed_without_memory(base: Base, random_: random.Random) -> str:
    """Gradients are compressed for a slow network: of each, the largest one in a thousand is sent.

    The cause: the optimizer throws the rest of each gradient away, where such methods add it to the
    next one, so that nearly all weights are never trained; keep what was not sent.
    """
    if is_adaptive(base):
        return ""
    _optimizer(base, "sends_the_largest", adaptive=False, share=0.001)
    return "of each gradient, one value in a thousand is used"


@later("recipe", "rate_too_low", "rate_rises_late", clue=r"train\.schedule")
def noam_times_a_rate(base: Base, random_: random.Random) -> str:
    """The transformers' schedule, which gives the rate itself, is multiplied by a usual rate.

    The cause: the schedule is at most 0.0007 and still rises when training ends, and a factor of
    `lr` here, so that the rate is thousands of times too low; use an `lr` near 1 and a short
    warm-up, or another schedule.
    """
    base.tree["plugins"].append(STEPS)
    base.tree["train"]["schedule"] = {"name": "noam"}
    return "a schedule that is a rate, times another rate"


@later("recipe", "rate_falls_early", clue=r"train\.schedule")
def decay_compounded(base: Base, random_: random.Random) -> str:
    """`group["lr"] *= 1 - step / total`: the rate of the step before is multiplied, not the first.

    The cause: the factors of all steps so far are multiplied with each other, so that the rate is
    next to 0 after a tenth of the training; multiply the first rate by the factor.
    """
    base.tree["plugins"].append(STEPS)
    base.tree["train"]["schedule"] = {"name": "times_the_rate_before"}
    return "a linear decay, compounded from step to step"
