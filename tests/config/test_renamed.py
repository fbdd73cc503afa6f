"""Keys of earlier versions mean what they meant, in files, with -s, and in run folders."""

import copy
from pathlib import Path

import pytest

from cnntrain.config.load import load, load_text
from cnntrain.config.renamed import rename, renamed_tree
from cnntrain.config.resolved import with_origins, yaml_text
from cnntrain.core.document import parse_document
from cnntrain.core.errors import ConfigError


@pytest.fixture
def earlier(run_file: Path) -> Path:
    """The run file as an earlier version wrote it."""
    text = run_file.read_text("utf-8")
    assert "split: {validation: 0.1}" in text
    run_file.write_text(text.replace("split: {validation: 0.1}", "validation: 0.25"), "utf-8")
    return run_file


def test_the_earlier_key_is_obeyed(earlier: Path) -> None:
    loaded = load(earlier)
    assert loaded.config.data.split.validation == 0.25
    assert "validation: 0.25" in with_origins(loaded)
    assert load_text(yaml_text(loaded), file="x").config == loaded.config
    fold = load(earlier, ["data.validation={fold: 2, of: 5}"]).config.data.split.validation
    assert (fold.fold, fold.of) == (2, 5)  # type: ignore[union-attr]
    by_hand = ["data.validation=null", "train.early_stop=null"]
    assert load(earlier, by_hand).config.data.split.validation is None


def test_both_names_with_overrides(earlier: Path) -> None:
    """What is given last counts, under either name."""
    found = load(earlier, ["data.split.validation=7", "data.split.seed=3"]).config.data.split
    assert (found.validation, found.seed) == (7, 3)
    found = load(earlier, ["data.split={validation: 0.1, test: 0.5}"]).config.data.split
    assert (found.validation, found.test) == (0.1, 0.5)


def test_both_names_in_a_file_are_refused(earlier: Path) -> None:
    text = earlier.read_text("utf-8")
    earlier.write_text(text.replace("  validation", "  split: {validation: 3}\n  validation"))
    with pytest.raises(ConfigError, match=r"the earlier name of .*, which is there too"):
        load(earlier)


def test_a_wrong_value_is_shown_where_it_stands(earlier: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(earlier, ["data.validation=1.5"])
    (problem,) = caught.value.problems
    assert problem.message.startswith("'validation' must be a fraction between 0 and 1, a count")
    assert problem.place is not None
    assert problem.place.source == "-s data.validation=1.5"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("{validation: 3}", {"split": {"validation": 3}}),
        ("{validation: 3, split: null}", {"split": {"validation": 3}}),
        ("{validation: 3, split: {seed: 5}}", {"split": {"seed": 5, "validation": 3}}),
        ("{split: 1}", {"split": 1}),
        ("7", 7),
    ],
)
def test_trees_of_earlier_runs_are_moved_as_documents_are(section: str, expected: object) -> None:
    document = parse_document(f"data: {section}", name="x")
    tree = copy.deepcopy(document.data)
    assert renamed_tree(tree) == {"data": expected}
    assert list(rename(document)) == []
    assert document.data == {"data": expected}


def test_transforms_of_earlier_runs_have_the_parameters_of_today() -> None:
    """`resize` had no `interpolation`; a transform of a plugin is as it was written."""
    given = [{"resize": {"size": 18}}, {"mine": {"by": 1}}, {"normalize": {"mean": [0.5]}}, 3]
    tree = {"data": {"transforms": {"eval": given, "train": None}}}
    assert renamed_tree(tree)["data"]["transforms"]["eval"] == [
        {"resize": {"size": 18, "interpolation": "bilinear"}},
        {"mine": {"by": 1}},
        {"normalize": {"mean": [0.5], "std": None}},
        3,
    ]


def test_trees_of_earlier_runs_stay_as_they_are() -> None:
    """What is returned is another tree, without what was the default."""
    tree = {"data": {"name": "image_folder", "train_folder": "train", "validation": 3}}
    before = copy.deepcopy(tree)
    assert renamed_tree(tree)["data"] == {"name": "image_folder", "split": {"validation": 3}}
    assert tree == before
