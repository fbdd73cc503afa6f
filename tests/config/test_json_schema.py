"""The JSON Schema accepts what loads, and refuses what does not.

The validator here knows just the keywords that our schemas use; each keyword means what
JSON Schema draft 2020-12 says, and an unknown one is an error.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import shipped
from cnntrain.config.json_schema import DRAFT, arch_schema, run_schema
from cnntrain.core.choices import OBSERVERS
from cnntrain.core.document import read_document
from cnntrain.core.trust import name_plugin
from cnntrain.layers import LAYERS

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
IGNORED = {"$schema", "$defs", "title", "description", "default", "discriminator"}


def is_valid(value: Any, schema: Any, root: dict[str, Any]) -> bool:
    if isinstance(schema, bool):
        return schema
    unknown = set(schema) - set(KEYWORDS) - IGNORED - {"$ref"}
    assert not unknown, f"the test does not know the keywords {unknown}"
    if "$ref" in schema and not is_valid(value, root["$defs"][schema["$ref"][8:]], root):
        return False
    return all(KEYWORDS[k](value, w, schema, root) for k, w in schema.items() if k in KEYWORDS)


def _any_of(value: Any, wanted: Any, _: Any, root: dict[str, Any]) -> bool:
    return any(is_valid(value, schema, root) for schema in wanted)


def _one_of(value: Any, wanted: Any, _: Any, root: dict[str, Any]) -> bool:
    return sum(is_valid(value, schema, root) for schema in wanted) == 1


def _items(value: Any, wanted: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    rest = value[len(schema.get("prefixItems", ())) :] if isinstance(value, list) else ()
    return all(is_valid(item, wanted, root) for item in rest)


def _prefix_items(value: Any, wanted: Any, _: Any, root: dict[str, Any]) -> bool:
    items = value if isinstance(value, list) else ()
    return all(is_valid(item, schema, root) for item, schema in zip(items, wanted, strict=False))


def _properties(value: Any, wanted: Any, _: Any, root: dict[str, Any]) -> bool:
    given = wanted if isinstance(value, dict) else {}
    return all(is_valid(value[k], schema, root) for k, schema in given.items() if k in value)


def _additional(value: Any, wanted: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    extra = set(value) - set(schema.get("properties", ())) if isinstance(value, dict) else ()
    return all(is_valid(value[key], wanted, root) for key in extra)


def _has_type(value: Any, wanted: str | list[str]) -> bool:
    return any(_is_of(value, name) for name in ([wanted] if isinstance(wanted, str) else wanted))


def _bound(kind: Any, holds: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    """A keyword that says nothing of values of another kind."""
    return lambda v, w, *_: not isinstance(v, kind) or isinstance(v, bool) or holds(v, w)


KEYWORDS: dict[str, Callable[[Any, Any, dict[str, Any], dict[str, Any]], bool]] = {
    "anyOf": _any_of,
    "oneOf": _one_of,
    "items": _items,
    "prefixItems": _prefix_items,
    "properties": _properties,
    "additionalProperties": _additional,
    "const": lambda v, w, *_: bool(v == w),
    "enum": lambda v, w, *_: v in w,
    "type": lambda v, w, *_: _has_type(v, w),
    "required": _bound(dict, lambda v, w: set(w) <= set(v)),
    "minimum": _bound(int | float, lambda v, w: v >= w),
    "maximum": _bound(int | float, lambda v, w: v <= w),
    "exclusiveMinimum": _bound(int | float, lambda v, w: v > w),
    "exclusiveMaximum": _bound(int | float, lambda v, w: v < w),
    "pattern": _bound(str, lambda v, w: bool(re.search(w, v))),
    "minItems": _bound(list, lambda v, w: len(v) >= w),
    "maxItems": _bound(list, lambda v, w: len(v) <= w),
    "minProperties": _bound(dict, lambda v, w: len(v) >= w),
    "maxProperties": _bound(dict, lambda v, w: len(v) <= w),
}


def _is_of(value: Any, name: str) -> bool:
    if name in ("integer", "number"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (name == "number" or float(value).is_integer())
    return isinstance(value, TYPES[name])


RUN, ARCH = run_schema(), arch_schema()
FOLDER = shipped.folder() or Path("configs")
RUN_FILES = sorted(FOLDER.glob("*.yaml"))
ARCH_FILES = sorted((FOLDER / "archs").glob("*.yaml"))


def test_plain_json() -> None:
    for schema in (RUN, ARCH):
        assert json.loads(json.dumps(schema))["$schema"] == DRAFT


@pytest.mark.parametrize("file", RUN_FILES, ids=lambda file: file.stem)
def test_shipped_run_files(file: Path) -> None:
    assert is_valid(read_document(file).data, RUN, RUN)


@pytest.mark.parametrize("file", ARCH_FILES, ids=lambda file: file.stem)
def test_shipped_architectures(file: Path) -> None:
    assert is_valid(read_document(file).data, ARCH, ARCH)


def test_the_run_file_of_these_tests(run_file: Path) -> None:
    assert is_valid(read_document(run_file).data, RUN, RUN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("epochs: 10", "epocs: 10"),
        ("epochs: 10", "epochs: ten"),
        ("epochs: 10", "epochs: 0"),
        ("name: sgd", "name: sdg"),
        ("momentum: 0.9", "betas: [0.9, 0.99]"),
        ("momentum: 0.9", "momentum: 1.5"),
        ("name: mnist", "name: minst"),
        ("root: pictures", "train_folder: pictures"),
        ("padding: 2", "paddin: 2"),
        ("size: 28, ", ""),
        ("- normalize", "- random_crop"),
        ("{out: $width, kernel: 5}", "{out: width, kernel: 5}"),
        ("{out: $width, kernel: 5}", "{kernel: 5}"),
        ("bfloat16", "bf16"),
        ("arch:", "arch: lenet5\nx:"),
    ],
)
def test_wrong_run_files(run_file: Path, old: str, new: str) -> None:
    text = run_file.read_text()
    assert old in text
    run_file.write_text(text.replace(old, new, 1))
    assert not is_valid(read_document(run_file).data, RUN, RUN)


def test_expressions_stand_where_numbers_do() -> None:
    conv = {"conv": {"out": "$a * 2", "kernel": ["$k", 3], "bias": "$bias"}, "repeat": "$n"}
    assert is_valid({"layers": [conv]}, ARCH, ARCH)
    nested = {"residual": {"body": [{"conv": {"out": "$a"}}, "relu", {"my_block": {"n": 1}}]}}
    assert is_valid({"layers": [nested, {"branches": {"paths": {"one": ["relu"]}}}]}, ARCH, ARCH)
    assert not is_valid({"layers": [{"residual": {"body": [{"conv": {"outt": 3}}]}}]}, ARCH, ARCH)


def test_every_layer_is_there_with_its_parameters() -> None:
    item = ARCH["$defs"]["Layer"]["anyOf"][-1]["properties"]
    for entry in LAYERS.entries():
        schema = item[entry.name]
        mapping = schema if "properties" in schema else schema["anyOf"][0]
        assert list(mapping["properties"]) == [p.name for p in entry.parameters]


def test_observers_are_those_of_plugins(run_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "plot.py"
    file.write_text("@observer('test_schema_plot')\ndef plot(*, every: int = 1, net): ...\n")
    OBSERVERS.add_plugin(name_plugin(file))
    schema = run_schema()
    tree = read_document(run_file).data
    for listed, expected in (
        ([], True),
        (["test_schema_plot"], True),
        ([{"test_schema_plot": {"every": 3}}], True),
        ([{"test_schema_plot": {"evry": 3}}], False),
        ([{"test_schema_plot": {"net": 3}}], False),
        (["tensorboard"], False),
        ("test_schema_plot", False),
    ):
        changed = {**tree, "record": {**tree["record"], "observers": listed}}
        assert is_valid(changed, schema, schema) is expected, listed
        assert is_valid(changed, RUN, RUN) is (listed == [])
