"""Every run file trains a few steps on the device, without waiting for it, and its loss falls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path

import torch

from cnntrain.assemble.networks import make_network
from cnntrain.data.batch import Batch, Batching, Loader
from cnntrain.optim.schedules.constant import constant
from cnntrain.train import Precision, StepDone, train
from on_gpu.cases import RUN_FILES, Case, open_case
from on_gpu.device import is_channels_last, no_waiting, place
from on_gpu.report import Figures, Piece, rounded

IMAGES, BATCH = 32, 16
STEPS, LOOK_EVERY = 300, 10
SECONDS = 6.0
FALLEN = 0.9
"""Of the first loss; the mean of the last steps must come below."""
NEVER = 10**9
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
SMALL = ("digits", "lenet300")
"""Run files of a rehearsal."""


class Endless:
    """Augmented batches, and then plain ones for ever: at an epoch's end its figures are read."""

    def __init__(self, augmented: Loader, plain: Loader) -> None:
        self._augmented, self._plain = augmented, plain
        self.size, self.batches_per_epoch = plain.size, NEVER

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        """One epoch after the other."""
        for number in range(LOOK_EVERY):
            yield from self._augmented.batches(number)
        for number in count(1):
            yield from self._plain.batches(number)


def pieces(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """Each run file in each precision."""
    for file in RUN_FILES:
        for precision in PRECISIONS:
            if not is_rehearsal or (file.stem in SMALL and precision == "float32"):
                work = partial(loss_falls, file, precision, device=device)
                yield Piece(f"{file.stem} {precision}", work)


def loss_falls(file: Path, precision: Precision, *, device: torch.device) -> Figures:
    """Train on a few images until the loss has fallen; after the first step nothing may wait."""
    case = open_case(file, images=IMAGES)
    if not case.is_trained:
        return {"skipped": "trains nothing"}
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    losses: list[float] = []
    recent, began = float("inf"), time.perf_counter()
    for some in _in_bunches(case, precision, device=device):
        losses += some
        recent = sum(losses[-5:]) / len(losses[-5:])
        if recent < FALLEN * losses[0] or time.perf_counter() - began > SECONDS:
            break
    found: Figures = {
        "ok": recent < FALLEN * losses[0],
        "first_loss": rounded(losses[0]),
        "last_loss": rounded(recent),
        "steps": len(losses),
    }
    if device.type == "cuda":
        found["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return found


def _in_bunches(case: Case, precision: Precision, *, device: torch.device) -> Iterator[list[float]]:
    """Losses: of the first step, and then of several at once, which are read together."""
    net = place(make_network(case.plan, seed=0), precision=precision, device=device)
    how = Batching(
        BATCH, shuffle=True, device=device, channels_last=is_channels_last(precision, device)
    )
    # float16 streams, so that both kinds of loader are met
    memory = "stream" if precision == "float16" else "resident"
    events = train(
        case.learner(net, precision=precision),
        recipe=case.recipe(
            steps_per_epoch=2,
            schedule=constant(),
            plateau=None,
            early_stop=None,
            norm_every=0,
            check_every=NEVER,
        ),
        criterion=case.criterion(device),
        loader=Endless(*(case.loader(each, memory, batching=how) for each in ("train", "eval"))),
    )
    steps = (event.loss for event in events if isinstance(event, StepDone))
    yield [float(next(steps))]
    for _ in range(STEPS // LOOK_EVERY):
        with no_waiting(device):
            some = list(islice(steps, LOOK_EVERY))
        yield torch.stack(some).tolist()
