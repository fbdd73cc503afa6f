"""`cnntrain calibrate`: probabilities that mean what they say."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Plugins, Trained, tell_notes
from cnntrain.show.tables import columns
from cnntrain.show.words import counted, percent

if TYPE_CHECKING:
    from cnntrain.model.calibrated import Calibrated


def calibrate(
    run: Trained,
    overrides: Overrides = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Make probabilities right: temperature scaling.

    Logits are divided by the number that is best on the validation images (Guo et al. 2017). The
    checkpoint keeps it, and predict, eval and export use it. No predicted class changes.
    """
    from cnntrain.model.calibrated import calibrate_run

    done = calibrate_run(run, overrides=overrides or [], plugins=plugins or [])
    tell_notes([*done.notes, *_doubts(done)])
    output.answer(done, as_json, data=_as_data, text=_as_text)
    if done.kept and not as_json:
        output.note(f"next  cnntrain predict {shlex.quote(str(run))} some_folder/")


def _as_text(done: Calibrated) -> str:
    rows = [["images", "", "calibration error", "log loss"]]
    for split in done.before:
        for when, found in (("before", done.before[split]), ("after", done.after[split])):
            name = f"{found.images:,} {split}"
            rows.append([name, when, percent(found.error), f"{found.log_loss:.4f}"])
    where = f"kept in {done.weights}" if done.kept else "not kept: a run file has no checkpoint"
    table = columns(rows, right=(2, 3))
    return f"{table}\ntemperature {done.temperature:.4f}, {where}"


def _doubts(done: Calibrated) -> Iterator[str]:
    """Where the figures say that it did not help, with the number of images that they rest on."""
    for split, before in done.before.items():
        after = done.after[split]
        of = f"of the {counted(before.images, f'{split} image')}"
        if after.log_loss > before.log_loss:
            yield (
                f"the log loss {of} is higher than before: take more validation images to find the "
                "temperature by (data.split)"
            )
        elif after.error > before.error:
            yield (
                f"the calibration error {of} is higher than before, and their log loss, by which "
                "the temperature is found, is not: of few images the former is a rough figure"
            )


def _as_data(done: Calibrated) -> dict[str, Any]:
    return {
        "weights": str(done.weights),
        "kept": done.kept,
        "temperature": done.temperature,
        "before": {split: asdict(found) for split, found in done.before.items()},
        "after": {split: asdict(found) for split, found in done.after.items()},
    }
