"""Ablation from the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

DEEP = {
    "arch": {
        "vars": {"width": 3},
        "layers": [
            {"conv": {"out": 4, "padding": "same"}},
            "relu",
            {"conv": {"out": "$width", "padding": "same"}},
            "batch_norm",
            "relu",
            {"conv": {"out": 5, "padding": "same"}},
            "relu",
            "global_avg_pool",
            {"linear": {"out": "$num_classes"}, "as": "output"},
        ],
        "init": [{"names": "conv2", "weight": {"normal": {"std": 0.1}}}],
    },
    "vars": {"width": 6},
}


def test_each_network_is_trained_the_same_way(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file(DEEP)
    command = ("ablate", file, "--remove", "conv2", "--remove", "conv2,conv3", "--epochs", "1")
    answer = cnntrain(*command, "--json")
    assert answer.code == 0, answer.err
    whole, one, both = json.loads(answer.out)["variants"]
    # weights and biases of each convolution, factors of the normalisation, the linear layer
    first, second, third = 4 * 9 + 4, 6 * 4 * 9 + 6 + 2 * 6, 5 * 6 * 9 + 5
    assert whole["parameters"] == first + second + third + 3 * 5 + 3
    assert one["removed"] == ["conv2", "batch_norm1", "relu2"]
    assert one["parameters"] == first + (5 * 4 * 9 + 5) + 3 * 5 + 3
    assert both["removed"] == ["conv2", "batch_norm1", "relu2", "conv3", "relu3"]
    assert both["parameters"] == first + 3 * 4 + 3
    pixels = 8 * 8
    assert both["multiply_adds"] == pixels * 4 * 9 + 3 * 4
    for variant in (whole, one, both):
        assert variant["split"] == "test"
        evaluated = json.loads(cnntrain("eval", variant["run"], "--json").out)
        assert evaluated["error"] == variant["error"]
        assert evaluated["epoch"] == 1
    assert Path(whole["run"]).parent == Path("runs/tiny-whole")
    assert Path(both["run"]).parent == Path("runs/tiny-without-conv2-conv3")
    summary = cnntrain("summary", one["run"]).out
    assert "conv3" in summary
    assert "conv2" not in summary


def test_what_is_finished_is_not_trained_again(cnntrain: Cnntrain, run_file: RunFile) -> None:
    command = ("ablate", run_file(DEEP), "--remove", "conv2", "--epochs", "1", "--json")
    first = cnntrain(*command)
    runs = [Path(each["run"]) for each in json.loads(first.out)["variants"]]
    again = cnntrain(*command)
    assert again.out == first.out
    assert again.err == "".join(
        f"{run.parent.name}: taken from {run}, finished; --again retrains it\n" for run in runs
    )

    def trained(*words: str) -> list[bool]:
        lines = cnntrain(*command, *words).err.splitlines()
        whole, *_, one = [line for line in lines if re.match("training |tiny.*: taken", line)]
        return [line.startswith("training ") for line in (whole, one)]

    assert trained("-s", "seed=1") == [True, True]
    assert trained("--anew") == [True, True]
    summary = Path("runs/tiny-without-conv2/latest/summary.json")
    summary.write_text(summary.read_text().replace('"finished"', '"stopped"'))
    assert trained() == [False, True]
    environment = Path("runs/tiny-whole/latest/environment.json")
    environment.write_text(environment.read_text().replace('"torch": "', '"torch": "0.'))
    assert trained() == [True, False]


def test_the_run_of_the_whole_network_stays_the_latest(
    cnntrain: Cnntrain, run_file: RunFile
) -> None:
    """An ablation of fewer epochs does not take the name of the run that was there."""
    file = run_file(DEEP)
    cnntrain("fit", file, "-s", "train.epochs=2")
    before = Path("runs/tiny/latest").resolve()
    cnntrain("ablate", file, "--remove", "conv2", "--epochs", "1")
    assert Path("runs/tiny/latest").resolve() == before
    same = cnntrain("ablate", file, "--remove", "conv2", "--epochs", "2").err
    assert f"tiny-whole: taken from runs/tiny/{before.name}, finished" in same


def test_the_table(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("ablate", run_file(DEEP), "--remove", "conv3", "--no-train")
    assert answer.code == 0
    head, whole, one = (line.split() for line in answer.out.splitlines())
    assert head == ["without", "parameters", "change", "multiply-adds", "change"]
    assert whole[0] == "nothing"
    change = (int(one[1]) - int(whole[1])) / int(whole[1])
    assert one[2] == f"{change:+.1%}"
    assert not Path("runs").exists()


def test_a_shipped_architecture(cnntrain: Cnntrain) -> None:
    """The counts are those that the tutorial's slides give, and archs/alexnet_without_6_7 says."""
    answer = cnntrain("ablate", "archs/alexnet", "--remove", "fc6,fc7", "--no-train")
    assert "62,378,344" in answer.out
    assert "12,964,200" in answer.out
    assert "1,085,850,144" in answer.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "no layer is named; write --remove fc7, or --remove conv3,conv4"),
        ("--remove conv1,,conv2", "no layer is named"),
        ("--remove conv9", "there is no layer 'conv9'; did you mean 'conv"),
        ("--remove conv2 --no-train --epochs 3", "--epochs means nothing with --no-train"),
        ("--remove conv2 --no-train --again", "--again means nothing with --no-train"),
        ("--remove output --no-train", "the network gives"),
    ],
)
def test_wrong_usage(cnntrain: Cnntrain, run_file: RunFile, words: str, says: str) -> None:
    answer = cnntrain("ablate", run_file(DEEP), *words.split())
    assert answer.code == 2
    assert says in answer.err


def test_an_architecture_cannot_be_trained(cnntrain: Cnntrain) -> None:
    answer = cnntrain("ablate", "archs/lenet5", "--remove", "c3")
    assert answer.code == 2
    assert "has no data to train on" in answer.err
    assert "only count with --no-train" in answer.err
