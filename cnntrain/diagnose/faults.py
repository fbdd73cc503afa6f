"""What can be wrong, in the order in which to look, and the checks that look for it.

Wrong data spoil everything; a wrong derivative spoils every step; then comes what is connected,
what evaluation sees, where the weights start, how large the steps are, and what holds them back.
What stands at the end is never a cause. Plugins add to the causes and to the checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnntrain.core.choices import CHECKS
from cnntrain.core.entry import Entry
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.core.problems import Place, suggestion

FAULTS: dict[str, str] = {
    # the images and their labels
    "not_finite": "the images, a weight or the loss are not finite",
    "misread_pixels": "the pixels of the images are not where they belong",
    "same_picture": "many images are one and the same picture, or empty",
    "class_missing": "a class has no training images",
    "labels_shifted": "the labels are those of other classes",
    "labels_noisy": "many labels are wrong",
    "classes_alike": "two classes look the same",
    "test_in_train": "test images stand among the training images",
    "splits_differ": "training and evaluation images are not alike",
    "too_much_augmentation": "augmentation spoils the images, or makes classes look alike",
    "uneven_classes": "some classes have far more images than others",
    "class_weights_upside_down": "class weights do not make up for uneven classes",
    "targets_not_scaled": "the numbers to be learnt are far from mean 0 and deviation 1",
    "targets_odd": "a few images have numbers far from all others, or all have the same number",
    "constant_channel": "a channel, or a part, of the images says nothing",
    "not_normalised": "the images are far from mean 0 and deviation 1",
    # the loss, and the derivative
    "wrong_loss": "the loss does not reward right answers",
    "wrong_gradient": "the backward pass does not compute the derivative of the forward pass",
    # what is connected
    "frozen_layer": "a layer with random weights is frozen",
    "detached_layer": "the gradient does not reach a layer",
    "linear_chain": "layers without an activation between them are one matrix",
    # what the network can see and say
    "unseen_pixels": "no output depends on some of the pixels, or on a channel",
    "pooled_early": "resolution is gone before much was computed",
    "bottleneck": "a layer has too few values to say the class",
    "small_windows": "units see small windows only",
    # the outputs, and evaluation
    "squashed_outputs": "the outputs are squashed before the loss squashes them again",
    "out_of_reach": "the outputs cannot take the values that are to be learnt",
    "random_evaluation": "evaluation is random",
    "eval_mode_batch_norm": "evaluation of an image depends on the other images of its batch",
    "stale_batch_norm": "the running statistics do not follow the batches",
    "other_in_evaluation": "a layer computes something else in evaluation than in training",
    "averages_too_short": "the running statistics are those of the last batch",
    "few_values_in_batch_norm": "batch normalisation learns from a few values",
    "lone_image": "batch normalisation learns from a batch of one image",
    # where the weights start
    "zero_initialisation": "the units of a layer start alike and stay so",
    "dead_units": "units give zero for every image",
    "saturated_units": "units stand at the ends of their range",
    "exploding_activations": "the activations grow from layer to layer",
    "exploding_gradients": "the gradient grows on its way to the first layers",
    "vanishing_activations": "the activations no longer distinguish the images",
    "vanishing_gradients": "the gradient is lost on its way to the first layers",
    "large_initial_loss": "the network starts sure of wrong answers",
    "alike_units": "many units of a layer say the same",
    # how large the steps are
    "wrong_optimizer": "the optimizer does not move the weights as one does",
    "clipped_to_nothing": "the gradient is clipped to nothing",
    "momentum_too_long": "momentum remembers too many steps",
    "rate_too_high": "the learning rate is too high",
    "rate_too_low": "the learning rate is too low",
    "rate_rises_late": "the warm-up takes too much of the training",
    "rate_falls_early": "the schedule takes the learning rate away before the network has learnt",
    "rate_ends_high": "training ends while the learning rate is high",
    "few_steps": "training has too few steps",
    "stops_early": "early stopping ends the training too early",
    # what holds the weights back
    "too_much_decay": "weight decay undoes what is learnt",
    "too_much_l1": "the L1 penalty undoes what is learnt",
    "too_much_penalty": "penalties on what layers give leave nothing to learn",
    "too_much_dropout": "dropout hides too much",
    "too_much_smoothing": "label smoothing leaves nothing to learn",
    # what carries over to other images
    "too_few_images": "there are too few images to learn what others look like",
    "does_not_generalise": "what is learnt does not carry over to other images",
    # what has no name of its own, and is found by training without it
    "harmful_layer": "the network learns far better without a layer, or with the usual one",
    "harmful_setting": "training goes far better with the usual value of a setting",
    # the machine
    "waits_for_data": "the processor waits for images",
    "memory_full": "memory is full, and the processor idle",
    # what follows from something above, or from something unknown
    "no_gradient": "a layer's gradient is zero",
    "cannot_overfit": "the network cannot memorise a few images",
    "diverges": "the loss grows without bound",
    "no_progress": "training does not get below guessing",
}
"""Code -> what it means."""

SILENT = ("zero_initialisation", "dead_units", "saturated_units")
"""Where units say nothing, signals end."""

DAMPED = ("squashed_outputs", *SILENT, "vanishing_activations", "vanishing_gradients")
"""Because of these little or nothing of the gradient arrives."""

TOO_LARGE = (
    *("not_normalised", "exploding_activations", "exploding_gradients", "large_initial_loss"),
)
"""Because of these steps go too far."""

SYMPTOMS = ("no_gradient", "cannot_overfit", "diverges", "no_progress")
"""What is never a cause. With one of them what is only suspected of being its cause is a fault."""

STOPS = (
    *("not_finite", "wrong_loss", "wrong_gradient", "detached_layer", "frozen_layer"),
    *("linear_chain", "unseen_pixels", "pooled_early", "bottleneck", "small_windows"),
    *("out_of_reach", "targets_not_scaled", "harmful_layer"),
    *(*DAMPED, *TOO_LARGE),
)
"""Because of these a network does not learn, whatever the recipe."""

SUSPECTS: Mapping[str, tuple[str, str, str]] = {
    "weight decay": (
        "too_much_decay",
        "weight decay pulls the weights to zero faster than they learn",
        "divide train.optimizer.weight_decay by 10 or 100; 1e-4 to 1e-3 is usual with sgd",
    ),
    "L1": (
        "too_much_l1",
        "the L1 penalty pulls the weights to zero faster than they learn",
        "divide train.l1 by 10 or 100, or remove it",
    ),
    "penalties": (
        "too_much_penalty",
        "the penalties on what layers give outweigh the loss",
        "divide their `weight` by 10 or 100, or train without them: `-s train.penalties=[]`",
    ),
    "dropout": (
        "too_much_dropout",
        "dropout hides so much that the network does not learn",
        "lower `p` of the dropout layers: 0.5 is much, 0.2 to 0.3 is usual before the last layer",
    ),
    "augmentation": (
        "too_much_augmentation",
        "the augmented images teach nothing about the images as they are",
        "look at them with `cnntrain data show`; make the random transforms weaker",
    ),
    "label smoothing": (
        "too_much_smoothing",
        "label smoothing leaves nothing to learn",
        "set train.loss.label_smoothing to 0.1, or remove it",
    ),
    "clipping": (
        "clipped_to_nothing",
        "the gradient is clipped so short that the weights do not move",
        "set train.clip_norm above the usual gradient norm, which `--check arithmetic` measures",
    ),
}
"""What may stop a training -> its fault, in words, and what to do."""

EXPLAINS = (
    *(*STOPS, *(code for code, _, _ in SUSPECTS.values())),
    *("wrong_optimizer", "rate_too_high", "rate_too_low", "rate_falls_early", "rate_rises_late"),
    *("momentum_too_long", "labels_shifted", "labels_noisy", "class_weights_upside_down"),
    *("few_values_in_batch_norm", "other_in_evaluation", "harmful_setting"),
    *("no_gradient", "cannot_overfit", "diverges"),
)
"""Because of these training may make no progress."""


OF_DATA = (
    *("not_finite", "misread_pixels", "same_picture", "class_missing", "splits_differ"),
    *("labels_shifted", "labels_noisy"),
)
"""What is to be learnt is wrong, whatever learns it."""

REFUTABLE = (
    *("rate_too_high", "rate_too_low", "rate_falls_early", "few_steps", "momentum_too_long"),
    "stale_batch_norm",
)
"""What looks wrong where something else is: its remedy does little, and another one much."""

OF_TRAINING = tuple(code for code in EXPLAINS if code not in SYMPTOMS and "label" not in code)
"""What is wrong with the network or with how it trains, and not with what it is to learn."""

MEASURED = ("harmful_layer", "harmful_setting")
"""What is found by trying what mends it."""


def check_names() -> list[str]:
    """The names of all checks, in the order in which they are made."""
    return [entry.name for entry in sorted(CHECKS.entries(), key=_place)]


def asked_checks(names: Sequence[str]) -> list[Entry]:
    """The checks of these names; none is all of them, in the order in which they are made.

    Raises:
        UsageError: there is no such check.
    """
    known = check_names()
    for name in names:
        if name not in known:
            raise UsageError(f"there is no check '{name}'", remedy=suggestion(name, known))
    return [CHECKS.entry(name) for name in names or known]


def known_faults() -> dict[str, str]:
    """`FAULTS` with those of plugins: code -> what it means, in the order of causes.

    A check declares faults of its own with `faults={"too_dark": "the images are too dark"}`, and
    with `before="wrong_gradient"` where they stand: usually before the symptoms.

    Raises:
        ConfigError: a declaration is wrong.
    """
    found = list(FAULTS.items())
    for entry in CHECKS.entries():
        own = _option(entry, "faults", {}, Mapping, "a mapping of codes to what they mean")
        before = _option(entry, "before", SYMPTOMS[0], str, "a fault")
        codes = [code for code, _ in found]
        if before not in codes:
            raise wrong_check(entry, f"there is no fault '{before}'", suggestion(before, codes))
        at = codes.index(before)
        found[at:at] = [(code, meaning) for code, meaning in own.items() if code not in codes]
    return dict(found)


def _place(entry: Entry) -> tuple[float, str]:
    """A check that says nothing of its place comes last."""
    return _option(entry, "place", float("inf"), int | float, "a number"), entry.name


def _option(entry: Entry, name: str, usual: Any, kind: Any, what: str) -> Any:
    value = entry.options.get(name, usual)
    if not isinstance(value, kind):
        message = f"`{name}` of the check '{entry.name}' is not {what}"
        raise wrong_check(entry, message, f"give {what}")
    return value


def wrong_check(entry: Entry, message: str, remedy: str) -> ConfigError:
    """What is wrong with the declaration of a check, at its line."""
    return ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))
