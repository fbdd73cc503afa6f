"""Whatever is done to a run file, it loads or is refused with a place; typos get the right hint."""

import random
import string
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnntrain.config.keys import keys_at
from cnntrain.config.load import load_text
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import near_match

CHARACTERS = string.ascii_letters + string.digits + " :,-#{}[]'\"\n\t!&*|>%@`~.$\\\x00é"


@pytest.fixture(scope="module")
def text() -> str:
    from_conftest = Path(__file__).with_name("conftest.py").read_text()
    return from_conftest.split('RUN_FILE = """\\\n')[1].split('"""')[0]


def _loads_or_is_refused(text: str, *overrides: str) -> None:
    try:
        load_text(text, file="run.yaml", overrides=overrides)
    except ConfigError as error:
        for problem in error.problems:
            assert problem.place is not None
            assert 1 <= problem.place.line <= len(text.splitlines()) + 1
            assert problem.remedy
            assert problem.render()


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data())
def test_single_edits(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(text) - 1))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete", "line", "swap"]))
    character = data.draw(st.sampled_from(CHARACTERS))
    if kind == "line":
        lines = text.splitlines(keepends=True)
        del lines[position % len(lines)]
        _loads_or_is_refused("".join(lines))
    elif kind == "swap":
        pair = text[position : position + 2][::-1]
        _loads_or_is_refused(text[:position] + pair + text[position + 2 :])
    else:
        rest = text[position + (kind != "insert") :]
        _loads_or_is_refused(text[:position] + character * (kind != "delete") + rest)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    _loads_or_is_refused(text)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(key=st.text(max_size=20), value=st.text(max_size=20))
def test_any_override(text: str, key: str, value: str) -> None:
    for override in (f"{key}={value}", f"train.{key}={value}", f"train.epochs={value}", key):
        _loads_or_is_refused(text, override)


def _typos(word: str, generator: random.Random) -> set[str]:
    """Some words at one edit's distance: a letter left out, doubled, changed, two exchanged."""
    i = generator.randrange(len(word))
    letter = generator.choice(string.ascii_lowercase)
    found = {
        word[:i] + word[i + 1 :],
        word[:i] + word[i] + word[i:],
        word[:i] + letter + word[i + 1 :],
    }
    j = generator.randrange(max(len(word) - 1, 1))
    found.add(word[:j] + word[j : j + 2][::-1] + word[j + 2 :])
    return found - {word, ""}


def test_suggestions_for_typos_of_one_edit() -> None:
    """At least 90 % of the typos of keys of three letters or more get the key that was meant."""
    generator = random.Random(0)
    tree = {"train": {"optimizer": {"name": "sgd"}, "schedule": {"name": "plateau"}}}
    paths = [(), ("compute",), ("data",), ("train",), ("train", "optimizer"), ("record",)]
    right = total = 0
    for path in [*paths, ("train", "schedule")]:
        options = keys_at(tree, path)
        for key in options:
            for typo in {t for _ in range(20) for t in _typos(key, generator)}:
                if len(key) >= 3 and typo not in options:
                    total += 1
                    right += near_match(typo, options) == key
    assert total > 1000
    assert right / total >= 0.9


def test_every_line_may_be_cut_off(text: str) -> None:
    ends = [i for i, (a, _) in enumerate(pairwise(text)) if a == "\n"]
    for end in ends:
        _loads_or_is_refused(text[:end])
