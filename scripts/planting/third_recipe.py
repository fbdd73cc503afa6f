"""The third lot of faults in how the weights are found."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

from planting.edits import has_objects, optimizer_of
from planting.healthy import Base
from planting.kinds import kind

later = partial(kind, lot=3)

PARTS = str(Path(__file__).with_name("third_parts.py"))


def with_parts(base: Base) -> None:
    """Let the run file use what third_parts.py has."""
    base.tree["plugins"].append(PARTS)


def _loss(base: Base, name: str) -> None:
    """A loss of third_parts.py."""
    with_parts(base)
    base.tree["train"]["loss"] = {"name": name}


def _body(base: Base) -> list[str]:
    """Patterns for all layers with weights but the last one."""
    linear = sum("linear" in item for item in base.layers if isinstance(item, dict))
    kinds = {"conv*": "'conv'", "*norm*": "_norm", "residual*": "residual", "branches*": "branches"}
    found = [pattern for pattern, word in kinds.items() if base.has(word)]
    return [*found, *(f"linear{number}" for number in range(1, linear))]


@later("recipe", "frozen_layer", clue="train.freeze")
def body_frozen_early(base: Base, random_: random.Random) -> str:
    """A fine-tuning recipe used from scratch: after one epoch all but the last layer is frozen.

    The cause: the body is frozen before it has learnt anything; freeze nothing, or much later.
    """
    if not has_objects(base):
        return ""
    base.tree["train"]["freeze"] = {2: _body(base)}
    return "all but the last layer frozen after the first epoch"


@later("recipe", "wrong_loss", clue="train.loss")
def confidence_punished(base: Base, random_: random.Random) -> str:
    """Poly-1 with an epsilon of the wrong sign and size: the loss falls where p of the right falls.

    The cause: the loss rewards small probabilities of the right class.
    """
    epsilon = random_.choice([-10.0, -20.0])
    base.tree["train"]["loss"] = {"name": "poly1", "epsilon": epsilon}
    return f"poly-1 loss with epsilon {epsilon:g}"


@later("recipe", "wrong_loss", clue="train.loss")
def focused_on_nothing(base: Base, random_: random.Random) -> str:
    """A focal loss whose gamma lets no image count but those that are entirely wrong.

    The cause: gamma is far too high, the gradient of nearly all images is 0.
    """
    gamma = random_.choice([100.0, 300.0])
    base.tree["train"]["loss"] = {"name": "focal", "gamma": gamma}
    return f"focal loss with gamma {gamma:g}"


@later("recipe", "momentum_too_long", clue="betas")
def betas_exchanged(base: Base, random_: random.Random) -> str:
    """Adam's betas in the wrong order: momentum over a thousand steps, the mean square over ten.

    The cause: momentum (beta 1) averages over far too many steps; exchange the betas.
    """
    robust = base.net == "perceptron" or base.has("batch_norm")  # they bear it
    if robust or not optimizer_of(base)["name"].startswith("adam"):
        return ""
    optimizer_of(base)["betas"] = [0.999, 0.9]
    return "betas 0.999 and 0.9"


@later("recipe", "rate_too_high", clue="batch_size")
def one_image_at_a_time(base: Base, random_: random.Random) -> str:
    """Batches of one image (memory was short) at the rate that was right for batches of 32 or 50.

    The cause: the rate is too high for so small a batch, its gradient is all noise.
    """
    if not has_objects(base) or base.has("batch_norm") or optimizer_of(base)["name"] != "sgd":
        return ""
    base.tree["data"]["batch_size"] = 1
    base.tree["train"]["epochs"] = 5
    return "batches of one image, the rate as before"


@later("recipe", "few_values_in_batch_norm", "lone_image", clue="accumulate")
def parts_of_one_image(base: Base, random_: random.Random) -> str:
    """Gradients accumulated over parts of one image: batch norm trains on statistics of one image.

    The cause: batch norm's batch is a part, not the whole; evaluation uses other statistics.
    """
    if not base.has("batch_norm"):
        return ""
    base.tree["train"]["accumulate"] = base.tree["data"]["batch_size"]
    return "each batch in parts of one image, with batch normalisation"


@later("recipe", "frozen_layer", clue="groups")
def only_biases_learn(base: Base, random_: random.Random) -> str:
    """A pattern that was to spare weights from decay sets their rate to 0: only biases learn.

    The cause: all weights are frozen at random values.
    """
    optimizer_of(base)["groups"] = [{"names": "*.weight", "lr_factor": 0}]
    return "rate 0 for all that is called weight"


@later("recipe", "too_much_penalty")
def contracted_code(base: Base, random_: random.Random) -> str:
    """A contractive penalty of a great weight: the first layer is not to change with the image.

    The cause: the penalty outweighs the loss.
    """
    if not has_objects(base) or base.net not in ("perceptron", "lenet", "plain", "tanh"):
        return ""
    first = "linear1" if base.net == "perceptron" else "conv1"
    weight = random_.choice([1e3, 1e4])
    base.tree["train"]["penalties"] = [{"contractive": {"layers": [first], "weight": weight}}]
    return f"contractive penalty of {weight:g} on {first}"


@later("recipe", "wrong_loss", clue="train.loss")
def likelihood_of_scores(base: Base, random_: random.Random) -> str:
    """A negative log likelihood (`nll_loss`) of raw scores: it has no lower bound.

    The cause: a log-softmax is missing, the loss falls below 0 for ever.
    """
    _loss(base, "likelihood_of_scores")
    return "negative log likelihood of raw scores"


@later("recipe", "wrong_loss", "rate_too_high", clue="train.loss")
def summed_over_batch(base: Base, random_: random.Random) -> str:
    """A loss that is summed over the batch and not averaged: gradients are 32 or 50 times as large.

    The cause: the rate is too high for a summed loss.
    """
    if not has_objects(base) or optimizer_of(base)["name"] != "sgd" or base.has("_norm"):
        return ""
    _loss(base, "summed_over_batch")
    return "the loss is a sum over the batch"


@later("recipe", "wrong_loss", clue="train.loss")
def absolute_error_of_classes(base: Base, random_: random.Random) -> str:
    """Mean absolute error to one-hot targets: answering 0 for all classes is the best constant.

    The cause: the loss does not fit classes; use cross entropy.
    """
    if not has_objects(base) or base.has("batch_norm"):
        return ""
    _loss(base, "absolute_error_of_classes")
    return "mean absolute error of one-hot classes"


@later("recipe", "wrong_loss", clue="train.loss")
def classes_as_a_scale(base: Base, random_: random.Random) -> str:
    """A regression onto the number of the class: classes are taken for a scale.

    The cause: the loss asks for the right mean number, and not for the right class.
    """
    if not has_objects(base) or base.data.classes == 2:
        return ""
    _loss(base, "classes_as_a_scale")
    return "squared error of the expected class number"
