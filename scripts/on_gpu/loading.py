"""What the loaders give the device to do: kernels as its own profiler counts them, and seconds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import torch

from cnntrain.data.batch import Batching
from cnntrain.data.loaders import make_loader, make_pipelines
from cnntrain.data.splits import Pixels
from on_gpu.device import middle, no_waiting, timed
from on_gpu.report import Figures, Piece, rounded

NORMALIZE = {"name": "normalize", "mean": [0.5] * 3, "std": [0.25] * 3}
FLIP = {"name": "horizontal_flip"}
LISTS: dict[str, tuple[int, int, int, tuple[Any, ...]]] = {
    "cifar": (12, 32, 512, ({"name": "random_crop", "size": 32, "padding": 4}, FLIP, NORMALIZE)),
    "photographs": (
        30,
        256,
        256,
        ({"name": "random_resized_crop", "size": 224}, FLIP, NORMALIZE),
    ),
}
"""Kernels at most, side of the stored images, batch, transforms."""


def pieces(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """Both kinds of augmentation, in both layouts."""
    for name in list(LISTS)[: 1 if is_rehearsal else None]:
        for last in (False, True):
            work = partial(batches_of, name, device=device, last=last, is_small=is_rehearsal)
            yield Piece(f"{name}{' channels last' if last else ''}", work)


def batches_of(name: str, *, device: torch.device, last: bool, is_small: bool) -> Figures:
    """Count the kernels of a batch, and time batches that nothing waits for."""
    most, side, size, items = LISTS[name]
    size = 8 if is_small else size
    images = torch.randint(0, 256, (4 * size, 3, side, side), dtype=torch.uint8)
    pixels = Pixels(images, torch.arange(len(images)) % 10)
    how = Batching(size, shuffle=True, device=device, channels_last=last)
    made = make_loader(pixels, make_pipelines({"train": items})["train"], name="train",
                       memory="resident", workers=0, batching=how)  # fmt: skip

    def several() -> None:
        for epoch in range(1, 6):
            for _ in made.batches(epoch):
                pass

    several()
    with no_waiting(device):
        for _ in made.batches(1):
            pass
    seconds = [timed(several, device=device) for _ in range(3)]
    found: Figures = {"images_per_second": rounded(20 * size / middle(seconds))}
    if device.type == "cuda":
        kernels = _kernels(made, device)
        found |= {"kernels_per_batch": kernels, "at_most": most, "ok": kernels <= most}
    return found


def _kernels(loader: Any, device: torch.device) -> int:
    """Kernels and copies on the device for the second batch of an epoch."""
    batches = loader.batches(1)
    next(batches)
    torch.cuda.synchronize(device)
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        list(islice(batches, 1))
        torch.cuda.synchronize(device)
    on_device = torch.autograd.DeviceType.CUDA
    return sum(1 for event in profile.events() if event.device_type == on_device)
