"""Values from the command line, put into a document with their places."""

from __future__ import annotations

import pytest

from cnntrain.config.load import load
from cnntrain.config.overrides import apply_override, parse_override
from cnntrain.config.shipped import resolve
from cnntrain.core.document import Document, parse_document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place


def apply(document: Document, text: str) -> None:
    apply_override(document, parse_override(text, number=1))


def test_a_value_is_put_where_its_key_says() -> None:
    document = parse_document("a: {b: 1, list: [1, 2]}\n", name="x")
    for text in ("a.b=2", "new.inner=3", "a.list.1=5"):
        apply(document, text)
    assert document.data == {"a": {"b": 2, "list": [1, 5]}, "new": {"inner": 3}}
    at_value = Place("command line", 1, 8, "-s a.b=2")
    assert document.places.of(("a", "b")) == at_value
    assert document.places.of(("a", "b"), key=True) == Place("command line", 1, 6, "-s a.b=2")
    for text in ("a.b.c=1", "a.list.0.c=1"):
        with pytest.raises(ConfigError, match=r"'a\.(b|list\.0)' is not a mapping"):
            apply(document, text)
    for text in ("a.list.2=1", "a.list.x=1", "a.list.7.y=1"):
        with pytest.raises(ConfigError, match="there is no element"):
            apply(document, text)


def test_the_places_of_what_was_there_are_gone() -> None:
    document = parse_document("a: {b: 1, c: {d: 2}}\n", name="x")
    apply(document, "a={e: 3}")
    assert set(document.places.keys) == {("a",), ("a", "e")}
    assert set(document.places.values) == {(), ("a",), ("a", "e")}


@pytest.mark.parametrize(
    ("name", "override", "loss"),
    [
        ("digits", "train.loss.class_weights=balanced", "cross_entropy"),
        ("tiled_cifar10", "train.loss.positive_weights=balanced", "binary_cross_entropy"),
    ],
)
def test_a_key_of_the_loss_needs_no_name_beside_it(name: str, override: str, loss: str) -> None:
    """The task's usual loss, whose keys the documentation names; any other key is refused."""
    found = load(resolve(name), [override]).train.loss
    key = override.partition("=")[0].rpartition(".")[2]
    assert (found.name, found.parameters[key]) == (loss, "balanced")
    with pytest.raises(ConfigError, match="unknown key 'margin'"):
        load(resolve(name), ["train.loss.margin=1"])
