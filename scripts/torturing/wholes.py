"""Run files and architectures in which nothing is wrong, to make mistakes in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SOURCES = Path(__file__).parent / "sources"
PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


@dataclass(frozen=True)
class Whole:
    """A file's name and text; `architecture` if it is not a run file."""

    name: str
    text: str
    architecture: bool = False


def wholes(place: Path) -> list[Whole]:
    """The shipped files, those of `sources`, and one with all keys for each choice there is.

    The plugins that they name are put into `place`.
    """
    from cnntrain.config import shipped

    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (place / name).write_text(text)
    folder = shipped.folder()
    assert folder is not None
    files = [Whole(f.name, f.read_text("utf-8")) for f in sorted(folder.glob("*.yaml"))]
    archs = sorted(folder.glob("archs/*.yaml"))
    files += [Whole(file.name, file.read_text("utf-8"), architecture=True) for file in archs]
    own = [Whole(file.name, file.read_text("utf-8")) for file in sorted(SOURCES.glob("*.yaml"))]
    return [*files, *own * 5, *_choices()]


def _choices() -> list[Whole]:
    """Each layer, data set, transform, optimizer, schedule and loss, with each of its keys."""
    from cnntrain.core import choices

    found = [
        Whole(
            f"layer {entry.name}",
            _text({"made_for": {"size": 32}, "layers": [_item(entry), "flatten", _LINEAR]}),
            architecture=True,
        )
        for entry in choices.LAYERS.entries()
    ]
    for keys, catalogue in (
        ("data", choices.DATASETS),
        ("train.optimizer", choices.OPTIMIZERS),
        ("train.schedule", choices.SCHEDULES),
        ("train.loss", choices.LOSSES),
    ):
        for entry in catalogue.entries():
            tree = _tree()
            if keys == "data":
                steps = [{"resize": {"size": [8, 8]}}]
                tree["data"]["transforms"] = {"train": steps, "eval": [*steps]}
            _within(tree, keys).update({"name": entry.name, **_item(entry)[entry.name]})
            found.append(Whole(f"{keys} {entry.name}", _text(tree)))
    for entry in choices.TRANSFORMS.entries():
        tree = _tree()
        tree["data"]["transforms"] = {"train": [_item(entry), "normalize"]}
        found.append(Whole(f"transform {entry.name}", _text(tree)))
    return found


def _within(tree: dict[str, Any], keys: str) -> dict[str, Any]:
    for key in keys.split("."):
        tree = tree.setdefault(key, {})
    return tree


_LINEAR = {"linear": {"out": "$num_classes"}}
_REQUIRED = {"out": 8, "root": "pictures", "body": ["relu"], "paths": {"one": ["relu"]},
             "file": "pictures.csv", "pattern": "CLASS_*", "path": "pictures"}  # fmt: skip
"""By name; whatever else must be given is 2."""


def _tree() -> dict[str, Any]:
    return {
        "arch": {"layers": ["global_avg_pool", _LINEAR]},
        "data": {"name": "synthetic", "split": {"validation": 0.2}},
        "train": {"epochs": 3, "optimizer": {"name": "sgd", "lr": 0.1}},
    }


def _item(entry: Any) -> dict[str, Any]:
    keys = {p.name: _REQUIRED.get(p.name, 2) if p.required else p.default for p in entry.parameters}
    return {entry.name: {k: list(v) if isinstance(v, tuple) else v for k, v in keys.items()}}


def _text(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=90)
