"""YAML as people mean it: values of YAML 1.2's core schema, not of 1.1 as in PyYAML."""

import math
from pathlib import Path
from typing import Any

import pytest

from cnntrain.core import document
from cnntrain.core.document import parse_document, parse_scalar, read_document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place

CONFIGS = Path(__file__).parents[2] / "configs"

SCALARS = [
    ("1e-3", 0.001),
    ("5E4", 50000.0),
    ("+1.5", 1.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("010", 10),
    ("-7", -7),
    ("0x10", "0x10"),
    ("0o10", "0o10"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("2026-11-21", "2026-11-21"),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("True", "True"),
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("Null", "Null"),
    (".inf", math.inf),
    ("-.inf", -math.inf),
    ("=", "="),
    ("1e", "1e"),
    ("e5", "e5"),
    (".", "."),
    ("9" * 5000, math.inf),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text[:12] for text, _ in SCALARS])
def test_scalars(text: str, value: Any) -> None:
    found = parse_document(f"key: {text}\n", name="x").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_scalar(".nan"))


@pytest.mark.parametrize("quoted", ["'1e-3'", '"no"', "'null'", "'010'", "|\n  12"])
def test_quotes_make_text(quoted: str) -> None:
    assert isinstance(parse_document(f"key: {quoted}\n", name="x").data["key"], str)


def test_keys_are_always_text() -> None:
    data = parse_document("1: a\ntrue: b\nnull: c\n'<<': d\n", name="x").data
    assert data == {"1": "a", "true": "b", "null": "c", "<<": "d"}


def test_places() -> None:
    text = "# first\na:\n  b: [1, {c: 2}]\n  d:\n    - e\n"
    places = parse_document(text, name="f.yaml").places
    assert places.of(("a", "b", 1, "c")) == Place("f.yaml", 3, 14, "  b: [1, {c: 2}]")
    assert places.of(("a", "b", 1, "c"), key=True) == Place("f.yaml", 3, 11, "  b: [1, {c: 2}]")
    assert str(places.of(("a", "d", 0))) == "f.yaml:5:7"
    assert str(places.of(("a", "b", 7, "none"))) == "f.yaml:3:6", "the nearest thing around"
    assert str(places.of(("nothing",))) == "f.yaml:2:1"


def test_aliases_are_expanded() -> None:
    data = parse_document("a: &x {b: 1}\nc: *x\n", name="x").data
    assert data == {"a": {"b": 1}, "c": {"b": 1}}
    data["a"]["b"] = 2
    assert data["c"]["b"] == 1, "copies, not references"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "a second time"),
        ("<<: {a: 1}", "merge keys"),
        ("a: !!python/name:os.system x", "tag"),
        ("a: !!set {x, y}", "tag"),
        ("a: &b !!str 1", "tag"),
        ("a:\n  !t\n  b: 1", "tag"),
        ("a: *b", "undefined alias"),
        ("a: &a [*a]", "aliases"),
        ("[" * 100, "deeper than 60"),
        ("a: [" + "x, " * 20001 + "]", "too long"),
        ("a\x00", "U\\+0000"),
        ("a: 'b", "end of stream"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_document(text, name="x")
    assert all(problem.place for problem in caught.value.problems)


def test_all_problems_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document("a: 1\na: 2\nb: !t 3\n", name="x")
    assert [p.place.line for p in caught.value.problems if p.place] == [2, 3]


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes("\ufeffa: ü\r\nb: 1\r\n".encode())
    assert read_document(file).data == {"a": "ü", "b": 1}
    file.write_bytes("a: ü\r\nb: 1\r\n".encode("utf-16"))
    assert read_document(file).data == {"a": "ü", "b": 1}
    file.write_bytes(b"a: 1\n# caf\xe9\n")
    with pytest.raises(ConfigError, match="2:6: not UTF-8 text: a byte 0xE9"):
        read_document(file)
    file.write_bytes(b"a: 1\r# caf\xe9\n")  # an old Mac's lines
    with pytest.raises(ConfigError, match="2:6: not UTF-8 text"):
        read_document(file)
    file.write_bytes(b"\xff\xfea")
    with pytest.raises(ConfigError, match="1:1: not UTF-16"):
        read_document(file)
    file.write_bytes(b"# " + b"x" * 1_000_000)
    with pytest.raises(ConfigError, match=r"x.yaml:1:1: this is larger than 1 MB"):
        read_document(file)
    with pytest.raises(ConfigError, match="cannot read"):
        read_document(tmp_path)


SAME = [
    *("lenet5.yaml", "archs/googlenet.yaml", "finetune.yaml", "denoise_cifar10.yaml"),
    *(
        "a: &x [1, 'two', \"3\"]\nb: *x\nc: |\n  text\n",
        "{a: {b: [1, {c: 2}]}, d: x}",
        "",
        "# nothing",
    ),
]


@pytest.mark.parametrize("given", SAME)
def test_both_parsers_read_the_same(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CONFIGS / given).read_text() if given.endswith(".yaml") else given
    fast = parse_document(text, name="x")
    monkeypatch.setattr(document, "_FAST", None)
    assert parse_document(text, name="x") == fast


@pytest.mark.parametrize("text", ["a: 1\t", "{a?b: 1}", "a: [1", "a: b: c"])
def test_what_one_parser_refuses_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_document(text, name="x")
    monkeypatch.setattr(document, "_FAST", None)
    with pytest.raises(ConfigError) as alone:
        parse_document(text, name="x")
    assert str(raised.value) == str(alone.value)
