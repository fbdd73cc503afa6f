"""Training steps that are to be timed: all of a step but the loading of its images."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import cast

import torch
from torch import nn
from torch.optim import Optimizer

from cnntrain.data.batch import Batch
from cnntrain.optim import set_learning_rate
from cnntrain.train.briefly import Method
from cnntrain.train.evaluation import training_mode
from cnntrain.train.graphed import GraphedSteps
from cnntrain.train.learner import Learner
from cnntrain.train.precision import Precision
from cnntrain.train.step import take_step


class TimedSteps:
    """Forward, loss, backward and update, with a learning rate of 0, so that nothing diverges.

    What an update costs is the same, and the weights stay as they are.

    Args:
        model: the network, which is trained.
        optimizer: over its parameters.
        batch: for each step, unless `step` is given others.
        method: how the run trains; its optimizer is not made.
        compiled: call the compiled network; the first step is slow.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        batch: Batch,
        *,
        method: Method,
        compiled: bool = False,
    ) -> None:
        self.batch = batch
        self._method = method
        called = cast(nn.Module, torch.compile(model)) if compiled else None
        self._learner = Learner(
            model, optimizer, called, precision=method.precision, penalties=method.penalties
        )
        graphs = method.recipe.cuda_graphs and not compiled
        self._take = GraphedSteps(self._learner) if graphs else take_step
        training_mode(self._learner.net)
        set_learning_rate(optimizer, 0.0)

    @staticmethod
    def of(net: nn.Module, batch: Batch, *, method: Method) -> TimedSteps:
        """Of a copy of a network."""
        model = copy.deepcopy(net)
        return TimedSteps(model, method.make_optimizer(model), batch, method=method)

    def variant(
        self,
        *,
        batch: Batch | None = None,
        precision: Precision | None = None,
        compiled: bool = False,
    ) -> TimedSteps:
        """Steps of the same network, with the same optimizer, in another way."""
        learner, method = self._learner, self._method
        return TimedSteps(
            learner.model,
            learner.optimizer,
            batch or self.batch,
            method=replace(method, precision=precision or method.precision),
            compiled=compiled,
        )

    def step(self, batch: Batch) -> None:
        """One step, which the device may not have ended yet."""
        criterion, recipe = self._method.criterion, self._method.recipe
        images = len(batch.targets)
        self._take(self._learner, batch, criterion=criterion, recipe=recipe, images=images)
        self._learner.state.step += 1

    def run(self, count: int) -> None:
        """So many steps over the ready batch, to their end."""
        for _ in range(count):
            self.step(self.batch)
        self.finish()

    def finish(self) -> None:
        """Wait until the device has done all that it was given."""
        if self._learner.device.type == "cuda":
            torch.cuda.synchronize(self._learner.device)
