"""The speed of a run file on this machine, and the settings that are faster here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from cnntrain.assemble.find_numbers import find_numbers
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.translation import choose_device, reading
from cnntrain.assemble.trial_parts import TrialSize
from cnntrain.bench.changes import BATCH, Change, refuse_probe
from cnntrain.bench.measured import Bench
from cnntrain.bench.measuring import Measuring
from cnntrain.config.loaded import Loaded
from cnntrain.train import undisturbed

SECONDS = 60.0
"""That all of it takes, about, on a network whose steps are short."""


@undisturbed()
def bench(
    loaded: Loaded,
    *,
    seconds: float = SECONDS,
    compiles: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measure the loader, the network and both, and what other settings would come to.

    Args:
        loaded: the run file.
        seconds: for all, about.
        compiles: measure compiled steps too; compiling takes a minute.
        tell: called with what is being done.

    Raises:
        UsageError: it is a probe.
        ConfigError, DataError, MemoryExhaustedError: as `prepare`.
    """
    refuse_probe(loaded)
    tell("preparing")
    loaded = find_numbers(loaded)
    plan, device = plan_network(loaded), choose_device(loaded.config.compute, loaded)
    size = TrialSize.of(
        plan.multiply_adds,
        batch_size=loaded.config.data.batch,
        on_gpu=device.type != "cpu",
    )
    prepared = prepare(Change(BATCH, size.batch).of(loaded), plan=plan)
    with ExitStack() as until_done, reading(prepared.data, prepared.loaded):
        return Measuring(loaded, prepared, until_done, seconds, tell).all(compiles=compiles)
