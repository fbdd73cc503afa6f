"""Divergence: noticed on the device in the step where it happens, explained on the host.

Once the flag is 1 the fused optimizers leave the weights alone, so the weights that the explanation
looks at are those of the failing step, however late the host looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cache, partial

import torch
from torch import Tensor, nn

from cnntrain.core.errors import DivergedError
from cnntrain.data.batch import Batch, Loader
from cnntrain.optim import Warmup
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.learner import Learner
from cnntrain.train.precision import autocast
from cnntrain.train.recipe import Recipe

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def mark_non_finite(tensors: Sequence[Tensor], *, flag: Tensor) -> None:
    """Set a 0-d float32 flag to 1 if any value is infinite or NaN; it never goes back to 0.

    One kernel for all tensors and no host synchronisation (what torch's GradScaler uses); the
    tensors are multiplied by 1 in place.
    """
    torch._amp_foreach_non_finite_check_and_unscale_(list(tensors), flag, _one(flag.device))


@cache
def _one(device: torch.device) -> Tensor:
    return torch.ones((), device=device)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every value of every floating-point tensor is finite; waits for the device."""
    verdicts = [tensor.isfinite().all() for tensor in tensors if tensor.is_floating_point()]
    return not verdicts or bool(torch.stack(verdicts).all())


def explain_divergence(
    learner: Learner, *, loader: Loader, criterion: Criterion, recipe: Recipe
) -> DivergedError:
    """Replay the failing batch (the data order is a pure function) and say where it went wrong."""
    state = learner.state
    ago = max(int(state.steps_diverged), 1)
    step, position = state.step - ago + 1, state.batch - ago
    batch = next(iter(loader.batches(state.epoch + 1, start=position)))
    gradients = learner.gradients()
    norm = float(torch.nn.utils.get_total_norm(gradients)) if gradients else math.nan
    origin = _origin(learner, batch, criterion)
    lr = recipe.learning_rate(step - 1, state.plateau)
    return DivergedError(
        f"training diverged at step {step} (epoch {state.epoch + 1}, batch {position + 1}, "
        f"learning rate {lr:.3g}, gradient norm {norm:.3g}): {origin}",
        remedy=_remedy(origin, recipe=recipe, learner=learner),
    )


def _remedy(origin: str, *, recipe: Recipe, learner: Learner) -> str:
    if origin.startswith("the input images"):
        return "look at the data and at the transforms: 'cnntrain data check'"
    tries = [f"train.optimizer.lr: {recipe.lr / 10:.3g}"]
    if not isinstance(recipe.schedule, Warmup):
        tries.append("train.schedule.warmup_epochs: 1")
    if recipe.clip_norm is None:
        tries.append("train.clip_norm: 1.0")
    if learner.precision == "float16":
        tries.append("compute.precision: bfloat16 or float32, whose range is larger")
    if not any(isinstance(module, _NORMS) for module in learner.model.modules()):
        tries.append("batch_norm after the convolutions")
    return "try " + ", or ".join(tries)


def _origin(learner: Learner, batch: Batch, criterion: Criterion) -> str:
    """One clause: what was not finite first."""
    if not all_finite([batch.images]):
        bad = (~batch.images.isfinite().flatten(1).all(dim=1)).nonzero().flatten().tolist()
        return f"the input images {bad[:5]} of the batch hold values that are not finite"
    for name, parameter in learner.model.named_parameters():
        if not all_finite([parameter]):
            return f"the parameter '{name}' is not finite, so a gradient was not in the step before"
    first = _first_output(learner, batch, criterion)
    return first or "the loss or a gradient was not finite, but not again when replayed"


def _first_output(learner: Learner, batch: Batch, criterion: Criterion) -> str | None:
    found: list[str] = []
    passed = ["the loss"]

    def look_back(name: str, gradient: Tensor) -> None:
        # Called from the last layer to the first, with the gradient at each one's output: what was
        # passed just before is what made it.
        if not found and not all_finite([gradient]):
            found.append(f"the gradient that {passed[-1]} passes back is not finite")
        passed.append(name)

    def look(name: str, module: nn.Module, _inputs: object, output: object) -> None:
        layer = f"layer '{name}' ({type(module).__name__})"
        outputs = _tensors(output)
        if not found and not all_finite(outputs):
            found.append(f"the output of {layer} is not finite")
        for value in outputs:
            if value.requires_grad:
                hook = partial(look_back, layer)
                value.register_hook(hook)  # type: ignore[no-untyped-call]  # torch's gap

    learner.optimizer.zero_grad(set_to_none=True)
    with ExitStack() as hooks, autocast(learner.precision, learner.device):
        for name, module in learner.model.named_modules():
            if not list(module.children()):
                hooks.enter_context(module.register_forward_hook(partial(look, name)))
        outputs = learner.model.get_submodule(learner.part)(batch.images)
    if found:
        return found[0]
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    if not all_finite(_tensors(outputs)):
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


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [tensor for inner in value for tensor in _tensors(inner)]
    return []
