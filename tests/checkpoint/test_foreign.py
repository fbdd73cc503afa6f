"""Maps of names: both directions of each kind of rule, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain.checkpoint.foreign import Rule, make_rule, read_rules, rename, rules_of
from cnntrain.core.document import parse_document
from cnntrain.core.errors import CheckpointError, ConfigError


def rules(text: str) -> tuple[Rule, ...]:
    return rules_of(parse_document(text, name="names.yaml"))


def wrong(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        rules(text)
    return str(caught.value)


RESNET = rules(
    """
    stem.conv1.*: conv1.*
    stage{s}.block{b}.body.norm{n}.*: layer{s-1}.{b-1}.bn{n}.*
    inception{m}.one.*: inception{m}.branch1.*
    fc.weight: head.weight
    """
)
PAIRS = {
    "stem.conv1.weight": "conv1.weight",
    "stage2.block1.body.norm1.running_var": "layer1.0.bn1.running_var",
    "stage12.block10.body.norm2.weight": "layer11.9.bn2.weight",
    "inception3a.one.conv.bias": "inception3a.branch1.conv.bias",
    "fc.weight": "head.weight",
}


def test_both_directions() -> None:
    ours, theirs = {k: k for k in PAIRS}, {v: v for v in PAIRS.values()}
    assert rename(ours, RESNET) == {theirs: ours for ours, theirs in PAIRS.items()}
    assert rename(theirs, RESNET, reverse=True) == PAIRS
    assert rename(rename(ours, RESNET), RESNET, reverse=True) == ours


def test_order_and_values_are_kept() -> None:
    values = {name: object() for name in reversed(PAIRS)}
    found = rename(values, RESNET)
    assert list(found) == [PAIRS[name] for name in values]
    assert all(found[PAIRS[name]] is value for name, value in values.items())


def test_a_prefix_is_a_rule() -> None:
    prefix = rules('"*": module.*')
    assert rename({"module.fc.weight": 1}, prefix, reverse=True) == {"fc.weight": 1}
    assert rename({"fc.weight": 1}, prefix) == {"module.fc.weight": 1}
    with pytest.raises(CheckpointError, match=r"no rule for 'fc.weight' \(1 of 1\)"):
        rename({"fc.weight": 1}, prefix, reverse=True)


@pytest.mark.parametrize(
    "name",
    [
        "stage1.block0.body.norm1.weight",  # would be layer0.-1
        "stage01.block1.body.norm1.weight",  # not how a number is written
        "stagex.block1.body.norm1.weight",
        "stage2.block1.body.norm1.",
        "fc.weights",
        "fcxweight",
        "a.fc.weight",
    ],
)
def test_names_without_a_rule(name: str) -> None:
    with pytest.raises(CheckpointError, match="has no rule for") as caught:
        rename({"fc.weight": 0, name: 1}, RESNET)
    assert f"'{name}'" in str(caught.value)
    assert "(1 of 2)" in str(caught.value)
    assert caught.value.exit_code == 4


def test_many_names_without_a_rule_are_not_all_listed() -> None:
    with pytest.raises(CheckpointError) as caught:
        rename({f"layer{i}": i for i in range(100)}, RESNET, reverse=True)
    message = str(caught.value)
    assert message.startswith(
        "the map of its names to ours has no rule for 'layer0', 'layer1', 'layer2', 'layer3' "
        "and 96 more (100 of 100); correct the map"
    )


def test_of_several_rules_for_a_name_the_first_counts() -> None:
    both = rules("{stage1.b: '1.0', 'stage{s}.a': '{s}.0', 'stage{s}.b': '{s}.1'}")
    ours, theirs = {"stage1.b": 1, "stage2.a": 2, "stage2.b": 3}, {"1.0": 1, "2.0": 2, "2.1": 3}
    assert rename(ours, both) == theirs
    assert rename(theirs, both, reverse=True) == ours


def test_two_names_to_one() -> None:
    with pytest.raises(CheckpointError, match=r"maps 'a\.w', 'b\.w' to 'x\.w'"):
        rename({"a.w": 1, "b.w": 2}, rules("{a.*: x.*, b.*: x.*}"))


def test_what_is_wrong_with_a_map_is_told_at_its_line() -> None:
    message = wrong("a.*: b.*\nstage{s}.*: layer{t}.*\nfc.*: head\nx{1}: y\nz{n}{n}: z{n}\nk: 3\n")
    for expected in (
        "names.yaml:2:1: '{s}' is not in 'layer{t}.*'; both sides must have it",
        "names.yaml:3:1: '*' is not in 'head'; both sides must have it",
        "names.yaml:4:1: a brace in 'x{1}' holds no placeholder; write {n}, {n-1} or *",
        "names.yaml:5:1: '{n}' stands twice in 'z{n}{n}'; give it two names",
        "names.yaml:6:4: a name must stand here, not 3; quote it if it is a name",
    ):
        assert expected in message


@pytest.mark.parametrize("text", ["[a, b]", "just a word", "{}", ""])
def test_no_map(text: str) -> None:
    assert "names.yaml:1:1: a map of names must stand here" in wrong(text)


def test_numbers_next_to_letters() -> None:
    rule = make_rule("conv{s}_x.*", "layer{s-1}.*")
    assert rename({"conv2_x.weight": 1}, [rule]) == {"layer1.weight": 1}
    assert rename({"layer4.weight": 1}, [rule], reverse=True) == {"conv5_x.weight": 1}


@pytest.mark.parametrize(
    "file",
    sorted((Path(__file__).parents[2] / "configs" / "weights").glob("*.yaml")),
    ids=lambda file: file.stem,
)
def test_shipped_maps(file: Path) -> None:
    assert read_rules(file)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Names of weights: ")
    assert max(map(len, lines)) <= 100


def test_densenets_older_names_are_read_and_not_written() -> None:
    # torchvision's own pattern: densenet.py, _load_state_dict
    maps = read_rules(Path(__file__).parents[2] / "configs/weights/torchvision_densenet.yaml")
    new, old = (f"features.denseblock2.denselayer10.norm{n}.weight" for n in ("1", ".1"))
    [ours] = rename({new: 0}, maps, reverse=True)
    assert rename({old: 0}, maps, reverse=True) == {ours: 0}
    assert rename({ours: 0}, maps) == {new: 0}
