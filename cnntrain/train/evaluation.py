"""Evaluate a network: on a whole split, each image exactly once, and on several views of images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from cnntrain.core.errors import DataError
from cnntrain.data.batch import Batch, Loader
from cnntrain.tasks.answers import answers_of, together
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Result, Sums, Task
from cnntrain.train.events import StopRequest
from cnntrain.train.finite import why_not_finite
from cnntrain.train.precision import Precision, autocast


def evaluate(
    net: nn.Module,
    loader: Loader,
    *,
    criterion: Criterion,
    task: Task,
    precision: Precision = "float32",
    stop: StopRequest | None = None,
    whole: str = "the images",
    collect: Callable[[Tensor, Tensor], None] | None = None,
) -> Result | None:
    """The loss and the task's figures of a network on a split.

    Batches are weighted by their size, so the last, smaller one counts as it should. The network
    is in evaluation mode meanwhile, and each of its modules in its own mode again afterwards.

    Args:
        net: gives outputs `(N, ...)` for images `(N, C, H, W)`.
        loader: of the split.
        criterion: the loss to average.
        task: what is counted.
        precision: of the forward pass.
        stop: ends the evaluation after a batch, or while it waits for one; the result is None.
            Its processes take the loader's batches in turns, and all come to the same result.
        whole: what to call the images if something is wrong.
        collect: is given the outputs, float32, and the targets of each batch.

    Raises:
        DivergedError: the outputs or the loss are not finite; it names the first layer.
        DataError: there are no images, or some hold values that are not finite.
    """
    stop = stop or StopRequest()
    processes = stop.processes
    has_turn = processes.is_alone or processes.share.has_turn(loader.batches_per_epoch)
    sums: Sums | None = None
    size = 0
    finite: list[Tensor] = []  # of each batch 0-d, on the device, read at the end
    with evaluation_mode(net), torch.inference_mode():
        for images, targets in stop.batches(loader.batches(0)):
            with autocast(precision, images.device):
                outputs = net(images)
            outputs = outputs.float()
            if sums is None:
                sums, size = task.sums(outputs), len(targets)
            loss, weight = criterion(outputs, targets), criterion.weight(targets)
            if has_turn:  # else it is a stand-in for the batch that is not there
                sums.add(outputs, targets, loss=loss, weight=weight)
            finite.append(outputs.isfinite().all() & loss.isfinite())
            if collect is not None:
                collect(outputs, targets)
        if stop.agree():
            return None
        if sums is None:
            raise DataError("no images to evaluate", remedy="the split is empty")
        error = None
        if (bad := first_false(finite)) is not None:
            number = processes.index + bad * processes.count if has_turn else 0
            batch = next(iter(loader.batches(0, start=number)))
            first = number * size  # of the stored order; only the last batch may be smaller
            once = net.once if isinstance(net, ManyViews) else net
            error = why_not_finite(
                once, batch, criterion=criterion, precision=precision, first=first, whole=whole
            )
        if (agreed := processes.one_of(error)) is not None:
            raise agreed
        if not processes.is_alone and hasattr(sums, "gather"):
            sums.gather(processes.gathered)
        elif not processes.is_alone:
            sums.add_up(processes.total)
        return sums.compute()


class ManyViews(nn.Module):
    """A network that answers with the mean of its outputs for several views of an image.

    2: the image and its mirror image. 6: the mean of that and of the same for the image shifted by
    one pixel up and left, and down and right, where what comes in is the reflected edge (Jordan,
    "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section 3.5).

    Args:
        once: gives outputs for `(N, C, H, W)`.
        views: 2 or 6.
    """

    def __init__(self, once: nn.Module, *, views: int) -> None:
        super().__init__()
        self.once = once
        self._is_shifted = views == 6

    def forward(self, images: Tensor) -> Tensor:
        """`(N, ...)` float32."""
        mean = self._both_sides(images)
        if not self._is_shifted:
            return mean
        wide = pad(images, (1, 1, 1, 1), mode="reflect")
        shifted = [self._both_sides(each) for each in (wide[..., :-2, :-2], wide[..., 2:, 2:])]
        return mean / 2 + (shifted[0] + shifted[1]) / 4

    def _both_sides(self, images: Tensor) -> Tensor:
        there, mirrored = (self.once(each).float() for each in (images, images.flip(3)))
        mean: Tensor = (there + mirrored) / 2
        return mean


def answering(net: nn.Module, *, views: int) -> nn.Module:
    """What is evaluated of a network that is given 1, 2 or 6 views of each image."""
    return net if views == 1 else ManyViews(net, views=views)


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


def first_false(verdicts: Sequence[Tensor]) -> int | None:
    """The position of the first 0-d tensor that is False; waits for the device."""
    found = torch.stack(list(verdicts)).tolist()
    return found.index(False) if False in found else None


def mean_answers(  # noqa: PLR0913  # what a model has, one by one
    net: nn.Module,
    images: Sequence[Sequence[Tensor]],
    *,
    task: Task,
    prepare: Callable[[Tensor], Tensor],
    mirrored: bool,
    batch_pixels: int,
    precision: Precision,
    device: torch.device,
    memory_format: torch.memory_format,
) -> Tensor:
    """What a network says of each image, the mean over its views.

    Args:
        net: gives outputs `(N, ...)` for `(N, C, H, W)`; it is on `device`.
        images: of each image the same number of views, uint8 `(C, H, W)`, of any sizes.
        task: what outputs mean, and how the mean is taken.
        prepare: makes of a batch of them what the network reads.
        mirrored: whether each view also counts mirrored left to right.
        batch_pixels: of a batch, as far as one image is not more.
        precision, device, memory_format: of the batches.

    Returns:
        `(images, ...)` float32 on the CPU, in the form of the task's answers.

    Raises:
        DivergedError: the outputs are not finite; it names the first layer.
        DataError: images hold values that are not finite after `prepare`.
    """
    by_shape: dict[torch.Size, list[tuple[int, Tensor]]] = defaultdict(list)
    for number, view in enumerate(view for views in images for view in views):
        by_shape[view.shape].append((number, view))

    def batches() -> Iterator[tuple[Sequence[int], Tensor]]:
        for shape, found in by_shape.items():
            size = max(1, batch_pixels // (shape[1] * shape[2]))
            for start in range(0, len(found), size):
                batch = found[start : start + size]
                pixels = torch.stack([view for _, view in batch]).to(device)
                for views in (pixels, pixels.flip(3)) if mirrored else (pixels,):
                    inputs = prepare(views).contiguous(memory_format=memory_format)
                    yield [number for number, _ in batch], inputs

    numbers: list[int] = []
    answers: list[Tensor] = []
    finite: list[Tensor] = []
    with evaluation_mode(net), torch.inference_mode():
        for of_views, inputs in batches():
            with autocast(precision, device):
                outputs = net(inputs).float()
            answers.append(answers_of(task, outputs))
            finite.append(outputs.isfinite().all())
            numbers += of_views
        if (bad := first_false(finite)) is not None:
            _, inputs = next(islice(batches(), bad, None))
            given = Batch(inputs, torch.empty(0))
            raise why_not_finite(net, given, precision=precision)
        order = torch.tensor(numbers).argsort(stable=True).to(device)
        each = torch.unflatten(torch.cat(answers)[order], 0, (len(images), -1))
        return together(task, each.unbind(dim=1)).cpu()
