"""The loader, the network, both, and the same with other settings: one measurement."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch

from cnntrain.assemble.needed_memory import needed_memory
from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.timed_steps import TimedSteps
from cnntrain.assemble.translation import open_run_data
from cnntrain.assemble.trial_parts import joined, method_of
from cnntrain.bench import changes
from cnntrain.bench.changes import BATCH, COMPILE, DECODER, LAYOUT, PRECISION, WORKERS, Change
from cnntrain.bench.measured import Bench, Effect, is_faster
from cnntrain.bench.memory_peak import MemoryPeak
from cnntrain.bench.peak import measure_peak
from cnntrain.bench.turns import Spread, Turn, gain, in_turns
from cnntrain.bench.ways import Computing, Feed, Loading, Training
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import ConfigError
from cnntrain.core.memory import is_out_of_memory
from cnntrain.data.batch import Batch

SHARES = (0.45, 0.35, 0.2)
"""Of the time: the network, the loader, the recommendation."""

TURN = 0.15
"""Seconds of a turn that has more than one step."""


@dataclass
class Measuring:
    """One measurement: what is open, and what was found so far."""

    loaded: Loaded
    prepared: Prepared
    until_done: ExitStack
    seconds: float
    tell: Callable[[str], None]
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        prepared = self.prepared
        prepared.recipe.freezing.hold(prepared.learner.model, epoch=None)
        self.memory = MemoryPeak(prepared.device)
        self.feed = Feed(prepared.data.train, workers=changes.workers_of(prepared))
        self.batch = _detached(self.feed.next())
        self.steps = TimedSteps.of(prepared.learner.model, self.batch, method=method_of(prepared))
        self.count = _steps_in_a_turn(self.steps)
        with self.memory.measured():  # before other settings take theirs
            Training(self.feed, self.steps, 2)()

    def all(self, *, compiles: bool) -> Bench:
        """Measure, and put it together."""
        prepared, images = self.prepared, len(self.batch.targets)
        precision = prepared.learner.precision
        peak = measure_peak(prepared.device, precision=precision)
        self.tell(f"the network: {images} images at once")
        computed, network = self._network(compiles=compiles)
        self.tell("the loader")
        trained, loader = self._loader()
        effects = (*network, *loader)
        peak = peak.or_faster(measure_peak(prepared.device, precision=precision))
        chosen, together = self._together(best_of_each(effects))
        peak = peak.or_faster(measure_peak(prepared.device, precision=precision))
        per_image = statistics.median(trained["network"])
        needed = needed_memory(self.loaded, prepared.plan)
        moved = 2 * needed_memory(prepared.loaded, prepared.plan).total
        return Bench(
            self.loaded,
            _words(prepared.device),
            images,
            (len(computed), len(trained["whole"])),
            loader=Spread.of_rates(trained["loader"]),
            network=Spread.of_rates(trained["network"]),
            whole=Spread.of_rates(trained["whole"]),
            waiting=self.waiting,
            peak=peak,
            products=6 * prepared.plan.multiply_adds / per_image / peak.products,
            copies=moved / (per_image * images) / peak.copies,
            memory={**self.memory.found, "estimated": needed.total},
            effects=effects,
            recommended=chosen,
            together=together,
        )

    def _network(self, *, compiles: bool) -> tuple[list[float], list[Effect]]:
        """Seconds per image of the network alone, and what changes come to."""
        ways: dict[str, Turn] = {"": Computing(self.steps, self.count)}
        asked = [*changes.of_the_network(self.prepared, loaded=self.loaded, compiles=compiles)]
        for change in asked:
            if steps := self._changed(change):
                ways[str(change)] = Computing(steps, _steps_in_a_turn(steps))
        taken = in_turns(ways, seconds=SHARES[0] * self.seconds)
        return taken[""], [self._effect(change, taken) for change in asked]

    def _changed(self, change: Change) -> TimedSteps | None:
        """Steps with a change, done once; None where memory does not suffice."""
        began = perf_counter()
        try:
            steps = self._variant(change)
            steps.run(1)
        except Exception as error:  # all that says that memory is used up, in any library's words
            if not is_out_of_memory(error):
                raise
            self.notes[str(change)] = "memory does not suffice"
            return None
        if change.key == COMPILE:
            self.notes[str(change)] = f"compiled in {perf_counter() - began:.0f} s"
        return steps

    def _variant(self, change: Change) -> TimedSteps:
        if change.key == PRECISION:
            return self.steps.variant(precision=change.value)
        if change.key == COMPILE:
            return self.steps.variant(compiled=True)
        if change.key == BATCH:
            return self.steps.variant(batch=joined([self.batch], size=change.value))
        assert change.key == LAYOUT
        layout = changes.layout_of(change)
        net = copy.deepcopy(self.prepared.learner.model).to(memory_format=layout)
        batch = Batch(self.batch.images.contiguous(memory_format=layout), self.batch.targets)
        return TimedSteps.of(net, batch, method=method_of(self.prepared))

    def _effect(self, change: Change, taken: Mapping[str, list[float]], base: str = "") -> Effect:
        found = taken.get(str(change))
        note = self.notes.get(str(change), "")
        return Effect(change, None if found is None else gain(taken[base], found), note)

    def _loader(self) -> tuple[dict[str, list[float]], list[Effect]]:
        """Seconds per image of the loader, the network and both; what other workers come to."""
        both = Training(self.feed, self.steps, self.count)
        ways: dict[str, Turn] = {
            "loader": Loading(self.feed, self.steps, self.count),
            "network": Computing(self.steps, self.count),
            "whole": both,
        }
        asked: list[Change] = []
        for change in changes.of_the_loader(self.prepared):
            with suppress(ConfigError):  # no JPEGs for the decoder
                ways[str(change)] = Training(self._feed([change]), self.steps, self.count)
                asked.append(change)
        taken = in_turns(ways, seconds=SHARES[1] * self.seconds)
        self.waiting = statistics.median(both.waited)
        return taken, [self._effect(change, taken, "whole") for change in asked]

    def _feed(self, made: Iterable[Change]) -> Feed:
        """Batches of the run with changes; open until all is measured."""
        loaded = self.prepared.loaded
        for change in made:
            loaded = change.of(loaded)
        data = open_run_data(loaded, device=self.prepared.device)
        self.until_done.callback(data.close)
        workers = changes.workers_of(replace(self.prepared, loaded=loaded))
        return Feed(data.train, workers=workers)

    def _together(self, chosen: tuple[Change, ...]) -> tuple[tuple[Change, ...], Spread | None]:
        """The changes, if together they are faster; and what they come to."""
        if not chosen:
            return (), None
        self.tell(f"together: {', '.join(map(str, chosen))}")
        steps, by_key = self.steps, {change.key: change for change in chosen}
        if LAYOUT in by_key:
            steps = self._variant(by_key[LAYOUT])
        if PRECISION in by_key:
            steps = steps.variant(precision=by_key[PRECISION].value)
        if COMPILE in by_key:
            steps = steps.variant(compiled=True)
            steps.run(1)
        feed = self._feed(chosen) if {LAYOUT, WORKERS, DECODER} & by_key.keys() else self.feed
        ways: dict[str, Turn] = {
            "as it is": Training(self.feed, self.steps, self.count),
            "changed": Training(feed, steps, self.count),
        }
        taken = in_turns(ways, seconds=SHARES[2] * self.seconds)
        found = gain(taken["as it is"], taken["changed"])
        return (chosen if is_faster(found) else ()), found


def best_of_each(effects: Iterable[Effect]) -> tuple[Change, ...]:
    """Of each key the value that is the fastest, if it is worth it."""
    best: dict[str, Effect] = {}
    for effect in effects:
        if effect.is_worth_it and (
            effect.change.key not in best or _median(effect) > _median(best[effect.change.key])
        ):
            best[effect.change.key] = effect
    return tuple(effect.change for effect in best.values())


def _median(effect: Effect) -> float:
    return 0.0 if effect.gain is None else effect.gain.median


def _steps_in_a_turn(steps: TimedSteps) -> int:
    steps.run(1)  # what is first is slow
    began = perf_counter()
    steps.run(2)
    return int(min(max(1, TURN / (perf_counter() - began) * 2), 200))


def _detached(batch: Batch) -> Batch:
    """A copy, which no loader writes over."""
    return Batch(batch.images.clone(), batch.targets.clone())


def _words(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"the {device.type.upper()} with {threads} thread{'s' * (threads > 1)}"
