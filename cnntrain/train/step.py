"""One step of learning: forward, loss, backward; then clip; then the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.data.batch import Batch
from cnntrain.optim import decayed_weights
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.finite import mark_non_finite
from cnntrain.train.learner import Learner
from cnntrain.train.precision import autocast
from cnntrain.train.recipe import Recipe


@dataclass(frozen=True)
class BatchResult:
    """What a forward and backward pass over a batch gave; all on the device, detached.

    Of the 0-d values `loss` is the mean criterion of the batch, over `weight`, and `objective` what
    was differentiated: `loss`, auxiliary heads, L1, L2-SP. Outputs are `(N, ...)`.
    """

    loss: Tensor
    objective: Tensor
    weight: float | Tensor
    outputs: Tensor


def forward_backward(
    learner: Learner, batch: Batch, *, criterion: Criterion, recipe: Recipe
) -> BatchResult:
    """Leave the gradient of the whole batch's objective in the parameters.

    In `recipe.accumulate` parts, each weighted by its share of the batch, the gradients add up to
    that of the whole batch.
    """
    whole = criterion.weight(batch.targets)
    learner.optimizer.zero_grad(set_to_none=True)
    outcome: BatchResult | None = None
    for part in _parts(batch, recipe.accumulate):
        with autocast(learner.precision, learner.device):
            outputs = learner.net(part.images)
        logits, objective, loss = _losses(outputs, part.targets, learner, criterion)
        if recipe.l1:
            norms = [weight.abs().sum() for weight in decayed_weights(learner.optimizer)]
            objective = objective + recipe.l1 * torch.stack(norms).sum()
        if recipe.l2_sp:
            objective = objective + recipe.l2_sp / 2 * learner.distance_from_start()
        if recipe.accumulate > 1:
            share = criterion.weight(part.targets) / whole
            objective, loss = objective * share, loss * share
        learner.scaler.scale(objective).backward()  # type: ignore[no-untyped-call]  # torch's gap
        measured = loss.detach()
        minimised = measured if objective is loss else objective.detach()
        done = BatchResult(measured, minimised, whole, logits.detach())
        outcome = done if outcome is None else _sum(outcome, done)
    assert outcome is not None
    return outcome


def update(learner: Learner, outcome: BatchResult, *, recipe: Recipe) -> Tensor | None:
    """Change the weights by the gradient, unless the objective or its norm is not finite.

    Returns:
        The gradient's norm before clipping, 0-d on the device, at the steps that want it.
    """
    norm: Tensor | None = None
    diverged = learner.state.diverged
    if recipe.on_divergence != "stop":
        _look_at_all(learner, outcome)
    if recipe.wants_norm(learner.state.step + 1):
        learner.scaler.unscale_(learner.optimizer)
        norm = torch.nn.utils.get_total_norm(learner.gradients())
        if recipe.clip_norm is not None:
            clip = torch.nn.utils.clip_grads_with_norm_
            clip(learner.parameters(), recipe.clip_norm, norm)
    if learner.scaler.is_enabled():
        # Infinite gradients are in order here: the scaler skips the step and lowers its scale.
        mark_non_finite([outcome.objective], flag=diverged)
        learner.scaler.step(learner.optimizer)
        learner.scaler.update()
    else:
        # Looking at every gradient in every step costs too much; one that is not finite makes the
        # next objective so.
        looked_at = [outcome.objective] if norm is None else [outcome.objective, norm]
        mark_non_finite(looked_at, flag=diverged)
        learner.optimizer.step()
    return norm


def _look_at_all(learner: Learner, outcome: BatchResult) -> None:
    """Find all that is not finite in this step: if training continues, the next one is too late."""
    flag, gradients = learner.state.diverged, learner.gradients()
    statistics = [each for each in learner.model.buffers() if each.is_floating_point()]
    if not learner.scaler.is_enabled():
        mark_non_finite([outcome.objective, *statistics, *gradients], flag=flag)
        return
    mark_non_finite([outcome.objective, *statistics], flag=flag)
    # The scaler looks at nothing but gradients: so it, too, leaves the step out.
    for gradient in gradients[:1]:
        gradient.add_(torch.where(flag > 0, torch.nan, 0.0))


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    if count == 1:
        yield batch
        return
    for images, targets in zip(batch.images.chunk(count), batch.targets.chunk(count), strict=True):
        yield Batch(images, targets)


def _losses(
    outputs: Tensor | tuple[Tensor, tuple[Tensor, ...]],
    targets: Tensor,
    learner: Learner,
    criterion: Criterion,
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, objective and loss; in float32 whatever the network computed in."""
    logits, heads = outputs if isinstance(outputs, tuple) else (outputs, ())
    loss = objective = criterion(logits.float(), targets)
    weights = getattr(learner.model, "aux_weights", ()) if heads else ()
    for weight, head in zip(weights, heads, strict=True):
        objective = objective + weight * criterion(head.float(), targets)
    return logits, objective, loss


def _sum(first: BatchResult, second: BatchResult) -> BatchResult:
    return BatchResult(
        loss=first.loss + second.loss,
        objective=first.objective + second.objective,
        weight=first.weight,
        outputs=torch.cat([first.outputs, second.outputs]),
    )
