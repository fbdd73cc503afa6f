"""`diagnose` from the command line: what is printed, and what is written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


def test_a_diagnosis_in_words(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"train.optimizer.lr": 20.0})
    answer = cnntrain("diagnose", file, "--check", "connections", "--check", "rate")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0].split() == ["check", "verdict", "seconds", "what", "was", "seen"]
    assert [line.split()[:2] for line in lines[1:3]] == [["connections", "fine"], ["rate", "fault"]]
    assert "1. your rate 20 is about " in answer.out
    assert "(fault: rate_too_high)" in answer.out
    assert "what to do: set train.optimizer.lr to about " in answer.out
    assert "loss after some steps at each rate" in answer.out  # the table of a single check
    assert "yours" in answer.out
    assert [line.split(":")[0] for line in answer.err.splitlines()] == ["connections", "rate"]


def test_a_remedy_is_tried(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"train.optimizer.lr": 20.0, "train.epochs": 3})
    words = ("diagnose", file, "--check", "rate", "--try", "--try-epochs", "2")
    answer = cnntrain(*words)
    assert answer.code == 0, answer.err
    assert "as overrides: -s train.optimizer.lr=" in answer.out
    last = answer.out.splitlines()[-1]
    assert last.startswith("tried: "), answer.out
    assert last.endswith("(2 of 3 epochs): it helped")
    found = json.loads(cnntrain(*words, "--json").out)["tried"]
    assert found["helped"]
    assert found["overrides"][0].startswith("train.optimizer.lr=")
    assert list(file.parent.glob("runs*")) == []


STOPS = '''
import os, signal
from cnntrain.diagnose import check

@check("stops", place=9)
def stops():
    """Somebody has waited long enough."""
    os.kill(os.getpid(), signal.SIGTERM)
'''


@pytest.mark.parametrize("form", ["words", "json"])
def test_what_was_found_until_it_is_stopped_is_said(
    run_file: RunFile, tmp_path: Path, form: str
) -> None:
    plugin = tmp_path / "stops.py"
    plugin.write_text(STOPS)
    file = run_file({"plugins": [str(plugin)], "train.optimizer.lr": 20.0})
    words = ["diagnose", str(file)]
    for name in ("rate", "stops", "units"):
        words += ["--check", name]
    program = "from cnntrain.cli.app import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, *words, *(["--json"] if form == "json" else [])],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 143, ended.stderr
    lines = ended.stderr.splitlines()
    assert re.match(r"rate: fault \(.* s\): your rate 20 is about .* too high", lines[0])
    assert lines[-1] == "stopped by SIGTERM"
    left = [(name, "the diagnosis was stopped by SIGTERM") for name in ("stops", "units")]
    if form == "json":
        found = json.loads(ended.stdout)
        assert found["findings"][0]["fault"] == "rate_too_high"
        assert [(each["check"], each["why"]) for each in found["not_judged"]] == left
    else:
        assert "what to do: set train.optimizer.lr to about " in ended.stdout
        assert ended.stdout.endswith("".join(f"   {name}: {why}\n" for name, why in left))


def test_nothing_to_try(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("diagnose", run_file(), "--check", "connections", "--try")
    assert answer.code == 0
    assert "nothing to try: nothing was found" in answer.err
    answer = cnntrain("diagnose", run_file(), "--try-epochs", "2")
    assert (answer.code, "--try-epochs is for --try" in answer.err) == (2, True)


def test_one_check_finds_nothing(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("diagnose", run_file(), "--check", "connections")
    assert answer.out.endswith("\n\nnothing wrong found by 1 check: connections\n")


def test_initial_weights_are_not_judged(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("diagnose", run_file(), "--check", "units")
    assert "nothing wrong found" not in answer.out
    assert "could not be judged, which does not mean that it is fine:" in answer.out


def test_json(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"train.optimizer.lr": 1e9})  # a loss that is not finite must not end in NaN
    answer = cnntrain("diagnose", file, "--check", "rate", "--check", "recipe", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert list(found) == ["subject", "verdict", "findings", "refuted", "not_judged", "checks"]
    assert found["verdict"] == "fault"
    assert found["findings"][0]["fault"] == "rate_too_high"
    assert [check["check"] for check in found["checks"]] == ["rate", "recipe"]
    assert found["checks"][0]["numbers"]["rate"] == 1e9
    assert {"rate", "loss"} <= set(found["checks"][0]["tables"][0]["rows"][0])


def test_the_page_is_written_once(cnntrain: Cnntrain, run_file: RunFile, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    words = ["diagnose", run_file(), "--check", "initial", "--html", page]
    assert cnntrain(*words).code == 0
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert "data:image/png;base64," in text
    assert "http:" not in text
    assert "https:" not in text
    answer = cnntrain(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "report.html already exists" in answer.err
    page.write_text("old")
    assert cnntrain(*words, "--force").code == 0
    assert page.read_text("utf-8") != "old"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--check", "rates"], "there is no check 'rates'; did you mean 'rate'?"),
        (["--html", "nowhere/report.html"], "there is no folder nowhere"),
        (["-s", "train.optimizer.rate=1"], "unknown key 'rate' in train.optimizer"),
    ],
)
def test_mistakes(cnntrain: Cnntrain, run_file: RunFile, words: list[str], message: str) -> None:
    answer = cnntrain("diagnose", run_file(), *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_something_that_is_not_there(cnntrain: Cnntrain) -> None:
    answer = cnntrain("diagnose", "lenet55")
    assert answer.code == 2
    assert "did you mean 'lenet5'?" in answer.err


def test_check_notes_what_needs_no_training(cnntrain: Cnntrain) -> None:
    """One note for each, with its layer, its line and a short override; the file stays good."""
    file = Path(__file__).parents[2] / "scripts" / "planted" / "broken" / "stride_over_pixels.yaml"
    answer = cnntrain("check", file, "-s", "train.optimizer.weight_decay=0.3")
    notes = [line for line in answer.err.splitlines() if line.startswith(f"note: {file}: ")]
    assert answer.code == 0
    assert ": good (" in answer.out
    assert len(notes) == 2
    assert "89% of the pixels: 'conv1' (stride_over_pixels.yaml:4)" in notes[0]
    assert notes[0].endswith("such as -s arch.layers.0.conv.stride=1")
    assert "a third in 7 steps" in notes[1]
