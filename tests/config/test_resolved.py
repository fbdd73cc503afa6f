"""The resolved run file reads back as the same configuration."""

from pathlib import Path

import pytest

from cnntrain.config import shipped
from cnntrain.config.load import load, load_text
from cnntrain.config.resolved import dump_yaml, resolved_tree, with_origins, yaml_text
from cnntrain.core.document import parse_document

TRICKY = ["1e-3", "no", "010", "12:30", "null", "~", "", "<<", "a: b", "# x", "- y", "two\nlines",
          "0x10", "2026-11-21", "tab\t", " lead", "üñ", "*a", "&a", "!t", "%", "@", "'", '"', "NaN",
          ".inf", "1_000", "true", "\x85", "\u2028"]  # fmt: skip


@pytest.mark.parametrize("name", shipped.names())
def test_round_trip_of_the_shipped_files(name: str) -> None:
    loaded = load(shipped.resolve(name))
    for text in (yaml_text(loaded), with_origins(loaded)):
        assert load_text(text, file="elsewhere/other.yaml").config == loaded.config


def test_round_trip_with_overrides(run_file: Path) -> None:
    loaded = load(run_file, ["data.memory=resident", "train.ema.decay=0.99", "name='2024'"])
    for text in (yaml_text(loaded), with_origins(loaded)):
        assert load_text(text, file="x.yaml").config == loaded.config


def test_origins(run_file: Path) -> None:
    lines = with_origins(load(run_file, ["train.optimizer.momentum=0.5"])).splitlines()
    found = {
        line.split("  # ")[0].strip(): line.split("  # ")[1] for line in lines if "  # " in line
    }
    assert found["name: run"] == "the file's name"
    assert found["momentum: 0.5"] == "-s train.optimizer.momentum=0.5"
    assert found["epochs: 10"] == "run.yaml:22"
    assert found["padding: 2"] == "run.yaml:19"
    assert found["border: zero"] == "default"
    assert found["- relu"] == "run.yaml:6"


def test_origins_stand_below_each_other_on_a_terminal(run_file: Path) -> None:
    """A wide letter is two cells (Unicode, annex 11)."""
    lines = with_origins(load(run_file, ["name=犬猫犬"])).splitlines()
    name, other = (line for line in lines if line.startswith(("name: ", "seed: ")))
    assert name.index("#") + 3 == other.index("#")


def test_the_tree_has_the_data_sets_own_keys_beside_the_common_ones(run_file: Path) -> None:
    tree = resolved_tree(load(run_file).config)
    assert list(tree["data"])[:4] == ["name", "root", "download", "split"]
    assert tree["train"]["schedule"]["milestones"] == [4, 8]


@pytest.mark.parametrize("text", TRICKY)
def test_texts_that_look_like_something_else_are_quoted(text: str) -> None:
    tree = {"key": text, text: [text, {"inner": text}], "number": 1e-05}
    assert parse_document(dump_yaml(tree), name="x").data == tree
