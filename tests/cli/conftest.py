"""The command line, called in this process: what it prints and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnntrain.cli.app import main


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


Cnntrain = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Every test of this folder runs in a place of its own."""


@pytest.fixture
def cnntrain(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cnntrain:
    """`cnntrain("check", file)`: exit code, stdout and stderr."""

    def call(*words: str | Path) -> Answer:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["cnntrain", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call
