"""A measurement in words, as a table, and as plain data."""

from __future__ import annotations

import shlex
from typing import Any

from cnntrain.bench.changes import BATCH, DECODER, PRECISION
from cnntrain.bench.measured import Bench, Effect
from cnntrain.bench.turns import Spread
from cnntrain.core.units import byte_size
from cnntrain.show.tables import columns
from cnntrain.show.words import percent, quantity


def as_text(found: Bench, *, subject: str) -> str:
    """What was measured, what other settings come to, and what to do.

    Args:
        found: the measurement.
        subject: the run file, as it was named.
    """
    parts = [_head(found), _speeds(found), _shares(found)]
    if found.effects:
        parts.append(_table(found))
    return "\n\n".join([*parts, _advice(found, subject=subject)])


def _head(found: Bench) -> str:
    size = found.loaded.config.data.batch
    timed = f", timed in parts of {found.timed}" if found.timed < size else ""
    changed, rounds = found.rounds
    return (
        f"{found.device}, batches of {size}{timed}; median and quartiles of {rounds} rounds "
        f"(other settings: {changed}) in turns"
    )


def _speeds(found: Bench) -> str:
    named = {"the loader alone": found.loader, "the network alone": found.network}
    named["both together"] = found.whole
    rows = [["", "images/s", "quartiles"]]
    for name, rate in named.items():
        rows.append([name, quantity(rate.median), f"{quantity(rate.low)} to {quantity(rate.high)}"])
    waits = f"waits for images {percent(found.waiting, places=1)} of the time"
    return columns(rows, right=[1]) + f"\nboth together {waits}"


def _shares(found: Bench) -> str:
    peak = found.peak
    memory = ", ".join(f"{name} {byte_size(count)}" for name, count in found.memory.items())
    return "\n".join(
        [
            f"matrix products: {percent(found.products, places=1)} of this machine's "
            f"{peak.products / 1e9:,.0f} GFLOP/s (6 for each multiply-add of the network)",
            f"copying: {percent(found.copies, places=1)} of its {peak.copies / 1e9:,.1f} GB/s "
            "(what a step keeps, written and read once)",
            f"memory: {memory} (estimated: of training, at the run's batch size)",
        ]
    )


def _table(found: Bench) -> str:
    rows = [["with", "times as fast", "quartiles", ""]]
    for effect in found.effects:
        is_step = effect.change.key == BATCH or not effect.change.key.startswith("data.")
        of = "" if is_step else "steps with their images"
        remarks = "; ".join(filter(None, [of, effect.note, _remark(effect)]))
        cells = ["-", ""] if effect.gain is None else [*_times(effect.gain)]
        rows.append([str(effect.change), *cells, remarks])
    return columns(rows, right=[1])


def _times(gain: Spread) -> tuple[str, str]:
    return f"{gain.median:.2f}", f"{gain.low:.2f} to {gain.high:.2f}"


def _remark(effect: Effect) -> str:
    if effect.change.key == BATCH:
        return "changes what is learnt: another learning rate suits it"
    if effect.change.key in (PRECISION, DECODER) and effect.is_worth_it:
        return "rounds differently"
    return ""


def _advice(found: Bench, *, subject: str) -> str:
    if found.together is None:
        return "recommended: nothing; none of this is clearly faster here"
    median, quartiles = _times(found.together)
    if not found.recommended:
        what = "together what is faster comes to"
        return f"recommended: nothing; {what} {median} times the speed ({quartiles})"
    settings = [word for change in found.recommended for word in ("-s", str(change))]
    return (
        f"recommended, together {median} times as fast ({quartiles}), measured with images:\n"
        f"  {shlex.join(['cnntrain', 'fit', subject, *settings])}"
    )


def as_data(found: Bench, *, subject: str) -> dict[str, Any]:
    """All numbers; for the arguments see `as_text`."""
    return {
        "subject": subject,
        "device": found.device,
        "batch_size": found.loaded.config.data.batch,
        "timed_batch": found.timed,
        "rounds": {"effects": found.rounds[0], "speeds": found.rounds[1]},
        "images_per_second": {
            "loader": _numbers(found.loader),
            "network": _numbers(found.network),
            "both": _numbers(found.whole),
        },
        "waiting": found.waiting,
        "peak": {"products": found.peak.products, "copies": found.peak.copies},
        "share_of_peak": {"products": found.products, "copies": found.copies},
        "memory": dict(found.memory),
        "effects": [
            {
                "key": effect.change.key,
                "value": effect.change.value,
                "gain": None if effect.gain is None else _numbers(effect.gain),
                "note": effect.note or None,
            }
            for effect in found.effects
        ],
        "recommended": {change.key: change.value for change in found.recommended},
        "together": None if found.together is None else _numbers(found.together),
    }


def _numbers(spread: Spread) -> dict[str, float]:
    return {"median": spread.median, "low": spread.low, "high": spread.high}
