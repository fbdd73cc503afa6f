"""Evaluate a network on a whole split, each image exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import overload

import torch
from torch import nn

from cnntrain.core.errors import DataError
from cnntrain.data.batch import Loader
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Result, Sums, Task
from cnntrain.train.precision import Precision, autocast
from cnntrain.train.stopping import StopRequest


@overload
def evaluate(
    net: nn.Module,
    loader: Loader,
    *,
    criterion: Criterion,
    precision: Precision = ...,
    task: Task = ...,
) -> Result: ...
@overload
def evaluate(
    net: nn.Module,
    loader: Loader,
    *,
    criterion: Criterion,
    precision: Precision = ...,
    stop: StopRequest,
    task: Task = ...,
) -> Result | None: ...
def evaluate(
    net: nn.Module,
    loader: Loader,
    *,
    criterion: Criterion,
    precision: Precision = "float32",
    stop: StopRequest | None = None,
    task: Task = CLASSIFICATION,
) -> Result | None:
    """The loss and the task's figures of a network on a split.

    Batches are weighted by their size, so the last, smaller one counts as it should. The network
    is in evaluation mode meanwhile, and each of its modules in its own mode again afterwards.

    Args:
        net: gives outputs `(N, ...)` for images `(N, C, H, W)`.
        loader: of the split.
        criterion: the loss to average.
        precision: of the forward pass.
        stop: looked at after each batch; when it is raised the result is None.
        task: what is counted.
    """
    sums: Sums | None = None
    with evaluation_mode(net), torch.inference_mode():
        for images, targets in loader.batches(0):
            with autocast(precision, images.device):
                outputs = net(images)
            outputs = outputs.float()
            if sums is None:
                sums = task.sums(outputs)
            loss, weight = criterion(outputs, targets), criterion.weight(targets)
            sums.add(outputs, targets, loss=loss, weight=weight)
            if stop is not None and stop.requested:
                return None
        if sums is None:
            raise DataError("no images to evaluate", remedy="the split is empty")
        return sums.compute()


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Evaluation mode for the time of a `with` block; then each module is as it was before."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def training_mode(net: nn.Module) -> None:
    """Training mode for every module except those marked `frozen = True`, and what is in them."""
    net.train()
    for module in net.modules():
        if getattr(module, "frozen", False):
            module.eval()
