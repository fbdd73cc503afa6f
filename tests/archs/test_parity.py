"""scripts/try_archs --parity notices what is wrong, and its table in docs/trials.md is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from trying import parity
from trying.twins import plan_of, twin_of, with_weights


def test_a_weight_that_differs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def almost(*arguments: Any) -> torch.nn.Module:
        net = with_weights(*arguments)
        layer = net.get_submodule("fire9.squeeze")
        layer.weight = torch.nn.Parameter(layer.weight.detach() + 1e-3)  # theirs stays
        return net

    plan = plan_of("squeezenet1_1", side=64)
    assert parity._from_theirs("squeezenet1_1", plan, "squeezenet1_1")["failed"] == []
    monkeypatch.setattr(parity, "with_weights", almost)
    found = parity._from_theirs("squeezenet1_1", plan, "squeezenet1_1")
    assert not found["from_theirs"]
    assert found["failed"][0] == "other logits in evaluation"
    assert found["failed"][-1] == "other running averages: features.12.squeeze.weight"


def test_counts_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of("squeezenet1_1")
    assert parity._counts("squeezenet1_1", plan, "squeezenet1_1")["differences"] == [0, 0]
    # torchvision's own figures: 1,248,424 parameters; 1.0 does 2.4 times the work of 1.1
    other = parity._counts("squeezenet1_1", plan, "squeezenet1_0")
    assert other["differences"][0] == 1_235_496 - 1_248_424
    assert other["failed"]


def test_a_network_without_a_twin(tmp_path: Path) -> None:
    file, page = tmp_path / "found.json", tmp_path / "page.md"
    assert parity.examine("softmax_regression", file)
    found = json.loads(file.read_text())["softmax_regression"]
    assert (found["parameters"], found["differences"]) == (7850, [0, 0])
    assert found["onnx"] < 1e-5
    page.write_text(f"above\n{parity.BEGIN}\nold\n{parity.END}\nbelow\n")
    parity.write_page(page, file)
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert "| softmax_regression | " in text


def test_the_page_has_every_architecture_of_torchvision() -> None:
    root = Path(__file__).parents[2]
    names = {file.stem for file in (root / "configs" / "archs").glob("*.yaml")}
    table = (root / "docs" / "trials.md").read_text("utf-8")
    table = table.partition(parity.BEGIN)[2].partition(parity.END)[0]
    lines = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    rows = {line[0].removeprefix("| "): line for line in lines}
    twins = {name for name in names if twin_of(name)}
    assert twins <= rows.keys() <= names
    for name, row in rows.items():
        assert row[4] == "0, 0", name
        assert row[5].startswith("equal") == (name in twins), name
        assert float(row[8]) <= parity.ONNX_LIMIT, name
