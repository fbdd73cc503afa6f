"""`predict --reject`: the threshold comes from the validation images, in every form of output."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


def test_none_of_these(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"train.epochs": 2, "train.optimizer.lr": 3e-3})
    assert cnntrain("fit", file, "-q", "--out", "one").code == 0
    for number in range(12):
        Image.linear_gradient("L").resize((8, 8)).rotate(30 * number).save(f"{number:02}.png")
    files = sorted(Path().glob("*.png"))
    plain = json.loads(cnntrain("predict", "one", *files, "--json").out)
    assert "reject" not in plain
    answer = cnntrain("predict", "one", *files, "--json", "--reject", "0.5")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    rule = found["reject"]
    right = json.loads(cnntrain("eval", "one", "--split", "validation", "--json").out)["correct"]
    assert (rule["right"], rule["right_rejected"]) == (right, right // 2)
    assert rule["right"] + rule["wrong"] == 24
    for before, after in zip(plain["predictions"], found["predictions"], strict=True):
        assert after["probabilities"] == before["probabilities"]
        none = after["probabilities"][0]["probability"] < rule["threshold"]
        assert after["rejected"] == none
        assert after["class"] == (None if none else before["class"])
    below = f"note: below a probability of {rule['threshold']:.4f} the answer is "
    said = f"{below}'none of these', as for "
    assert f"{said}{right // 2} of the {right} validation images that are right" in answer.err
    rejected = [each["rejected"] for each in found["predictions"]]
    assert True in rejected
    head, *table = cnntrain("predict", "one", *files, "--reject", "0.5").out.splitlines()
    assert head.split()[:2] == ["file", "answer"]
    assert ["none of these" in line for line in table] == rejected
    text = cnntrain("predict", "one", *files, "--reject", "0.5", "--format", "csv").out
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["rejected"] == "yes" for row in rows] == rejected

    for share in ("1", "-0.1"):
        answer = cnntrain("predict", "one", files[0], "--reject", share)
        assert (answer.code, answer.out) == (2, "")
        assert "is not a share from 0 up to 1; such as 0.05" in answer.err
