"""One step of learning: forward, loss, backward; then clip; then the optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cnntrain.data.batch import Batch
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.finite import mark_non_finite
from cnntrain.train.learner import Learner
from cnntrain.train.penalised import penalised
from cnntrain.train.precision import autocast
from cnntrain.train.recipe import Recipe
from cnntrain.train.together import unshared


@dataclass(frozen=True)
class BatchResult:
    """What a forward and backward pass over a batch gave; all on the device, detached.

    Of the 0-d values `loss` is the mean criterion of the batch, over `weight`, and `objective` what
    was differentiated: `loss`, auxiliary heads, penalties. Outputs are `(N, ...)`, of several
    processes those of the images that were read here; all else is of the whole batch.
    """

    loss: Tensor
    objective: Tensor
    weight: float | Tensor
    outputs: Tensor
    norm: Tensor | None = None


def take_step(
    learner: Learner, batch: Batch, *, criterion: Criterion, recipe: Recipe, images: int
) -> BatchResult:
    """The whole step, with the gradient's `norm` at the steps that want it; see the two halves."""
    done = forward_backward(learner, batch, criterion=criterion, recipe=recipe, images=images)
    norm = update(learner, done, recipe=recipe)
    return done if norm is None else replace(done, norm=norm)


def forward_backward(
    learner: Learner,
    batch: Batch,
    *,
    criterion: Criterion,
    recipe: Recipe,
    images: int | None = None,
) -> BatchResult:
    """Leave the gradient of the whole batch's objective in the parameters.

    The batch goes through in `recipe.accumulate` parts, of several processes in each those of the
    images that are read there. Each part is weighted by its share of the whole batch, of `images`
    (by default those that are here), and the gradients add up to that of the whole batch.
    """
    processes = learner.processes
    images = len(batch.targets) if images is None else images
    counts = 1.0 if processes.is_alone or processes.share.counted(images) else 0.0
    whole = _whole_weight(learner, criterion.weight(batch.targets), counts, images=images)
    learner.clear_gradients()
    outcome: BatchResult | None = None
    parts = (batch,) if recipe.accumulate == 1 else _parts(batch, recipe.accumulate)
    for number, part in enumerate(parts, 1):
        with nullcontext() if number == len(parts) else unshared(learner.net):
            with autocast(learner.precision, learner.device):
                outputs = learner.net(part.images)
            logits, objective, loss = _losses(outputs, part.targets, learner, criterion)
            objective = penalised(objective, learner, recipe)
            if recipe.accumulate > 1 or not processes.is_alone:
                share = criterion.weight(part.targets) / whole * counts
                objective, loss = objective * share, loss * share
            # the processes' gradients are averaged, and should add up
            scaled = objective if processes.is_alone else objective * processes.count
            learner.scaler.scale(scaled).backward()  # type: ignore[no-untyped-call]  # torch's gap
        measured = loss.detach()
        minimised = measured if objective is loss else objective.detach()
        done = BatchResult(measured, minimised, whole, logits.detach())
        outcome = done if outcome is None else _sum(outcome, done)
    assert outcome is not None
    return outcome if processes.is_alone else _of_all(learner, outcome, counts, images=images)


def _whole_weight(
    learner: Learner, weight: float | Tensor, counts: float, *, images: int
) -> float | Tensor:
    """What the mean over the whole batch is divided by, where `weight` is that of what is here."""
    if learner.processes.is_alone:
        return weight
    return learner.processes.total(weight * counts) if isinstance(weight, Tensor) else float(images)


def _of_all(learner: Learner, outcome: BatchResult, counts: float, *, images: int) -> BatchResult:
    """The loss and the objective of all processes; what layers keep is made the same in all.

    Running statistics become the mean over the processes, weighted by their images; what else a
    layer keeps (a plugin's) is that of the first process.
    """
    processes = learner.processes
    own = counts * processes.share.counted(images)
    processes.average(learner.statistics, weight=own, of=images)
    processes.copy_first(learner.other_buffers)
    loss, objective = processes.total(torch.stack([outcome.loss, outcome.objective]))
    return replace(outcome, loss=loss, objective=objective)


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


def _parts(batch: Batch, count: int) -> Sequence[Batch]:
    chunks = zip(batch.images.chunk(count), batch.targets.chunk(count), strict=True)
    return [Batch(images, targets) for images, targets in chunks]


def _losses(
    outputs: Tensor | tuple[Tensor, tuple[Tensor, ...]],
    targets: Tensor,
    learner: Learner,
    criterion: Criterion,
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, objective and loss; in float32 whatever less the network computed in."""
    logits, heads = outputs if isinstance(outputs, tuple) else (outputs, ())
    loss = objective = criterion(_exact(logits), targets)
    weights = getattr(learner.model, "aux_weights", ()) if heads else ()
    for weight, head in zip(weights, heads, strict=True):
        objective = objective + weight * criterion(_exact(head), targets)
    return logits, objective, loss


def _exact(values: Tensor) -> Tensor:
    return values if values.dtype is torch.float64 else values.float()


def _sum(first: BatchResult, second: BatchResult) -> BatchResult:
    return BatchResult(
        loss=first.loss + second.loss,
        objective=first.objective + second.objective,
        weight=first.weight,
        outputs=torch.cat([first.outputs, second.outputs]),
    )
