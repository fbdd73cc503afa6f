"""Counts on the device, and the frozen results made of them."""

from cnntrain.core.choices import LOSSES, TASKS
from cnntrain.tasks.classification import Classification, ClassificationSums, sum_dtype
from cnntrain.tasks.per_class import ClassScore, class_scores, mean_score

__all__ = [
    "ClassScore",
    "Classification",
    "ClassificationSums",
    "class_scores",
    "loss",
    "mean_score",
    "sum_dtype",
    "task",
]

loss = LOSSES.register
task = TASKS.register
