"""Layers whose weights follow from the training images, before the first step."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Loader
from cnntrain.train.evaluation import evaluation_mode
from cnntrain.train.together import Processes

IMAGES = 5000
"""Of the first epoch, augmentation and all: so many are looked at, or as many as there are."""


class _Reached(Exception):  # noqa: N818  # it is no error
    """The layer has been given its input: what follows need not be computed."""


def learn_from_images(
    net: nn.Module, loader: Loader, *, processes: Processes, given: Collection[str] = ()
) -> None:
    """Have each layer with a method `learn_from(inputs)` compute its weights, in their order.

    What a layer reads is computed in evaluation mode by those before it, which have theirs already.
    Several processes put their shares of the batches together, so all compute the same.

    Args:
        net: on its device.
        loader: of the training images.
        processes: that train together.
        given: names of tensors that have their values; a layer with one of them is left alone.
    """
    for name, module in net.named_modules():
        learn = getattr(module, "learn_from", None)
        own = {f"{name}.{tensor}".lstrip(".") for tensor, _ in module.named_buffers()}
        if learn is None or own & set(given):
            continue
        inputs = torch.cat(list(_inputs(net, module, loader, processes)))
        learn(inputs[:IMAGES])


def _inputs(
    net: nn.Module, module: nn.Module, loader: Loader, processes: Processes
) -> Iterator[Tensor]:
    """What the layer reads of whole batches, until there are enough images."""
    read: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        read.append(inputs[0])
        raise _Reached

    hook, seen = module.register_forward_pre_hook(keep), 0
    try:
        with evaluation_mode(net), torch.no_grad():
            for number, (images, _) in enumerate(loader.batches(1)):
                try:
                    net(images)
                except _Reached:
                    count = loader.images_in(number)
                    yield _whole(read.pop(), count, processes)
                    seen += count
                if seen >= IMAGES:
                    return
    finally:
        hook.remove()


def _whole(inputs: Tensor, images: int, processes: Processes) -> Tensor:
    """The batch's, of which this process has read its share."""
    if processes.is_alone:
        return inputs
    first, end = processes.share.bounds(images)
    whole = inputs.new_zeros(images, *inputs.shape[1:])
    whole[first:end] = inputs[: end - first]
    return processes.total(whole)
