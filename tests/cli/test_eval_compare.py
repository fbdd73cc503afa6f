"""`eval A B --compare` agrees with `eval A` and `eval B` per image; other images are refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


@pytest.fixture
def train(cnntrain: Cnntrain, run_file: RunFile) -> Callable[..., Path]:
    def fit(name: str, changes: dict[str, Any]) -> Path:
        weak = {"train.epochs": 1, "train.optimizer.lr": 1e-4, **changes}
        answer = cnntrain("fit", run_file(weak, name=name), "-q", "--out", name)
        assert answer.code == 0, answer.err
        return Path(name)

    return fit


def test_two_runs(cnntrain: Cnntrain, train: Callable[..., Path]) -> None:
    one, two = train("one", {}), train("two", {"train.optimizer.lr": 1e-2})
    wrong = []
    for run in (one, two):
        assert cnntrain("eval", run, "--mistakes", f"{run}.csv").code == 0
        rows = csv.DictReader(Path(f"{run}.csv").read_text().splitlines())
        wrong.append({row["path"] for row in rows})
    only_first, only_second = len(wrong[1] - wrong[0]), len(wrong[0] - wrong[1])
    assert only_first + only_second > 0
    found = json.loads(cnntrain("eval", one, two, "--compare", "--json").out)
    assert (found["only_first_right"], found["only_second_right"]) == (only_first, only_second)
    assert found["neither_right"] == len(wrong[0] & wrong[1])
    assert found["both_right"] == 30 - len(wrong[0] | wrong[1])
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert found["mcnemar_p"] == pytest.approx(expected)
    tops = [each["top1"] for each in found["networks"]]
    assert found["difference"] == pytest.approx(tops[0] - tops[1])
    interval = found["difference_interval"]
    assert interval["low"] <= found["difference"] <= interval["high"]
    answer = cnntrain("eval", one, two, "--compare")
    assert answer.out.startswith("2 networks on 30 test images\n")
    assert f"only in the first {only_first}, only in the second {only_second}, in" in answer.out
    assert f"McNemar's exact test: p = {expected:.3g} " in answer.out


def test_what_it_refuses(cnntrain: Cnntrain, train: Callable[..., Path]) -> None:
    one, other = train("one", {}), train("other", {"data.split": {"validation": 24, "seed": 7}})
    # the test images are the same ones, those held out for validation are not
    assert cnntrain("eval", one, other, "--compare").code == 0
    answer = cnntrain("eval", one, other, "--compare", "--split", "validation")
    assert (answer.code, answer.out) == (2, "")
    assert "compared on the same images, but these differ: one/checkpoints/" in answer.err
    classes = train("classes", {"data.classes": 2})
    answer = cnntrain("eval", one, classes, "--compare")
    assert (answer.code, answer.out) == (4, "")
    assert "the classes of one/checkpoints/best.pt are not those of" in answer.err
    for words, says in (
        ([one], "--compare needs two runs, not 1"),
        ([one, other, one], "--compare needs two runs, not 3"),
        ([one, other, "--mistakes", "a.csv"], "--mistakes has no effect with --compare"),
    ):
        answer = cnntrain("eval", *words, "--compare")
        assert (answer.code, says in answer.err) == (2, True)
