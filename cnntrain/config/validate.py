"""From the tree of a run file to the schema's objects, with every complaint at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.config.data_section import Data, TransformCall, Transforms
from cnntrain.config.keys import fields_of, keys_at, keys_named
from cnntrain.config.mending import validate_mending
from cnntrain.config.schema import RunConfig
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.complaints import Complaint, complaints, dotted, shown, without_misspelt
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import near_match, suggestion
from cnntrain.data import DATASETS, TRANSFORMS


@dataclass(frozen=True)
class Validated:
    """What a tree means, and what is wrong with it.

    Args:
        config: the run configuration; where something is wrong, mended so that what else is wrong
            can be found; None where that is impossible.
        complaints: what is wrong.
        mended: the keys whose values are not those of the tree, dotted.
    """

    config: RunConfig | None
    complaints: list[Complaint]
    mended: tuple[str, ...] = ()


def validate(tree: Mapping[str, Any], *, name: str, skip: Iterable[KeyPath] = ()) -> Validated:
    """Check a run file against the schema.

    Args:
        tree: the run file with its sections in place.
        name: the run's name where the file gives none.
        skip: sections whose problems are reported already.
    """
    found: list[Complaint] = []
    prepared = {"name": name, **tree}
    if isinstance(tree.get("data"), Mapping):
        prepared["data"] = _data(tree["data"], found)
        if tree.get("finetune") is not None:
            _train_as_eval(tree["data"], prepared["data"])
    config, errors, mended = validate_mending(prepared)
    found += complaints(errors, prepared, known=lambda path: keys_at(prepared, path), where="")
    if tree.get("train") is None and tree.get("finetune") is None:
        message = "'train' is missing in the file"
        found.append(Complaint((), message, "add `train: ...`", missing="train"))
        found = without_misspelt(found, known=lambda path: keys_at(prepared, path))
    skipped = set(skip)
    told = [_better_remedy(c) for c in found if c.path[:1] not in skipped]
    if config is not None and not _names_data(config):
        config = None
    return Validated(config, told, mended)


def _names_data(config: RunConfig) -> bool:
    """Whether the data set is known, with all that it must be given."""
    entry = DATASETS.find(config.data.name)
    given = config.data.parameters
    return entry is not None and all(p.name in given for p in entry.parameters)


def _data(section: Mapping[str, Any], found: list[Complaint]) -> dict[str, Any]:
    """The section with the data set's own keys under `parameters`, and transforms looked up."""
    common = fields_of(Data)
    prepared: dict[str, Any] = {k: v for k, v in section.items() if k in common}
    own = {k: v for k, v in section.items() if k not in common}
    prepared["parameters"] = _parameters(section, own, list(common), found)
    transforms = section.get("transforms", {})
    if isinstance(transforms, Mapping):
        prepared["transforms"] = _transforms(transforms, found)
    return prepared


def _parameters(
    section: Mapping[str, Any], own: Mapping[str, Any], common: list[str], found: list[Complaint]
) -> dict[str, Any]:
    """The data set's own parameters, defaults filled in."""
    name = section.get("name")
    if not isinstance(name, str):
        return {}
    entry = DATASETS.find(name)
    if entry is None:
        found.append(_unknown(DATASETS, name, ("data", "name")))
        entry = DATASETS.find(near_match(name, DATASETS.names()) or "")
    if entry is None:
        return {}
    names = [parameter.name for parameter in entry.parameters]
    wrong = []
    for key in own:
        if key not in names:
            message = f"unknown key '{key}' in data, with the data set '{entry.name}'"
            remedy = suggestion(key, [*common, *names])
            wrong.append(Complaint((key,), message, remedy, at_key=True))
    keywords, found_by_entry = entry.check({k: v for k, v in own.items() if k in names})
    wrong = without_misspelt([*wrong, *found_by_entry], known=lambda _: [*common, *names])
    found += [dataclasses.replace(c, path=("data", *c.path)) for c in wrong]
    return keywords


def _transforms(section: Mapping[str, Any], found: list[Complaint]) -> dict[str, Any]:
    prepared = dict(section)
    for split, field in Transforms.model_fields.items():
        items = section.get(split, [call.name for call in field.default])
        if isinstance(items, list):
            path = ("data", "transforms", split)
            calls = [_call(item, (*path, i), found) for i, item in enumerate(items)]
            prepared[split] = tuple(call for call in calls if call is not None)
    return prepared


def _train_as_eval(section: Mapping[str, Any], prepared: dict[str, Any]) -> None:
    """With weights to start from, training images are prepared as evaluation's unless said."""
    given = section.get("transforms")
    if isinstance(given, Mapping) and isinstance(given.get("eval"), list) and "train" not in given:
        prepared["transforms"]["train"] = prepared["transforms"]["eval"]


def _call(item: Any, path: KeyPath, found: list[Complaint]) -> TransformCall | None:
    """One item of a list of transforms: a name, or `name: {parameters}`."""
    if isinstance(item, Mapping) and len(item) == 1:
        name, values = next(iter(item.items()))
        at_parameters = (*path, name)
    else:
        name, values, at_parameters = item, {}, path
    values = {} if values is None else values
    if not isinstance(name, str) or not isinstance(values, Mapping):
        what = f"{len(item)} keys" if isinstance(item, Mapping) else shown(item)
        what = shown(values) if isinstance(name, str) else what
        message = f"a transform is a name or `name: {{parameters}}`, not {what}"
        remedy = "start each with `- `, its parameters in braces"
        found.append(
            Complaint(path if not isinstance(name, str) else at_parameters, message, remedy)
        )
        return None
    entry = TRANSFORMS.find(name)
    if entry is None:
        at_key = at_parameters != path
        unknown = _unknown(TRANSFORMS, name, at_parameters)
        found.append(dataclasses.replace(unknown, at_key=at_key))
        return None
    keywords, wrong = entry.check(values)
    found += [dataclasses.replace(c, path=(*at_parameters, *c.path)) for c in wrong]
    is_whole = all(parameter.name in keywords for parameter in entry.parameters)
    return TransformCall(name=name, parameters=keywords) if is_whole else None


def _unknown(catalogue: Catalogue, name: str, path: KeyPath) -> Complaint:
    remedy = suggestion(name, catalogue.names())
    return Complaint(path, f"unknown {catalogue.kind} '{name}'", remedy)


def _better_remedy(complaint: Complaint) -> Complaint:
    """Where a key belongs, if it is one of another section's or of another choice's."""
    *around, key = complaint.path or ("",)
    if not complaint.at_key or "did you mean" in complaint.remedy or around == ["data"]:
        return complaint
    keys = keys_named(str(key))
    members = [f"`name: {k.member}`" for k in keys if k.path == dotted("", complaint.path)]
    paths = dict.fromkeys(key.path for key in keys)
    remedy = "it belongs to " + " or ".join(members or paths)
    return dataclasses.replace(complaint, remedy=remedy) if keys else complaint
