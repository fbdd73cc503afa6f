"""What is added to the loss: penalties on the weights, and on what layers gave."""

from __future__ import annotations

from torch import Tensor

from cnntrain.train.learner import Learner
from cnntrain.train.recipe import Recipe


def penalised(objective: Tensor, learner: Learner, recipe: Recipe) -> Tensor:
    """With L1, L2-SP and the penalties on the outputs of the last forward pass; itself without."""
    if recipe.l1:
        objective = objective + recipe.l1 * learner.magnitude()
    if recipe.l2_sp:
        objective = objective + recipe.l2_sp / 2 * learner.distance_from_start()
    for penalty in learner.activations.penalties():
        objective = objective + penalty
    return objective
