"""Numbers that a run file leaves open (`auto`): found once, before training, and put in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, median
from time import perf_counter
from typing import Any

import torch

from cnntrain.arch.plan import Plan
from cnntrain.assemble.needed_memory import device_memory, needed_memory
from cnntrain.assemble.prepare import Prepared, prepare
from cnntrain.assemble.timed_steps import TimedSteps
from cnntrain.assemble.trial_parts import (
    TrialSize,
    bare,
    joined,
    lightly,
    method_of,
    plain_batches,
)
from cnntrain.config.loaded import Loaded
from cnntrain.config.open_numbers import BATCH_SIZE, RATE, open_numbers
from cnntrain.core.errors import ConfigError
from cnntrain.core.memory import is_out_of_memory
from cnntrain.data.batch import Batch
from cnntrain.optim import Warmup
from cnntrain.show.progress import announce
from cnntrain.show.words import quantity
from cnntrain.train import undisturbed
from cnntrain.train.briefly import Method, steady_copy
from cnntrain.train.rate_search import TriedRates, guessing, middle, try_rates

SMALLEST, LARGEST = 8, 1024
"""Batch sizes between which the fastest is looked for, in powers of two; four times as large ones
on a GPU."""

NEARLY = 0.9
"""A batch size is as good as the fastest one if it reaches this share of its speed."""

MARGIN = 1.02
"""By how much a speed may rise by chance."""

FEWEST_STEPS = 20
"""That an epoch keeps, however fast larger batches would be."""

MEMORY_SHARE = 0.5
"""Of the device's memory that training may need by our own estimate."""

SECONDS, EACH = 20.0, 0.5
"""For the batch sizes together, and for one of them, about."""


@dataclass(frozen=True)
class FoundSize:
    """The batch size that was chosen, and images per second at each that was tried."""

    chosen: int
    speeds: Mapping[int, float]

    def __str__(self) -> str:
        rates = ", ".join(f"{size}: {quantity(rate)}" for size, rate in self.speeds.items())
        return f"{BATCH_SIZE}: auto is {self.chosen} (images per second in batches of {rates})"


def find_numbers(loaded: Loaded, *, plan: Plan | None = None) -> Loaded:
    """The run file with a number wherever it says `auto`, and a note on each.

    The batch size is the smallest power of two that reaches nine tenths of the highest speed of
    training on this machine; an epoch keeps 20 steps, and half the memory stays free. The learning
    rate is the middle one of the best, by the same search as the check `rate` of `cnntrain
    diagnose`, with that batch size.

    Raises:
        ConfigError: no rate that was tried learns, or what `prepare` raises.
    """
    asked = open_numbers(loaded.config)
    return _found(loaded, plan, asked) if asked else loaded


@undisturbed()
def _found(loaded: Loaded, plan: Plan | None, asked: Sequence[str]) -> Loaded:
    notes: list[str] = []
    if BATCH_SIZE in asked:
        announce(f"finding {BATCH_SIZE}: steps are timed")
        prepared = _opened(loaded, plan)
        size = find_batch_size(prepared)
        loaded, notes = _with(loaded, "data", {"batch_size": size.chosen}), [str(size)]
    if RATE in asked:
        announce(f"finding {RATE}: some steps are trained at each of several")
        rate, note = find_rate(_opened(loaded, plan))
        optimizer = loaded.train.optimizer.model_copy(update={"lr": rate})
        loaded, notes = _with(loaded, "train", {"optimizer": optimizer}), [*notes, note]
    return replace(loaded, notes=(*loaded.notes, *notes))


def find_batch_size(prepared: Prepared, *, clock: Callable[[], float] = perf_counter) -> FoundSize:
    """Time some training steps at each size, smallest first.

    Args:
        prepared: the run; a copy of its network is trained, with a learning rate of 0.
        clock: seconds.
    """
    method, net = method_of(prepared), prepared.learner.model
    images = prepared.data.train.size
    most = LARGEST if prepared.device.type == "cpu" else 4 * LARGEST
    most = min(most, max(SMALLEST, images // FEWEST_STEPS))
    few = plain_batches(prepared, count=1, size=min(most, prepared.loaded.config.data.batch))
    began, speeds = clock(), dict[int, float]()
    steps = TimedSteps.of(net, few[0], method=method)
    size = max(SMALLEST, prepared.recipe.accumulate)
    while size <= most and (not speeds or clock() - began < SECONDS):
        if speeds and not _fits(prepared, size):
            break
        try:
            sized = steps.variant(batch=joined(few, size=size))
            speeds[size] = size / _step_seconds(sized, clock=clock)
        except Exception as error:  # all that says that memory is used up, in any library's words
            if not is_out_of_memory(error) or not speeds:
                raise
            break
        if _no_longer_rises(speeds):
            break
        size *= 2
    best = max(speeds.values())
    chosen = next(size for size, speed in speeds.items() if speed >= NEARLY * best)
    return FoundSize(min(chosen, images), speeds)


def _step_seconds(steps: TimedSteps, *, clock: Callable[[], float]) -> float:
    steps.run(1)  # what is first is slow
    times: list[float] = []
    while len(times) < 3 or (sum(times) < EACH and len(times) < 50):
        began = clock()
        steps.run(1)
        times.append(clock() - began)
    return median(times)


def _no_longer_rises(speeds: Mapping[int, float]) -> bool:
    """Whether the last two sizes are no faster than one before them."""
    found = [*speeds.values()]
    return len(found) > 2 and max(found[-2:]) < MARGIN * max(found[:-2])


def _fits(prepared: Prepared, size: int) -> bool:
    there = device_memory(prepared.device)
    loaded = _with(prepared.loaded, "data", {"batch_size": size})
    return there is None or needed_memory(loaded, prepared.plan).total <= MEMORY_SHARE * there


def find_rate(prepared: Prepared) -> tuple[float, str]:
    """The middle one of the best learning rates, and how it was found.

    Raises:
        ConfigError: no rate learns.
    """
    loaded = prepared.loaded
    size = TrialSize.of(
        prepared.plan.multiply_adds,
        batch_size=loaded.config.data.batch,
        on_gpu=prepared.device.type != "cpu",
    )
    schedule, method = prepared.recipe.schedule, bare(method_of(prepared))
    tried = try_rates(
        prepared.learner.model,
        plain_batches(prepared, count=size.steps, size=size.batch),
        method=method,
        own=prepared.recipe.lr,
        chance=partial(_to_beat, prepared, method),
        steps=size.steps,
        warmup=schedule.steps if isinstance(schedule, Warmup) else 0,
    )
    if not tried.learning:
        raise _none_learns(loaded, tried, steps=size.steps)
    good = tried.good
    rate = float(f"{middle(good):.4g}")
    return rate, (
        f"{RATE}: auto is {rate:g} (of rates from {min(tried.ends):.2g} to {max(tried.ends):.2g}, "
        f"those from {good[-1]:.2g} to {good[0]:.2g} are best in {size.steps} steps)"
    )


@torch.no_grad()
def _to_beat(prepared: Prepared, method: Method, batches: Sequence[Batch]) -> float:
    """The loss of the network as it begins, or of guessing classes where that is less."""
    net = steady_copy(prepared.learner.model)
    losses = []
    for images, targets in batches:
        found = net(images)
        outputs = found[0] if isinstance(found, tuple) else found
        losses.append(float(method.criterion(outputs.float(), targets)))
    targets = batches[0].targets
    if targets.ndim > 1 or targets.is_floating_point():
        return fmean(losses)
    classes, shape = len(prepared.data.classes), outputs.shape[1:]
    guessed = guessing(batches, method=method, classes=classes, outputs=shape)
    return min(fmean(losses), guessed)


def _none_learns(loaded: Loaded, tried: TriedRates, *, steps: int) -> ConfigError:
    rates = f"from {min(tried.ends):.2g} to {max(tried.ends):.2g}"
    return loaded.error(
        ("train", "optimizer", "lr"),
        f"auto finds no learning rate: in {steps} steps none {rates} brings the loss far below "
        f"{tried.chance:.3g}, where it begins or guessing has it",
        f"`cnntrain diagnose {loaded.file} -s {RATE}=0.01` looks for the cause; or set a number",
    )


def _opened(loaded: Loaded, plan: Plan | None) -> Prepared:
    """The run as trials have it; what is not found yet has a usual number."""
    prepared = prepare(lightly(loaded), plan=plan)
    freezing = prepared.recipe.freezing
    freezing.hold(prepared.learner.model, epoch=None)
    return prepared


def _with(loaded: Loaded, section: str, values: dict[str, Any]) -> Loaded:
    changed = getattr(loaded.config, section).model_copy(update=values)
    return replace(loaded, config=loaded.config.model_copy(update={section: changed}))
