"""From the tree of a run file to the schema's objects, with every complaint at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cnntrain.arch.description import KEYS as ARCHITECTURE
from cnntrain.config.keys import all_keys, keys_at
from cnntrain.config.mending import mended
from cnntrain.config.schema import CALL_SECTIONS, CHOICE_SECTIONS, RunConfig, stage_sections
from cnntrain.config.section import Call, Choice, Section, calls_in, fields_of, other_defaults
from cnntrain.config.task_section import CHOSEN, HEADS, HeadSection, LossSection
from cnntrain.core.choices import TASKS
from cnntrain.core.complaints import (
    Complaint,
    complaints,
    dotted,
    shown,
    unknown_key,
    value_at,
    without_misspelt,
)
from cnntrain.core.document import KeyPath
from cnntrain.core.entry import Entry
from cnntrain.core.problems import near_match, suggestion


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
    mended: tuple[str, ...]


def validate(tree: Mapping[str, Any], *, name: str, skip: Collection[KeyPath] = ()) -> Validated:
    """Check a run file, its sections in place, against the schema.

    `name` is the run's where the file gives none; problems of the sections in `skip` are reported
    already.
    """
    found: list[Complaint] = []
    prepared = {"name": name, **tree}
    _put_usual_loss(prepared)
    choices, calls = stage_sections(prepared)
    for path, kind in {**CHOICE_SECTIONS, **choices}.items():
        _prepare_choice(prepared, path, kind, found)
    has_heads = _prepare_heads(prepared, found)
    for path, section in {**CALL_SECTIONS, **calls}.items():
        _prepare_calls(prepared, path, section, found)
    if isinstance(tree.get("data"), Mapping) and tree.get("finetune") is not None:
        _train_as_eval(tree["data"], prepared["data"])
    config: RunConfig | None
    names: tuple[str, ...] = ()
    try:
        config = RunConfig.model_validate(prepared)
    except ValidationError as error:
        errors = error.errors()
        config, names = mended(prepared, errors)
        found += complaints(errors, prepared, known=lambda path: keys_at(prepared, path), where="")
    if tree.get("train") is None and tree.get("finetune") is None:
        message = "'train' is missing in the file"
        found.append(Complaint((), message, "add `train: ...`", missing="train"))
    found = without_misspelt(found)
    reported = [_better_remedy(c, tree) for c in found if c.path[:1] not in skip]
    if config is not None and not (has_heads and _names_data(config)):
        config = None
    return Validated(config, reported, names)


def _names_data(config: RunConfig) -> bool:
    """Whether the data set is known, with all that it must be given."""
    entry = config.data.catalogue.find(config.data.name)
    given = config.data.parameters
    return entry is not None and all(p.name in given for p in entry.parameters)


def _copied(tree: dict[str, Any], path: KeyPath) -> dict[str, Any] | None:
    """The mapping at `path`, copied with what is around it: it may be changed; None: no mapping."""
    inner: Any = tree
    for key in path:
        is_item = isinstance(inner, list) and isinstance(key, int)
        inside = inner[key] if is_item else inner.get(key) if isinstance(inner, dict) else None
        if not isinstance(inside, Mapping | list):
            return None  # the schema says what is wrong
        copied = dict(inside) if isinstance(inside, Mapping) else list(inside)
        inner[key] = copied
        inner = copied
    return inner if isinstance(inner, dict) else None


def _prepare_choice(
    prepared: dict[str, Any], path: KeyPath, kind: type[Choice], found: list[Complaint]
) -> None:
    """Put the chosen entry's own keys under `parameters`, checked and with defaults filled in."""
    section = _copied(prepared, path)
    if section is None:
        return
    own = {key: section.pop(key) for key in [*section] if key not in fields_of(kind)}
    if not kind.needs_name:
        section.setdefault("name", kind.usual)
    name, entry = section.get("name"), None
    if isinstance(name, str):
        entry = kind.catalogue.find(name)
        if entry is None:  # its keys are checked as those of what was probably meant
            names = kind.catalogue.names()
            message, remedy = f"unknown {kind.catalogue.kind} '{name}'", suggestion(name, names)
            found.append(Complaint((*path, "name"), message, remedy))
            entry = kind.catalogue.find(near_match(name, names) or "")
            if kind.usual:
                section["name"] = kind.usual if entry is None else entry.name
    section["parameters"], wrong = _own_keys(entry, own, kind, path, given=[*own, *section])
    found += [dataclasses.replace(c, path=(*path, *c.path)) for c in wrong]
    for key, value in ({} if entry is None else other_defaults(entry)).items():
        section.setdefault(key, value)


def _prepare_heads(prepared: dict[str, Any], found: list[Complaint]) -> bool:
    """Check what the heads learn, and fill in their defaults; whether they can be used."""
    section = prepared.get("task")
    own = section.get("parameters", {}) if isinstance(section, dict) else {}
    if not isinstance(own.get(HEADS), Mapping):
        several = TASKS.find(str(section.get("name"))) if isinstance(section, dict) else None
        return several is None or several.parameter(HEADS) is None
    heads, before, fields = dict(own[HEADS]), len(found), list(HeadSection.model_fields)
    own[HEADS] = heads
    for name, given in own[HEADS].items():
        path: KeyPath = ("task", HEADS, name)
        head = dict(given)
        names = {key: {"name": head[key]} for key in CHOSEN if isinstance(head.get(key), str)}
        head |= names
        task = head.get("task")
        entry = TASKS.find(str(task.get("name"))) if isinstance(task, Mapping) else None
        if entry is not None and entry.parameter(HEADS) is not None:
            message = f"the head '{name}' has '{entry.name}', which is for several heads"
            found.append(Complaint((*path, "task"), message, "choose another task for it"))
            continue
        if entry is not None:
            head["loss"] = _named(head.get("loss", {}), entry)
        tree: dict[str, Any] = {"task": {HEADS: {name: head}}}
        for key, kind in CHOSEN.items():
            _prepare_choice(tree, (*path, key), kind, found)
        ready = value_at(tree, path)
        try:
            heads[name] = HeadSection.model_validate(ready).as_given()
        except ValidationError as error:
            wrong = complaints(
                error.errors(), ready, known=lambda _: fields, where=dotted("", path)
            )
            found += [dataclasses.replace(c, path=(*path, *c.path)) for c in wrong]
    return len(found) == before


def _put_usual_loss(prepared: dict[str, Any]) -> None:
    """The task's own loss, where the file names none."""
    task, train = prepared.get("task"), prepared.get("train")
    name = task.get("name") if isinstance(task, Mapping) else None
    entry = TASKS.find(name) if isinstance(name, str) else None
    if entry is not None and isinstance(train, Mapping):
        prepared["train"] = {**train, "loss": _named(train.get("loss", {}), entry)}


def _named(loss: Any, task: Entry) -> Any:
    """What is given of a loss, with the name of the task's own where it has none."""
    usual = {"name": task.options.get("loss", LossSection.usual)}
    return {**usual, **loss} if isinstance(loss, Mapping) else loss


def _own_keys(
    entry: Entry | None,
    own: Mapping[str, Any],
    kind: type[Choice],
    path: KeyPath,
    *,
    given: Collection[str],
) -> tuple[dict[str, Any], list[Complaint]]:
    """The keywords, and what is wrong with the keys that not every choice has."""
    known, place, names = list(fields_of(kind)), dotted("", path), set[str]()
    if entry is not None:
        place += f", with the {kind.catalogue.kind} '{entry.name}'"
        known += [parameter.name for parameter in entry.parameters]
        names = {*known, *entry.filled}
        others = {p.name for each in kind.catalogue.entries() for p in each.parameters}
        # so `-s data.root=null` takes out what the file says for the data set that it names
        own = {k: v for k, v in own.items() if k in names or v is not None or k not in others}
    wrong = [
        unknown_key((key,), place, known, given)
        for key in own
        if key not in names
        and (entry is not None or near_match(key, known))  # an unknown choice may have any
    ]
    if entry is None:
        return {}, wrong
    keywords, by_entry = entry.check({k: v for k, v in own.items() if k in names})
    return keywords, without_misspelt([*wrong, *by_entry])


def _prepare_calls(
    prepared: dict[str, Any], path: KeyPath, section: type[Section], found: list[Complaint]
) -> None:
    """Put calls in the place of a section's lists of them, checked and with defaults filled in."""
    around = _copied(prepared, path[:-1])
    if around is not None and any(section.model_fields[name].default for name in calls_in(section)):
        around.setdefault(str(path[-1]), {})
    lists = _copied(prepared, path)
    if lists is None:
        return
    for name, kind in calls_in(section).items():
        items = lists.get(name, [call.name for call in section.model_fields[name].default])
        if isinstance(items, list):
            calls = [_call(kind, item, (*path, name, i), found) for i, item in enumerate(items)]
            lists[name] = tuple(call for call in calls if call is not None)


def _train_as_eval(section: Mapping[str, Any], prepared: dict[str, Any]) -> None:
    """With weights to start from, training images are prepared as evaluation's unless said."""
    given = section.get("transforms")
    if isinstance(given, Mapping) and isinstance(given.get("eval"), list) and "train" not in given:
        prepared["transforms"]["train"] = prepared["transforms"]["eval"]


def _call(kind: type[Call], item: Any, path: KeyPath, found: list[Complaint]) -> Call | None:
    """One item of a list of calls: a name, or `name: {parameters}`."""
    if isinstance(item, Mapping) and len(item) == 1:
        name, values = next(iter(item.items()))
        at_parameters = (*path, name)
    else:
        name, values, at_parameters = item, {}, path
    values = {} if values is None else values
    if not isinstance(name, str) or not isinstance(values, Mapping):
        what = f"{len(item)} keys" if isinstance(item, Mapping) else shown(item)
        what = shown(values) if isinstance(name, str) else what
        called = kind.catalogue.kind
        article = "an" if called[0] in "aeiou" else "a"
        message = f"{article} {called} is a name or `name: {{parameters}}`, not {what}"
        remedy = "start each with `- `, its parameters in braces"
        entry = kind.catalogue.find(name) if isinstance(name, str) else None
        if entry is not None:
            message = f"the parameters of '{name}' must be a mapping, not {shown(values)}"
            remedy = f"write {entry.with_parameter(values)}"
        where = at_parameters if isinstance(name, str) else path
        found.append(Complaint(where, message, remedy))
        return None
    entry = kind.catalogue.find(name)
    if entry is None or "unlisted" in entry.options:
        called, remedy = f"{kind.catalogue.kind} '{name}'", "remove it"
        if entry is None:
            message, names = f"unknown {called}", [each.name for each in kind.entries()]
            plugin = "name the file that registers it in `plugins`"
            remedy = suggestion(name, names) if names else plugin
        else:
            message = f"the {called} cannot be listed: {entry.options['unlisted']}"
        at_key = at_parameters != path
        found.append(Complaint(at_parameters, message, remedy, at_key=at_key))
        return None
    keywords, complained = entry.check(values)
    found += [dataclasses.replace(c, path=(*at_parameters, *c.path)) for c in complained]
    is_whole = all(parameter.name in keywords for parameter in entry.parameters)
    return kind(name=name, parameters=keywords) if is_whole else None


def _better_remedy(complaint: Complaint, tree: Mapping[str, Any]) -> Complaint:
    """Where a key belongs, if it is one of another section's or of another choice's."""
    path = complaint.path
    if path in CHOICE_SECTIONS and not complaint.at_key and isinstance(value_at(tree, path), str):
        return dataclasses.replace(complaint, remedy=f"write {{name: {value_at(tree, path)}}}")
    if not complaint.at_key:
        return complaint
    if len(path) == 1 and path[0] in ARCHITECTURE and path[0] not in RunConfig.model_fields:
        return dataclasses.replace(complaint, remedy="indent it below `arch:`")
    keys = [key for key in all_keys() if key.path.endswith(f".{path[-1]}")]
    if tree.get("pretrain") is None:
        keys = [key for key in keys if not key.path.startswith("pretrain.")]
    members = [f"`name: {k.member}`" for k in keys if k.member and k.path == dotted("", path)]
    paths = dict.fromkeys(key.path for key in keys)
    remedy = "it belongs to " + " or ".join(members or paths)
    remedy += f", or {complaint.remedy}" if complaint.meant else ""
    return dataclasses.replace(complaint, remedy=remedy) if keys else complaint
