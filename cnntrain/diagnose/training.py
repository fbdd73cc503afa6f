"""A few steps of training on a copy, as the run itself would take them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.data.batch import Batch
from cnntrain.optim import ParameterGroup, set_learning_rate
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.learner import Learner
from cnntrain.train.precision import Precision, autocast
from cnntrain.train.recipe import Recipe
from cnntrain.train.step import forward_backward, update


@dataclass(frozen=True)
class Method:
    """How a run trains, as far as a few steps need it.

    Args:
        make_optimizer: the run's optimizer over another network like its own.
        criterion: the loss.
        recipe: learning rate, clipping, L1, accumulation.
        precision: of the forward pass.
    """

    make_optimizer: Callable[[nn.Module], Optimizer]
    criterion: Criterion
    recipe: Recipe
    precision: Precision = "float32"


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


HOPELESS = 1e4
"""Times the first loss (and 1): where no training comes back from."""


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
    learner = Learner(net, method.make_optimizer(net), precision=method.precision)
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
    """The groups of an optimizer, with their numbers, over a copy of the network.

    Args:
        optimizer: over the model's parameters.
        model: the network that was copied.
        net: the copy.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        found = [names[id(parameter)] for parameter in group["params"]]
        numbers = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        groups.append({"params": [(name, net.get_parameter(name)) for name in found], **numbers})
    return cast(list[ParameterGroup], groups)


@torch.no_grad()
def logits_of(
    net: nn.Module, batches: Sequence[Batch], *, precision: Precision = "float32"
) -> tuple[Tensor, Tensor]:
    """Outputs `(N, classes)` and targets of all images, in the modes that the modules are in."""
    outputs, targets = [], []
    for images, classes in batches:
        with autocast(precision, images.device):
            output = net(images)
        outputs.append((output[0] if isinstance(output, tuple) else output).float())
        targets.append(classes)
    return torch.cat(outputs), torch.cat(targets)


def chance_loss(criterion: Criterion, targets: Tensor, *, classes: int) -> float:
    """The loss of an answer that does not look at the image: the shares of the classes.

    Cross entropy gets their logarithms: ln C for C equally frequent classes. Squared error gets the
    shares themselves.
    """
    shares = torch.bincount(targets.cpu(), minlength=classes).float() / len(targets)
    answers = (shares.clamp_min(1e-6).log(), shares)
    every = [answer.to(targets.device).expand(len(targets), -1) for answer in answers]
    return min(float(criterion(logits, targets)) for logits in every)
