"""What was found, written after each piece, so that being cut off loses only the piece in work."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

Figures = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """One thing to do.

    Args:
        name: of it, within its part.
        do: gives figures; `ok: False` among them, or an exception, is a fault.
        counts: whether a fault counts, or is only of interest.
    """

    name: str
    do: Callable[[], Figures]
    counts: bool = True


@dataclass
class Report:
    """The JSON file of all figures.

    Args:
        path: of the file.
        head: what is said of the machine.
        seconds: that may pass; no piece begins after them.
    """

    path: Path
    head: Figures
    seconds: float
    parts: dict[str, dict[str, Figures]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    is_finished: bool = False

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def take(self, part: str, pieces: Iterator[Piece]) -> None:
        """Do the pieces of a part, as far as time allows."""
        for piece in pieces:
            name = f"{part}: {piece.name}"
            if time.monotonic() - self._began > self.seconds:
                self.left_out.append(name)
                continue
            began = time.monotonic()
            try:
                found = {"ok": True, **piece.do()}
            except Exception as error:  # noqa: BLE001  # one fault must not hide what comes after it
                found = {"ok": False, "error": f"{type(error).__name__}: {error}"}
                found["where"] = traceback.format_exc().splitlines()[-8:]
            _give_back()
            found["seconds"] = round(time.monotonic() - began, 2)
            self.parts.setdefault(part, {})[piece.name] = found
            if piece.counts and not found["ok"]:
                self.faults.append(name)
            print(f"{'ok   ' if found['ok'] else 'FAULT'} {name}  {_in_short(found)}", flush=True)
            self.write()

    def finish(self) -> None:
        """Nothing comes any more."""
        self.is_finished = True
        self.write()

    def write(self) -> None:
        """The file is whole at any time: a new one takes the place of the old one."""
        whole = {
            **self.head,
            "is_finished": self.is_finished,
            "seconds": round(time.monotonic() - self._began, 1),
            "faults": self.faults,
            "left_out": self.left_out,
            "parts": self.parts,
        }
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        draft.replace(self.path)


def rounded(value: float, digits: int = 4) -> float:
    """To so many significant digits."""
    return float(f"{value:.{digits}g}")


def _in_short(found: Figures) -> str:
    if "error" in found:
        return str(found["error"]).splitlines()[0]
    shown = {key: value for key, value in found.items() if isinstance(value, int | float | str)}
    return ", ".join(f"{key} {value}" for key, value in shown.items() if key != "ok")


def _give_back() -> None:
    """What a piece held on the GPU, so that the next one begins with all of it."""
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode("default")
        torch.cuda.empty_cache()
