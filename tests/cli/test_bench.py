"""`bench`: what it prints, and what `--apply` writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnntrain.bench import bench as module
from cnntrain.bench.changes import Change
from cnntrain.bench.measured import Bench
from cnntrain.bench.peak import Peak
from cnntrain.bench.turns import Spread
from cnntrain.config import shipped
from cnntrain.config.loaded import Loaded

Cnntrain = Callable[..., Any]
RATE = Spread(100, 90, 110)
WORKERS = Change("data.workers", 2)


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns of milliseconds, and one core: one reading process is tried."""
    monkeypatch.setattr("cnntrain.bench.measuring.TURN", 0.01)
    monkeypatch.setattr("cnntrain.bench.ways.SHORTEST", 0.005)
    monkeypatch.setattr("cnntrain.bench.changes.core_count", lambda: 1)


@pytest.fixture
def recommends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`recommends(change, ...)`: what the next measurement comes to."""

    def set_up(*changes: Change) -> None:
        def measure(loaded: Loaded, **_: Any) -> Bench:
            found = Bench(loaded, "the CPU", 16, (3, 3), RATE, RATE, RATE, 0.25,
                          Peak(1e11, 1e10), 0.1, 0.2, {"estimated": 10**6}, ())  # fmt: skip
            gain = Spread(1.5, 1.4, 1.6)
            return replace(found, recommended=changes, together=gain) if changes else found

        monkeypatch.setattr(module, "bench", measure)

    return set_up


def test_a_measurement(cnntrain: Cnntrain, run_file: Callable[..., Path]) -> None:
    answer = cnntrain("bench", run_file(), "--seconds", "1", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["batch_size"] == 16
    assert found["images_per_second"]["network"]["median"] > 0


def test_what_is_recommended_is_a_command(
    cnntrain: Cnntrain, run_file: Callable[..., Path], recommends: Callable[..., None]
) -> None:
    recommends(WORKERS, Change("compute.channels_last", False))
    file = run_file()
    before = file.read_text()
    answer = cnntrain("bench", file)
    assert f"cnntrain fit {file} -s data.workers=2 -s compute.channels_last=false" in answer.out
    assert "waits for images 25.0 % of the time" in answer.out
    assert file.read_text() == before


def test_apply_changes_the_file_and_keeps_its_comments(
    cnntrain: Cnntrain, run_file: Callable[..., Path], recommends: Callable[..., None]
) -> None:
    recommends(WORKERS)
    file = run_file()
    file.write_text("# why this file is here\n" + file.read_text())
    before = file.read_text()
    answer = cnntrain("bench", file, "--apply")
    assert answer.code == 0
    assert f"written to {file}: data.workers=2" in answer.err
    assert file.read_text() == before.replace("data:\n", "data:\n  workers: 2\n")
    assert cnntrain("check", file).code == 0


def test_apply_copies_a_shipped_file(cnntrain: Cnntrain, recommends: Callable[..., None]) -> None:
    recommends(WORKERS)
    assert cnntrain("bench", "digits", "--apply").code == 0
    assert "workers: 2" in Path("digits.yaml").read_text()
    assert cnntrain("check", "digits.yaml").code == 0
    answer = cnntrain("bench", shipped.find("digits"), "--apply")
    assert answer.code == 2
    assert "would overwrite digits.yaml" in answer.err


def test_where_nothing_is_recommended(
    cnntrain: Cnntrain, run_file: Callable[..., Path], recommends: Callable[..., None]
) -> None:
    recommends()
    file = run_file()
    before = file.read_text()
    answer = cnntrain("bench", file, "--apply")
    assert (answer.code, file.read_text()) == (0, before)
    assert "recommended: nothing" in answer.out
    assert "so nothing is written" in answer.err
