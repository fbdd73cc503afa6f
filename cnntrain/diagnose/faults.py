"""What can be wrong, in the order in which to look: a cause stands before what follows from it.

Wrong data spoil everything; a wrong derivative spoils every step; then comes what is connected,
what evaluation sees, where the weights start, how large the steps are, and what holds them back.
What stands at the end is never a cause.
"""

from __future__ import annotations

FAULTS: dict[str, str] = {
    # the images and their labels
    "not_finite": "the images, a weight or the loss are not finite",
    "class_missing": "a class has no training images",
    "labels_shifted": "the labels are those of other classes",
    "labels_noisy": "many labels are wrong",
    "test_in_train": "test images stand among the training images",
    "splits_differ": "training and evaluation images are not alike",
    "uneven_classes": "some classes have far more images than others",
    "constant_channel": "a channel of the images says nothing",
    "not_normalised": "the images are far from mean 0 and deviation 1",
    # the derivative
    "wrong_gradient": "the backward pass does not compute the derivative of the forward pass",
    # what is connected
    "frozen_layer": "a layer with random weights is frozen",
    "detached_layer": "the gradient does not reach a layer",
    # the outputs, and evaluation
    "squashed_outputs": "the outputs are squashed before the loss squashes them again",
    "random_evaluation": "evaluation is random",
    "eval_mode_batch_norm": "evaluation of an image depends on the other images of its batch",
    "stale_batch_norm": "the running statistics do not follow the batches",
    "lone_image": "batch normalisation learns from a batch of one image",
    # where the weights start
    "zero_initialisation": "the units of a layer start alike and stay so",
    "dead_units": "units give zero for every image",
    "saturated_units": "units stand at the ends of their range",
    "exploding_activations": "the activations grow from layer to layer",
    "exploding_gradients": "the gradient grows on its way to the first layers",
    "vanishing_activations": "the activations no longer tell the images apart",
    "vanishing_gradients": "the gradient is lost on its way to the first layers",
    "large_initial_loss": "the network starts sure of wrong answers",
    "alike_units": "many units of a layer say the same",
    # how large the steps are
    "clipped_to_nothing": "the gradient is clipped to nothing",
    "rate_too_high": "the learning rate is too high",
    "rate_too_low": "the learning rate is too low",
    "rate_falls_early": "the schedule takes the learning rate away before the network has learnt",
    # what holds the weights back
    "too_much_decay": "weight decay undoes what is learnt",
    "too_much_l1": "the L1 penalty undoes what is learnt",
    "too_much_dropout": "dropout hides too much",
    "too_much_augmentation": "augmentation spoils the images",
    "too_much_smoothing": "label smoothing leaves nothing to learn",
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
    *("not_finite", "wrong_gradient", "detached_layer", "frozen_layer"),
    *(*DAMPED, *TOO_LARGE),
)
"""Because of these a network does not learn, whatever the recipe."""
