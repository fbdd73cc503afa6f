"""Batch normalisation's statistics, measured again over the whole training set.

During training the running averages follow weights that change, and forget; Ioffe and Szegedy,
"Batch Normalization", 2015, algorithm 2, instead measure mean and variance once the weights are
final. Variances are unbiased (divided by m - 1 for m values), as the paper's and as torch's own
running variances are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress

import torch
from torch import Tensor, nn

from cnntrain.core.errors import DataError
from cnntrain.data.batch import Loader
from cnntrain.train.evaluation import evaluation_mode
from cnntrain.train.precision import Precision, autocast
from cnntrain.train.together import ALONE, Processes

Norm = nn.modules.batchnorm._BatchNorm


def recalibrate(
    net: nn.Module,
    loader: Loader,
    *,
    exact: bool = False,
    precision: Precision = "float32",
    processes: Processes = ALONE,
) -> tuple[str, ...]:
    """Replace the running statistics of every batch normalisation; everything else stays.

    Not exact, in one pass: every normalisation uses its batch's own statistics, and the new ones
    are the means over the batches, weighted by their images, of the batches' means and of their
    variances. So later layers see values normalised batch by batch, and the variance leaves out
    how much the batches' means differ, which is little for large batches in random order.

    Exact, in one pass for each normalisation, from the first to the last: mean and variance of all
    values that reach it while the earlier ones already work with their final statistics, as they
    will in evaluation. The result does not depend on the batch size.

    Dropout and auxiliary heads do nothing, as in evaluation. What is marked `frozen`, keeps no
    statistics, or is not run in evaluation is left as it is.

    Args:
        net: its batch normalisations are changed in place.
        loader: of the training set, without random augmentation for the statistics of the images
            themselves; its epoch 0 is read.
        exact: one pass for each normalisation.
        precision: of the forward passes; the statistics are kept in float32 in any case.
        processes: that take the loader's batches in turns (not exact), each with this network.

    Returns:
        The names of the normalisations that were changed, in the order in which they are run.

    Raises:
        DataError: there are no images, or (not exact) a batch has one value per channel.
    """
    with evaluation_mode(net), torch.no_grad():
        norms = _in_order(net, loader, precision)
        if not exact:
            seen = _average_batches(net, norms.values(), loader, precision)
            if not processes.is_alone:
                has_turn = processes.share.has_turn(loader.batches_per_epoch)
                _average_processes(norms.values(), processes, seen=seen if has_turn else 0)
        else:
            for norm in norms.values():
                _measure(net, norm, loader, precision)
    return tuple(norms)


def _in_order(net: nn.Module, loader: Loader, precision: Precision) -> dict[str, Norm]:
    """The normalisations to change, by name, in the order in which the first batch meets them."""
    frozen = {
        child
        for module in net.modules()
        if getattr(module, "frozen", False)
        for child in module.modules()
    }
    found = {
        module: name
        for name, module in net.named_modules()
        if isinstance(module, Norm) and module.track_running_stats and module not in frozen
    }
    met: dict[str, Norm] = {}

    def note(module: nn.Module, _inputs: object) -> None:
        assert isinstance(module, Norm)
        met[found[module]] = module

    with ExitStack() as hooks:
        for module in found:
            hooks.enter_context(module.register_forward_pre_hook(note))
        images = next(_images(loader), None)
        if images is None:
            raise DataError("no images to recalibrate with", remedy="the training set is empty")
        _run(net, images, precision)
    return met


def _average_batches(
    net: nn.Module, norms: Iterable[Norm], loader: Loader, precision: Precision
) -> int:
    """One pass in which torch's own running averages become weighted means over all batches.

    Returns:
        The images.
    """
    norms = list(norms)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    seen = 0
    try:
        for images in _images(loader):
            seen += len(images)
            for norm in norms:
                norm.momentum = len(images) / seen  # the mean of all images so far
            try:
                _run(net, images, precision)
            except ValueError as error:
                if len(images) > 1:
                    raise
                raise DataError(
                    f"a batch of a single image has no variance: {error}",
                    remedy="choose another batch size, or recalibrate exactly",
                ) from error
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    return seen


def _average_processes(norms: Iterable[Norm], processes: Processes, *, seen: int) -> None:
    """The means over the batches of all processes, of which this one has seen so many images."""
    for norm in norms:
        mean, variance, batches = norm.running_mean, norm.running_var, norm.num_batches_tracked
        assert mean is not None
        assert variance is not None
        assert batches is not None
        total = int(processes.total(torch.tensor(seen, device=mean.device)))
        processes.average([mean, variance], weight=seen, of=total)
        processes.total(batches.mul_(seen > 0))


class _Reached(Exception):  # noqa: N818  nothing is wrong
    """The forward pass has come to the normalisation that is measured; the rest is not needed."""


def _measure(net: nn.Module, norm: Norm, loader: Loader, precision: Precision) -> None:
    """One pass: mean and variance of all values that reach one normalisation, (N, C, ...).

    Mean and squared deviations of each channel are merged batch by batch (Chan, Golub and LeVeque,
    "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979), on the host
    in float64, so that a million batches add no rounding.
    """
    count = batches = 0
    mean = squares = torch.zeros((), dtype=torch.float64)

    def look(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count, mean, squares
        x = inputs[0]
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        dimensions = [d for d in range(x.dim()) if d != 1]
        found = torch.var_mean(values, dim=dimensions, correction=0)
        variance, difference = found[0].cpu().double(), found[1].cpu().double() - mean
        new = x.numel() // x.shape[1]
        total = count + new
        mean = mean + difference * (new / total)
        squares = squares + variance * new + difference.square() * (count * new / total)
        count = total
        raise _Reached

    with norm.register_forward_pre_hook(look):
        for images in _images(loader):
            with suppress(_Reached):
                _run(net, images, precision)
            batches += 1
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(squares / max(count - 1, 1))
    norm.num_batches_tracked.fill_(batches)


def _images(loader: Loader) -> Iterator[Tensor]:
    return (batch.images for batch in loader.batches(0))


def _run(net: nn.Module, images: Tensor, precision: Precision) -> None:
    with autocast(precision, images.device):
        net(images)
