"""What a run file may hold the training back with, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

from cnntrain.diagnose.faults import STOPS
from cnntrain.diagnose.report import Finding

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
        "multiply train.clip_norm by 10 or 100; it should be above the usual gradient norm",
    ),
}
"""What may stop a training -> its fault, in words, and what to do."""

EXPLAINS = (
    *(*STOPS, *(code for code, _, _ in SUSPECTS.values())),
    *("rate_too_high", "rate_too_low", "rate_falls_early", "labels_shifted", "labels_noisy"),
    *("no_gradient", "cannot_overfit", "diverges"),
)
"""Because of these training may make no progress."""


def no_progress(before: float, after: float, *, chance: float, steps: int) -> Finding:
    """A training that does no better than guessing, of whatever cause."""
    return Finding(
        "no_progress",
        f"after {steps} steps the network does no better than guessing",
        f"the loss of the training images was {before:.3g} and is {after:.3g}; guessing gives "
        f"{chance:.3g}",
        "look at the other findings; if there are none, at the images with `cnntrain data show`, "
        "and try another learning rate",
        is_certain=False,
        follows=EXPLAINS,
    )
