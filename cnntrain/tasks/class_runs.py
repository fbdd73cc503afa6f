"""An order of images in which several of a class stand together."""

from __future__ import annotations

import torch
from torch import Tensor


def in_runs(targets: Tensor, *, together: int, generator: torch.Generator) -> Tensor:
    """`(N,)` int64: each image once, in runs of `together` of a class, or a few more.

    A class with fewer images is one run. What is random: which images of a class make a run, and
    the order of the runs.

    Args:
        targets: `(N,)` int64 classes, on the CPU.
        together: at least 1.
        generator: on the CPU.
    """
    counts = torch.bincount(targets)
    order = torch.randperm(len(targets), generator=generator)
    members = order[targets[order].argsort(stable=True)]  # class by class
    classes = targets[members]
    runs = (counts // together).clamp_min(1)
    place = torch.arange(len(targets)) - (counts.cumsum(0) - counts)[classes]
    number = (runs.cumsum(0) - runs)[classes] + place * runs[classes] // counts[classes]
    turns = torch.randperm(int(runs.sum()), generator=generator)
    return members[turns[number].argsort(stable=True)]
