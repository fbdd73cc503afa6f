"""What a network makes of several views of each image: the mean of its softmax over the views."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from cnntrain.train.evaluation import evaluation_mode
from cnntrain.train.precision import Precision, autocast


def mean_log_softmax(
    net: nn.Module,
    images: Sequence[Sequence[Tensor]],
    *,
    prepare: Callable[[Tensor], Tensor],
    mirrored: bool,
    batch_pixels: int,
    precision: Precision,
    device: torch.device,
    memory_format: torch.memory_format,
) -> Tensor:
    """The logarithm of each image's class probabilities, the mean over its views.

    Args:
        net: gives logits `(N, classes)` for `(N, C, H, W)`.
        images: of each image the same number of views, uint8 `(C, H, W)`, of any sizes.
        prepare: makes of a batch of them what the network reads.
        mirrored: whether each view also counts mirrored left to right.
        batch_pixels: of a batch, as far as one image is not more.
        precision: of the forward pass.
        device: where the network is.
        memory_format: of the batches.

    Returns:
        `(images, classes)` float32 on the CPU; logarithms, so that nothing becomes 0.
    """
    by_shape: dict[torch.Size, list[tuple[int, Tensor]]] = defaultdict(list)
    for number, view in enumerate(view for views in images for view in views):
        by_shape[view.shape].append((number, view))
    numbers: list[int] = []
    scores: list[Tensor] = []
    with evaluation_mode(net), torch.inference_mode():
        for shape, found in by_shape.items():
            size = max(1, batch_pixels // (shape[1] * shape[2]))
            for start in range(0, len(found), size):
                batch = found[start : start + size]
                pixels = torch.stack([view for _, view in batch]).to(device)
                for views in (pixels, pixels.flip(3)) if mirrored else (pixels,):
                    inputs = prepare(views).contiguous(memory_format=memory_format)
                    with autocast(precision, device):
                        logits = net(inputs)
                    scores.append(logits.float().log_softmax(dim=1))
                    numbers += [number for number, _ in batch]
        order = torch.tensor(numbers).argsort(stable=True).to(device)
        each = torch.unflatten(torch.cat(scores)[order], 0, (len(images), -1))
        return mean_of(each.unbind(dim=1)).cpu()


def mean_of(scores: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of probabilities that are given as logarithms."""
    return torch.stack(tuple(scores)).logsumexp(dim=0) - math.log(len(scores))
