"""Kinds of faults in how the weights are found."""

from __future__ import annotations

import random

from planting.edits import optimizer_of
from planting.healthy import Base
from planting.kinds import kind


def _train(base: Base) -> dict[str, object]:
    found: dict[str, object] = base.tree["train"]
    return found


def _is_sgd(base: Base) -> bool:
    return optimizer_of(base)["name"] == "sgd"


@kind("recipe", "rate_too_high")
def rate_high(base: Base, random_: random.Random) -> str:
    factor = random_.choice([50, 200])
    optimizer_of(base)["lr"] = factor * base.tree["train"]["optimizer"]["lr"]
    return f"the rate {factor} times as high"


@kind("recipe", "rate_too_low")
def rate_low(base: Base, random_: random.Random) -> str:
    factor = random_.choice([1000, 10000])
    optimizer_of(base)["lr"] = base.tree["train"]["optimizer"]["lr"] / factor
    return f"the rate {factor} times as low"


@kind("recipe", "momentum_too_long")
def heavy_momentum(base: Base, random_: random.Random) -> str:
    if not _is_sgd(base):
        return ""
    optimizer_of(base)["momentum"] = random_.choice([0.998, 0.9995])
    return f"momentum {optimizer_of(base)['momentum']}"


@kind("recipe", "too_much_decay")
def heavy_decay(base: Base, random_: random.Random) -> str:
    decay = random_.choice([0.2, 0.5]) if _is_sgd(base) else random_.choice([2.0, 5.0])
    if optimizer_of(base)["name"] == "adamw":
        decay *= 20
    optimizer_of(base)["weight_decay"] = decay
    return f"weight decay {decay:g}"


@kind("recipe", "too_much_l1")
def heavy_l1(base: Base, random_: random.Random) -> str:
    _train(base)["l1"] = random_.choice([0.02, 0.1])
    return f"L1 of {_train(base)['l1']}"


@kind("recipe", "too_much_smoothing")
def nothing_but_smoothing(base: Base, random_: random.Random) -> str:
    share = random_.choice([0.97, 0.99])
    _train(base)["loss"] = {"name": "cross_entropy", "label_smoothing": share}
    return f"label smoothing of {share}"


@kind("recipe", "clipped_to_nothing")
def short_clip(base: Base, random_: random.Random) -> str:
    if not _is_sgd(base):
        return ""
    _train(base)["clip_norm"] = random_.choice([1e-4, 1e-3])
    return f"clipped at {_train(base)['clip_norm']}"


@kind("recipe", "rate_rises_late", "rate_too_low")
def endless_warmup(base: Base, random_: random.Random) -> str:
    epochs = 20
    _train(base)["epochs"] = epochs
    lr = base.tree["train"]["optimizer"]["lr"] / 20
    optimizer_of(base)["lr"] = lr
    _train(base)["schedule"] = {"name": "constant", "warmup_epochs": epochs - 1}
    return "warm-up over nearly all of training, to a low rate"


@kind("recipe", "rate_falls_early")
def falls_at_once(base: Base, random_: random.Random) -> str:
    _train(base)["schedule"] = {"name": "step", "every": 1, "factor": random_.choice([0.05, 0.1])}
    return "a tenth of the rate after each epoch"


@kind("recipe", "stops_early")
def impatient(base: Base, random_: random.Random) -> str:
    _train(base)["early_stop"] = {"patience": 1, "min_delta": random_.choice([0.3, 0.5])}
    return f"early stop {_train(base)['early_stop']}"


@kind("recipe", "class_weights_upside_down", "uneven_classes")
def weights_upside_down(base: Base, random_: random.Random) -> str:
    base.tree["data"] |= {"spoil": "class_rare", "seed": random_.randrange(100)}
    count = base.data.classes
    weights = [1.0] * count
    for label in range(count // 2):
        weights[label] = 40.0
    random_.shuffle(weights)
    _train(base)["loss"] = {"name": "cross_entropy", "class_weights": weights}
    return "class weights that have nothing to do with the counts"


@kind("recipe", "few_values_in_batch_norm")
def pairs(base: Base, random_: random.Random) -> str:
    if not base.has("batch_norm") or "global_avg_pool" not in str(base.layers):
        return ""
    base.layers.insert(-1, "batch_norm")
    base.tree["data"]["batch_size"] = 2
    return "batch normalisation of two values"


@kind("recipe", "frozen_layer")
def random_and_frozen(base: Base, random_: random.Random) -> str:
    if base.net == "perceptron":
        return ""
    optimizer_of(base)["groups"] = [
        {"names": "conv*", "lr_factor": 0},
        {"names": "*norm*", "lr_factor": 0},
    ]
    if not base.has("_norm"):
        optimizer_of(base)["groups"] = [{"names": "conv*", "lr_factor": 0}]
    return "convolutions with random weights that do not learn"


@kind("recipe", "few_steps")
def one_epoch_of_large_batches(base: Base, random_: random.Random) -> str:
    _train(base)["epochs"] = 1
    _train(base).pop("schedule", None)
    base.tree["data"]["batch_size"] = 500
    return "a handful of steps"


@kind("recipe", "too_much_augmentation")
def all_mixed(base: Base, random_: random.Random) -> str:
    steps = base.tree["data"]["transforms"]["train"]
    steps += [
        {"mixup": {"alpha": 50.0, "probability": 0.5}},
        {"cutmix": {"alpha": 50.0, "probability": 0.5}},
    ]
    return "each image is half of another one"


@kind("recipe", "rate_too_low")
def small_rate_for_squares(base: Base, random_: random.Random) -> str:
    if not _is_sgd(base):
        return ""
    _train(base)["loss"] = {"name": "mse"}
    optimizer_of(base)["lr"] = 1e-5
    return "mean squared error with a rate of 1e-5"
