"""When a network had better not answer: a threshold of its probability."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cnntrain.core.errors import UsageError
from cnntrain.tasks.image_scores import ImageScores


@dataclass(frozen=True)
class Rejection:
    """Images whose most probable class has a probability below `threshold` are rejected.

    Args:
        threshold: the probability.
        right, wrong: validation images that are classified right and wrong.
        right_rejected, wrong_rejected: those of them that it rejects.
    """

    threshold: float
    right: int
    right_rejected: int
    wrong: int
    wrong_rejected: int


def choose_threshold(answers: ImageScores, share: float) -> Rejection:
    """The largest threshold that rejects at most a share of the images that are right.

    Chow, "On Optimum Recognition Error and Reject Tradeoff", 1970, whose rule it is to reject below
    a threshold of the largest probability.

    Args:
        answers: of validation images.
        share: from 0 up to 1, without 1.

    Raises:
        UsageError: no image is right.
    """
    confidences = answers.confidences
    right, wrong = confidences[answers.right].sort().values, confidences[~answers.right]
    if not len(right):
        message = "no validation image is right, so none can choose a threshold"
        raise UsageError(message, remedy="train longer, or leave --reject out")
    # as many as are below it are rejected; 1e-9 because 0.29 * 100 is 28.999999999999996
    threshold = float(right[math.floor(share * len(right) + 1e-9)])
    rejected = [int((each < threshold).sum()) for each in (right, wrong)]
    return Rejection(threshold, len(right), rejected[0], len(wrong), rejected[1])
