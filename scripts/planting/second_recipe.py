"""The second lot of faults in how the weights are found."""

from __future__ import annotations

import random
from functools import partial

from planting.edits import optimizer_of
from planting.healthy import Base
from planting.kinds import kind

second = partial(kind, lot=2)


def _head(base: Base) -> str:
    """The name of the last layer."""
    linear = [item for item in base.layers if isinstance(item, dict) and "linear" in item]
    return f"linear{len(linear)}"


@second("recipe", "rate_too_low", clue="epsilon")
def large_epsilon(base: Base, random_: random.Random) -> str:
    if not optimizer_of(base)["name"].startswith("adam"):
        return ""
    optimizer_of(base)["epsilon"] = random_.choice([1.0, 10.0])
    return f"epsilon of {optimizer_of(base)['epsilon']:g} in {optimizer_of(base)['name']}"


@second("recipe", "too_much_decay", clue="groups")
def head_decays(base: Base, random_: random.Random) -> str:
    decay = random_.choice([2.0, 4.0])
    if optimizer_of(base)["name"] == "adamw":
        decay *= 50
    optimizer_of(base)["groups"] = [{"names": _head(base), "weight_decay": decay}]
    return f"weight decay of {decay:g} on the last layer alone"


@second("recipe", "rate_too_high", clue="groups")
def head_too_fast(base: Base, random_: random.Random) -> str:
    if optimizer_of(base)["name"] != "sgd":
        return ""
    factor = random_.choice([200, 500])
    optimizer_of(base)["groups"] = [{"names": _head(base), "lr_factor": factor}]
    return f"the last layer learns {factor} times as fast"


@second("recipe", "rate_falls_early")
def hasty_plateau(base: Base, random_: random.Random) -> str:
    delta, divisor = random_.choice([0.3, 0.5]), random_.choice([10, 100])
    hasty = {"name": "plateau", "patience": 1, "min_delta": delta, "divide_by": divisor}
    base.tree["train"]["schedule"] = hasty
    return f"rate / {divisor} unless the error falls by {delta} in each epoch"


@second("recipe", "rate_too_low")
def scaled_for_a_cluster(base: Base, random_: random.Random) -> str:
    batch = random_.choice([16384, 32768])
    base.tree["train"]["lr_scaling"] = {"reference_batch": batch}
    return f"the rate scaled down from batches of {batch}"


@second("recipe", "class_weights_upside_down")
def classes_weigh_nothing(base: Base, random_: random.Random) -> str:
    count = base.data.classes
    weights = [1.0] * count
    for label in range(max(count // 3, 1)):
        weights[label] = 0.0
    random_.shuffle(weights)
    base.tree["train"]["loss"] = {"name": "cross_entropy", "class_weights": weights}
    return f"class weights {weights}"


@second("recipe", "few_steps")
def one_step_per_epoch(base: Base, random_: random.Random) -> str:
    base.tree["data"]["batch_size"] = 4000
    return "all images in one batch"


@second("recipe", "too_much_penalty")
def silenced_units(base: Base, random_: random.Random) -> str:
    names = [item for item in base.layers if item in ("relu", "tanh", "leaky_relu")]
    last = f"{names[-1]}{names.count(names[-1])}"
    weight = random_.choice([1.0, 10.0])
    penalty = {"activation_l1": {"layers": [last], "weight": weight}}
    base.tree["train"]["penalties"] = [penalty]
    return f"outputs of {last} penalised by {weight}"


@second("recipe", "rate_too_high")
def lion_at_the_rate_of_sgd(base: Base, random_: random.Random) -> str:
    lr = random_.choice([0.05, 0.1])
    base.tree["train"]["optimizer"] = {"name": "lion", "lr": lr}
    return f"Lion with a rate of {lr}"


@second("recipe", "splits_differ", clue="evaluate_views")
def mirrored_views(base: Base, random_: random.Random) -> str:
    if base.data.flip:
        return ""
    base.tree["train"]["evaluate_views"] = 2
    return "evaluated together with the mirror image"


@second("recipe", "rate_falls_early")
def falls_within_a_batch(base: Base, random_: random.Random) -> str:
    scale = random_.choice([1e-5, 1e-4])
    base.tree["train"]["schedule"] = {"name": "inverse_sqrt", "scale_epochs": scale}
    return f"inverse square root on a scale of {scale} epochs"
