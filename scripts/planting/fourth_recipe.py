"""The fourth lot of faults in how the weights are found."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

from planting.edits import is_adaptive, own_loss, own_optimizer
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=4)

LOSSES = str(Path(__file__).with_name("fourth_losses.py"))
STEPS = str(Path(__file__).with_name("fourth_steps.py"))

_loss = partial(own_loss, file=LOSSES)
_optimizer = partial(own_optimizer, file=STEPS)


def _schedule(base: Base, name: str, **more: Any) -> None:
    """A schedule of fourth_steps.py."""
    base.tree["plugins"].append(STEPS)
    base.tree["train"]["schedule"] = {"name": name, **more}


@later("recipe", "wrong_loss", "large_initial_loss", "exploding_gradients", clue=r"train\.loss")
def endless_margin(base: Base, random_: random.Random) -> str:
    """A hinge loss with a margin that belongs to scores of another scale.

    The cause: the margin is hundreds of times as wide as scores differ, so that the squared loss
    and its gradient are huge; use a margin near 1.
    """
    if is_adaptive(base):
        return ""  # it makes up for the length of the gradient
    margin = random_.choice([300.0, 1000.0])
    base.tree["train"]["loss"] = {"name": "hinge", "margin": margin, "squared": True}
    return f"squared hinge loss with a margin of {margin:g}"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def sign_forgotten(base: Base, random_: random.Random) -> str:
    """A cross entropy of one's own without the minus: training makes the right class unlikely.

    The cause: the loss has the wrong sign, it falls below 0 for ever while the error rises; put a
    minus before the mean logarithm.
    """
    _loss(base, "sign_forgotten")
    return "the mean logarithm without a minus"


@later("recipe", "wrong_loss", "detached_layer", clue=r"train\.loss")
def answers_rounded(base: Base, random_: random.Random) -> str:
    """The error rate itself is used as the loss: probabilities are rounded to yes or no.

    The cause: rounding has no gradient, so the loss does not reach any weight; use cross entropy.
    """
    _loss(base, "answers_rounded")
    return "a loss of rounded probabilities"


@later("recipe", "wrong_loss", "labels_shifted", clue=r"train\.loss")
def counted_from_one(base: Base, random_: random.Random) -> str:
    """The loss takes 1 off each label, as if they were counted from 1; evaluation does not.

    The cause: the loss teaches the class before the right one, so nearly every answer is wrong in
    evaluation while the training loss is low; use labels as they are.
    """
    _loss(base, "counted_from_one")
    return "labels less 1 in the loss"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def easiest_images_only(base: Base, random_: random.Random) -> str:
    """A loss against wrong labels keeps the images of lowest loss only, and far too few of them.

    The cause: most images, and soon whole classes, are taken for noise and never learnt; keep
    nearly all of them, or use plain cross entropy.
    """
    share = random_.choice([0.05, 0.1])
    _loss(base, "easiest_images_only", share=share)
    return f"the loss of the easiest {share:.0%} of a batch"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def negatives_forgotten(base: Base, random_: random.Random) -> str:
    """Binary cross entropy of one's own with the term of the right class only.

    The cause: nothing in the loss lowers the score of a wrong class, so it falls to 0 with high
    scores for all classes; add the term of the classes that are wrong.
    """
    _loss(base, "positives_only")
    return "binary cross entropy without its second term"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def indexed_without_rows(base: Base, random_: random.Random) -> str:
    """The loss picks `[:, labels]` in place of `[range(N), labels]`.

    The cause: each image is compared with the labels of all images of its batch, so that the best
    answer is how frequent each class is; pick one value per row.
    """
    _loss(base, "indexed_without_rows")
    return "the loss of each image for all labels of the batch"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def believes_itself(base: Base, random_: random.Random) -> str:
    """Bootstrapping with the shares exchanged: the target is mostly the network's own answer.

    The cause: the loss confirms whatever the network answers, and labels hardly count; give most
    of the weight to the label.
    """
    trust = random_.choice([0.95, 0.98])
    _loss(base, "believes_itself", trust=trust)
    return f"{trust:.0%} of the target is the network's own answer"


@later("recipe", "wrong_loss", clue=r"train\.loss")
def pulled_to_one_centre(base: Base, random_: random.Random) -> str:
    """A centre loss with one centre for all images in place of one for each class.

    The cause: a term of the loss pulls the outputs of all images together, whatever their class,
    and outweighs the cross entropy; use the centre of each class, and a small weight.
    """
    weight = random_.choice([10.0, 30.0])
    _loss(base, "pulled_together", weight=weight)
    return f"outputs pulled to one centre with weight {weight:g}"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def gradients_never_cleared(base: Base, random_: random.Random) -> str:
    """A training loop without `zero_grad`: each step uses the sum of all gradients so far.

    The cause: gradients are added up from step to step and never cleared; set them to 0 in each
    step.
    """
    _optimizer(base, "never_cleared", adaptive=is_adaptive(base))
    return "gradients added up over all steps"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def back_to_slow_weights(base: Base, random_: random.Random) -> str:
    """Lookahead of one's own that never moves its slow weights, to which it returns.

    The cause: every few steps the optimizer sets all weights back to those at the start, so that
    nothing learnt lasts; move the slow weights before the fast ones are set to them.
    """
    every = random_.choice([5, 8])
    _optimizer(base, "back_to_slow", adaptive=is_adaptive(base), every=every)
    return f"all weights set back every {every} steps"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def root_forgotten(base: Base, random_: random.Random) -> str:
    """Adam of one's own without the square root.

    The cause: the step is divided by the mean square of the gradient, so it is largest where the
    gradient is smallest, and far too large; divide by the root.
    """
    if not is_adaptive(base) or base.has("batch_norm"):
        return ""
    _optimizer(base, "root_forgotten")
    return "Adam without the root"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def weights_clipped_as_a_critic(base: Base, random_: random.Random) -> str:
    """After each step all weights are cut off at 0.01, which was copied from a critic of a GAN.

    The cause: weights are kept far too small for the signal to pass; do not clip weights.
    """
    if base.has("batch_norm"):
        return ""
    _optimizer(base, "clips_weights", adaptive=is_adaptive(base))
    return "weights clipped at 0.01"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def private_beyond_use(base: Base, random_: random.Random) -> str:
    """Private training: so much noise is added to the gradient that nothing is left of it.

    The cause: the optimizer's noise is many times as large as the gradient; use less of it, or
    far larger batches.
    """
    noise = random_.choice([1.0, 3.0])
    _optimizer(base, "adds_noise", adaptive=is_adaptive(base), noise=noise)
    return f"noise of {noise:g} on each gradient"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def pruned_before_training(base: Base, random_: random.Random) -> str:
    """A mask for a trained network is made before training: nearly all weights are 0 and stay so.

    The cause: the optimizer keeps 98 % of the weights or more at 0; prune after training, or less.
    """
    share = random_.choice([0.98, 0.99])
    _optimizer(base, "prunes", adaptive=is_adaptive(base), share=share)
    return f"{share:.0%} of the weights kept at 0"


@later("recipe", "wrong_optimizer", clue=r"train\.optimizer")
def gradients_of_long_ago(base: Base, random_: random.Random) -> str:
    """Workers that send gradients late: each step uses the gradient of many steps ago.

    The cause: the gradients belong to weights that have long since changed, so that steps overshoot
    and swing; apply each gradient at once, or lower the rate greatly.
    """
    age = random_.choice([30, 50])
    _optimizer(base, "comes_late", adaptive=is_adaptive(base), age=age)
    return f"gradients of {age} steps ago"


@later("recipe", "rate_falls_early", clue=r"train\.schedule")
def rate_below_zero(base: Base, random_: random.Random) -> str:
    """A line to 0 that counts epochs is asked step by step: the rate falls below 0 and further.

    The cause: the learning rate is negative from the first epoch on, so that training goes uphill;
    count steps in the schedule, and never let the factor be less than 0.
    """
    _schedule(base, "falls_below_zero")
    return "a rate that falls below 0"


@later("recipe", "rate_ends_high", "rate_rises_late", clue=r"train\.schedule")
def warmup_without_end(base: Base, random_: random.Random) -> str:
    """A warm-up of one's own that nothing bounds: the rate keeps rising to the last step.

    The cause: the schedule never stops rising, and the rate is soon far too high; bound it by 1.
    """
    over = random_.choice([1, 2])
    _schedule(base, "rises_without_end", over=over)
    return f"the rate rises by 1 / {over} of what it should be in each step, without end"
