"""One training of scripts/reproduce: begun, continued, or already done."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benching.machine import description, today

from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.core.atomic import write_text_atomically
from cnntrain.fit.restart import find_begun, fit_or_resume
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.records import ending
from reproducing.part import Part, Row


def kept_result(folder: Path, command: str) -> dict[str, Any] | None:
    """What is known of a training that is complete; refused if it was another command's."""
    file = folder.with_suffix(".json")
    if not file.is_file():
        return None
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    if found["command"] != command:
        raise SystemExit(
            f"{file} is the result of another command:\n    {found['command']}\n"
            f"not of\n    {command}\nremove it and its folder, or name another --out"
        )
    return found


def train(
    part: Part, row: Row, *, folder: Path, overrides: Sequence[str], command: str
) -> dict[str, Any]:
    """Train, from the last checkpoint if there is one; the figures are kept next to the folder.

    CPU seconds are those of a training in one go, and None of one that was continued.
    """
    loaded = load(shipped.resolve(row.run_file), overrides)
    begun = find_begun(loaded, out=folder)
    if begun is not None and begun.changes:
        raise SystemExit(
            f"{folder} was begun with other values of {', '.join(begun.changes)}; remove it, or "
            "name another --out"
        )
    is_new = begun is None
    began = time.process_time()
    outcome = fit_or_resume(loaded, out=folder, overrides=overrides, silent=True)
    seconds = time.process_time() - began
    if outcome.exit_code:
        raise SystemExit(outcome.exit_code)
    run = RunFolder(folder)
    summary = ending(run)
    assert summary is not None
    found = {
        "command": command,
        "figures": dict(part.measure(run)),
        "epochs": summary["epoch"],
        "cpu_seconds": round(seconds, 1) if is_new else None,
        "date": today(),
        "machine": description(),
    }
    write_text_atomically(folder.with_suffix(".json"), json.dumps(found, indent=1) + "\n")
    return found
