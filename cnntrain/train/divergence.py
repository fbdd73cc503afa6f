"""Why training diverged, explained on the host.

Once the flag is 1 the fused optimizers leave the weights alone, so the weights that the explanation
looks at are those of the failing step, however late the host looks.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from cnntrain.core.errors import CnntrainError, DataError, DivergedError
from cnntrain.data.batch import Batch, Loader
from cnntrain.optim import Warmup
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.finite import (
    DOCTOR,
    LOOK_AT_DATA,
    all_finite,
    images_not_finite,
    tensors_of,
    watched,
)
from cnntrain.train.learner import Learner
from cnntrain.train.precision import autocast
from cnntrain.train.recipe import Recipe

USUAL_RATE = 0.1
"""The largest that is worth trying next: SGD's usual one with batch normalisation (He et al. 2015,
section 3.4); other optimizers' are smaller."""

NOT_AGAIN = "the loss or a gradient was not finite, but not again when replayed"

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def explain_divergence(
    learner: Learner,
    loader: Loader,
    *,
    criterion: Criterion,
    recipe: Recipe,
    by_update: bool = False,
) -> CnntrainError:
    """Replay the failing batch (the data order is a pure function) and say where it went wrong.

    Args:
        learner, loader, criterion, recipe: those of the training.
        by_update: whether the loss and the gradients were finite, and the newest weights, or what
            else a checkpoint would hold, are not.

    Returns:
        A DataError where the images are not finite themselves, else a DivergedError; of several
        processes the same in all.
    """
    found, is_named = _explained(learner, loader, criterion, recipe, by_update=by_update)
    return learner.processes.one_of(found if is_named else None) or found


def _explained(
    learner: Learner, loader: Loader, criterion: Criterion, recipe: Recipe, *, by_update: bool
) -> tuple[CnntrainError, bool]:
    """The error, and whether it names where it began."""
    state = learner.state
    ago = 1 if by_update else max(int(state.steps_diverged), 1)
    step, position = state.step - ago + 1, state.batch - ago
    batch = next(iter(loader.batches(state.epoch + 1, start=position)))
    gradients = learner.gradients()
    norm = float(torch.nn.utils.get_total_norm(gradients)) if gradients else math.nan
    lr = recipe.learning_rate(step - 1, state.plateau) * state.rate_factor
    what = (
        f"training diverged at step {step} (epoch {state.epoch + 1}, batch {position + 1}, "
        f"learning rate {lr:.3g}, gradient norm {norm:.3g}): "
    )
    skipped = int(state.skips.in_epoch)
    after = f"; {skipped} of the epoch's {state.batch} steps so far were skipped" if skipped else ""
    if learner.has_lost_scale():
        after += f"; the loss scale has fallen to {learner.scaler.get_scale():g} in skipped steps"
    processes, bad = learner.processes, images_not_finite(batch.images)
    if not processes.is_alone:
        before = processes.share.first(loader.images_in(position))
        bad = [before + number for number in bad]
    if bad and not learner.part:
        found = f"the input images {bad[:5]} of the batch hold values that are not finite"
        return DataError(what + found + after, remedy=LOOK_AT_DATA), True
    if bad:
        origin = f"the features of the images {bad[:5]} of the batch are not finite"
        return DivergedError(what + origin + after, remedy=DOCTOR), True
    clause = _origin(learner, batch, criterion, by_update=by_update)
    text = what + (clause or NOT_AGAIN) + after
    return DivergedError(text, remedy=_remedy(recipe, learner)), clause is not None


def _remedy(recipe: Recipe, learner: Learner) -> str:
    tries = [f"train.optimizer.lr: {min(recipe.lr / 10, USUAL_RATE) / recipe.lr_scale:.3g}"]
    if not isinstance(recipe.schedule, Warmup):
        tries.append("train.schedule.warmup_epochs: 1")
    if recipe.clip_norm is None:
        tries.append("train.clip_norm: 1.0")
    if learner.precision == "float16":
        tries.append("compute.precision: bfloat16 or float32, whose range is larger")
    if not any(isinstance(module, _NORMS) for module in learner.model.modules()):
        tries.append("batch_norm after the convolutions")
    if recipe.on_divergence == "stop":
        tries.append("train.on_divergence: rollback")
    return "try " + ", or ".join(tries)


def _origin(learner: Learner, batch: Batch, criterion: Criterion, *, by_update: bool) -> str | None:
    """One clause: what was not finite first."""
    why = " after this step" if by_update else ", so a gradient was not in the step before"
    for name, tensor in learner.named_tensors():
        if (by_update or isinstance(tensor, nn.Parameter)) and not all_finite([tensor]):
            return f"the {name} is not finite{why}"
    if any(isinstance(module, nn.SyncBatchNorm) for module in learner.model.modules()):
        return None  # it waits for all processes, which would not all come as far
    return _first_output(learner, batch, criterion)


def _first_output(learner: Learner, batch: Batch, criterion: Criterion) -> str | None:
    found: list[str] = []
    passed = ["the loss"]

    def look_back(name: str, gradient: Tensor) -> None:
        # Called from the last layer to the first, with the gradient at each one's output: what was
        # passed just before is what made it.
        if not found and not all_finite([gradient]):
            found.append(f"the gradient that {passed[-1]} passes back is not finite")
        passed.append(name)

    def look(name: str, module: nn.Module, outputs: list[Tensor]) -> None:
        layer = f"layer '{name}' ({type(module).__name__})"
        if not found and not all_finite(outputs):
            found.append(f"the output of {layer} is not finite")
        for value in outputs:
            if value.requires_grad:
                hook = partial(look_back, layer)
                value.register_hook(hook)  # type: ignore[no-untyped-call]  # torch's gap

    learner.optimizer.zero_grad(set_to_none=True)
    with watched(learner.model, look), autocast(learner.precision, learner.device):
        outputs = learner.model.get_submodule(learner.part)(batch.images)
    if found:
        return found[0]
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    if not all_finite(tensors_of(outputs)):
        return "the output of the network is not finite, though those of its layers are"
    loss = criterion(logits.float(), batch.targets)
    if not all_finite([loss]):
        return "the loss is not finite, though the network's outputs are"
    loss.backward()  # type: ignore[no-untyped-call]  # torch's gap
    return found[0] if found else _parameter_gradient(learner.model)


def _parameter_gradient(model: nn.Module) -> str | None:
    # The last in the order of the network is the first that the backward pass came to.
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not all_finite([parameter.grad]):
            return f"the gradient of the parameter '{name}' is not finite"
    return None
