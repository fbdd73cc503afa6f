"""`scripts/check_cuda`: what was found is in its file, however it ends; without a GPU, a code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from on_gpu.report import Piece, Report


def found_in(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text("utf-8"))


def test_what_was_found_is_there_when_it_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    report = Report(file, {"gpu": "none"}, seconds=60)

    def fails() -> dict[str, Any]:
        raise ValueError("a fault")

    def ends() -> dict[str, Any]:
        raise KeyboardInterrupt

    pieces = [
        Piece("one", lambda: {"speed": 3}),
        Piece("two", fails),
        Piece("three", lambda: {"ok": False}),
        Piece("of interest", lambda: {"ok": False}, counts=False),
        Piece("four", ends),
    ]
    with pytest.raises(KeyboardInterrupt):
        report.take("part", iter(pieces))
    found = found_in(file)
    assert found["gpu"] == "none"
    assert not found["is_finished"]
    assert [*found["parts"]["part"]] == ["one", "two", "three", "of interest"]
    assert found["parts"]["part"]["one"]["ok"]
    assert found["parts"]["part"]["one"]["speed"] == 3
    assert found["parts"]["part"]["two"]["error"] == "ValueError: a fault"
    assert found["faults"] == ["part: two", "part: three"]


def test_no_piece_begins_when_the_time_is_up(tmp_path: Path) -> None:
    report = Report(tmp_path / "figures.json", {}, seconds=-1)
    report.take("part", iter([Piece("one", lambda: pytest.fail("it began"))]))
    report.finish()
    found = found_in(tmp_path / "figures.json")
    assert found["left_out"] == ["part: one"]
    assert found["is_finished"]
    assert found["parts"] == {}


def test_without_a_gpu_nothing_is_written(
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # the script sets it, for good
    check_cuda = script("check_cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["check_cuda", str(tmp_path / "figures.json")])
    assert check_cuda.main() == 77
    assert "no CUDA GPU" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
