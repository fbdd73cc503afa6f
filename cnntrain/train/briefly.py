"""A few steps of training on a copy of a network, to find out how it would train."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.data.batch import Batch
from cnntrain.optim import ParameterGroup, set_learning_rate
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.activations import ActivationPenalty
from cnntrain.train.evaluation import training_mode
from cnntrain.train.learner import Learner
from cnntrain.train.precision import Precision
from cnntrain.train.recipe import Recipe
from cnntrain.train.step import forward_backward, update

Norm = nn.modules.batchnorm._BatchNorm

HOPELESS = 1e4
"""Times the first loss (and 1): where no training comes back from."""


def steady_copy(net: nn.Module) -> nn.Module:
    """A copy that trains without chance: what is random does as in evaluation.

    Batch normalisation uses the batch's own statistics, as in training, and auxiliary heads answer;
    dropout and the like are off. What is marked `frozen` stays in evaluation mode.
    """
    steady = copy.deepcopy(net)
    set_steady(steady)
    return steady


def set_steady(net: nn.Module) -> None:
    """Put a network into the mode of `steady_copy`."""
    training_mode(net)
    for module in net.modules():
        module.training &= isinstance(module, Norm)
    net.training = True


@dataclass(frozen=True)
class Method:
    """How a run trains, as far as a few steps need it; the optimizer is the run's over a copy."""

    make_optimizer: Callable[[nn.Module], Optimizer]
    criterion: Criterion
    recipe: Recipe
    precision: Precision = "float32"
    penalties: Sequence[ActivationPenalty] = ()


@dataclass(frozen=True)
class Course:
    """The losses of some steps, each before its own update.

    Args:
        losses: mean criterion of each step's batch; the last may be infinite or NaN.
        diverged: whether a loss was not finite, or so large that training was given up.
    """

    losses: tuple[float, ...]
    diverged: bool

    @property
    def end(self) -> float:
        """Mean of the last quarter; infinite where the steps diverged."""
        if self.diverged:
            return math.inf
        last = self.losses[-max(1, len(self.losses) // 4) :]
        return sum(last) / len(last)


def train_briefly(
    net: nn.Module,
    batches: Sequence[Batch],
    *,
    method: Method,
    steps: int,
    rate: Callable[[int], float],
    seed: int = 0,
    enough: Callable[[int], bool] | None = None,
) -> Course:
    """Train a network in place, in the modes that its modules are in.

    Args:
        net: it is changed: give a copy.
        batches: taken in turn, again from the first after the last.
        method: how to train.
        steps: how many.
        rate: learning rate of each step, from 0.
        seed: of dropout and the like; torch's own random state is left alone.
        enough: asked after each step, with the steps done; True ends the training.
    """
    losses: list[float] = []
    diverged = False
    learner = Learner(
        net,
        method.make_optimizer(net),
        precision=method.precision,
        penalties=method.penalties,
    )
    devices = [learner.device] if learner.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        torch.manual_seed(seed)
        for step in range(steps):
            set_learning_rate(learner.optimizer, rate(step))
            batch = batches[step % len(batches)]
            outcome = forward_backward(
                learner, batch, criterion=method.criterion, recipe=method.recipe
            )
            update(learner, outcome, recipe=method.recipe)
            learner.state.step += 1
            losses.append(float(outcome.loss))
            diverged = bool(learner.state.diverged)
            diverged |= not losses[-1] < HOPELESS * (1 + abs(losses[0]))
            if diverged or (enough is not None and enough(step + 1)):
                break
    return Course(tuple(losses), diverged)


def groups_like(optimizer: Optimizer, model: nn.Module, net: nn.Module) -> list[ParameterGroup]:
    """The groups of an optimizer over `model`, with their numbers, over `net`, a copy of it."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        found = [names[id(parameter)] for parameter in group["params"]]
        numbers = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        groups.append({"params": [(name, net.get_parameter(name)) for name in found], **numbers})
    return cast(list[ParameterGroup], groups)


def without_decay(method: Method) -> Method:
    """The method with a weight decay of 0."""

    def make(net: nn.Module) -> Optimizer:
        optimizer = method.make_optimizer(net)
        for group in optimizer.param_groups:
            group["weight_decay"] = 0.0
        return optimizer

    return replace(method, make_optimizer=make)


def chance_loss(
    criterion: Criterion, targets: Tensor, *, classes: int, outputs: Sequence[int] = ()
) -> float:
    """The loss of an answer that does not look at the image: the shares of the classes.

    Cross entropy gets their logarithms: ln C for C equally frequent classes. Squared error gets the
    shares themselves. For other targets, and where `outputs`, the shape of what the network gives
    for an image, is not one score for each class, the best such answer is searched for, from 0 on.
    """
    if targets.ndim > 1:
        found = _best_constant(criterion, targets, outputs or targets.shape[1:])
        if outputs and tuple(outputs) != tuple(targets.shape[1:]):
            return found
        mean = targets.float().mean(dim=0).expand(targets.shape)  # where outputs must be in a range
        return min(found, float(criterion(mean, targets)))
    if outputs and tuple(outputs) != (classes,):
        return _best_constant(criterion, targets, outputs)
    shares = torch.bincount(targets.cpu(), minlength=classes).float() / len(targets)
    answers = (shares.clamp_min(1e-6).log(), shares)
    every = [answer.to(targets.device).expand(len(targets), -1) for answer in answers]
    return min(float(criterion(logits, targets)) for logits in every)


def _best_constant(criterion: Criterion, targets: Tensor, shape: Sequence[int]) -> float:
    """The least loss of one answer to all images: L-BFGS (Liu and Nocedal 1989), 50 steps."""
    answer = torch.zeros(shape, device=targets.device, requires_grad=True)
    search = torch.optim.LBFGS([answer], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        found = criterion(answer.expand(len(targets), *shape), targets)
        found.backward()  # type: ignore[no-untyped-call]  # torch's gap
        return found

    with torch.enable_grad():
        search.step(loss)  # type: ignore[no-untyped-call]  # torch's gap
        return float(loss().detach())
