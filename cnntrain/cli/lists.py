"""What `cnntrain list` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnntrain.cli import output
from cnntrain.cli.pictures import option_name
from cnntrain.cli.published import list_weights
from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header
from cnntrain.config.keys import Key, all_keys
from cnntrain.config.section import Call, Section
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import CHOICES, PICTURES
from cnntrain.core.entry import Entry, Parameter
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import suggestion
from cnntrain.core.trust import read_plugin
from cnntrain.core.units import short_count
from cnntrain.show.tables import columns
from cnntrain.show.words import counted, listed


def print_list(what: str, name: str | None, *, plugins: Sequence[Path], as_json: bool) -> None:
    """Print a list, or one thing of it with its whole documentation; see `listing`."""
    if what in ("keys", "weights"):
        if plugins:
            raise UsageError(f"`list {what}` takes no plugin", remedy="leave --plugin out")
        (_list_keys if what == "keys" else list_weights)(name, as_json)
        return
    if what in ("configs", "archs"):
        if name or plugins:
            remedy = f"`cnntrain new {name or 'NAME'}` copies a shipped file out"
            raise UsageError(f"`list {what}` takes nothing more", remedy=remedy)
        (_list_configs if what == "configs" else _list_archs)(as_json)
        return
    catalogue = CHOICES[what]
    files = [read_plugin(file) for file in plugins]
    registered = [entry for file in files for entry in catalogue.add_plugin(file)]
    if plugins and not (registered or name):
        kinds = [kind for kind, each in CHOICES.items() if any(map(each.add_plugin, files))]
        others = (
            f"`cnntrain list {kinds[0]} --plugin {plugins[0]}` shows some" if kinds else "check it"
        )
        raise UsageError(f"{listed(plugins)} registers no {what}", remedy=others)
    entries = [catalogue.entry(name)] if name else registered or catalogue.entries()
    if as_json:
        output.result_json({what: [_as_data(entry) for entry in entries]})
    elif name:
        output.result(_page(entries[0], catalogue))
    else:
        for entry in entries:
            output.result(f"{entry.name}: {entry.summary}")
            for parameter in entry.parameters:
                output.result(f"    {_signature(parameter, catalogue)}")
        of = f" of {listed(plugins)}" if plugins else ""
        more = "".join(f" --plugin {plugin}" for plugin in plugins)
        note = f"`cnntrain list {what} NAME{more}` shows one in full"
        output.note(f"{counted(len(entries), catalogue.kind, what)}{of}; {note}")


def _list_configs(as_json: bool) -> None:
    """The shipped run files, each with its first line."""
    files = shipped.files()
    if as_json:
        output.result_json({"configs": {name: str(path) for name, path in files.items()}})
        return
    output.result(columns([(name, _headline(path)) for name, path in files.items()]))
    output.note("`cnntrain fit NAME` uses one, `cnntrain new NAME` copies it out")


def _list_archs(as_json: bool) -> None:
    """The shipped architectures, with what their headers say of each."""
    files = shipped.files(among="archs/")
    headers = {name: read_header(path) for name, path in files.items()}
    if as_json:
        data = {name: {"file": str(files[name]), **asdict(each)} for name, each in headers.items()}
        output.result_json({"archs": data})
        return
    head = (
        "name",
        "parameters",
        "multiply-adds",
        "images",
        "classes",
        "weights",
        "paper",
        "network",
    )
    rows = [
        (
            name,
            short_count(each.parameters),
            short_count(each.multiply_adds),
            f"{each.size}x{each.size}{' grey' if each.channels == 1 else ''}",
            str(each.classes),
            each.weights.partition("_")[0],
            each.source,
            each.title,
        )
        for name, each in headers.items()
    ]
    output.result(columns([head, *rows], right=(1, 2, 4), rules=[1]))
    output.note(
        f"{counted(len(rows), 'architecture')}; `cnntrain summary NAME` shows one layer by layer, "
        "`cnntrain compare NAME NAME` several, `cnntrain new NAME` copies one out"
    )


def _list_keys(section: str | None, as_json: bool) -> None:
    """The keys of a run file: all, or those of one section."""
    keys = [
        key for key in all_keys() if section is None or f"{key.path}.".startswith(f"{section}.")
    ]
    if not keys:
        paths = list(dict.fromkeys(key.path for key in all_keys()))
        remedy = suggestion(str(section), paths)
        raise UsageError(f"a run file has no key '{section}'", remedy=remedy)
    if as_json:
        output.result_json({"keys": [_key_as_data(key) for key in keys]})
        return
    for key in keys:
        if key.member and key.path.endswith(".name"):
            output.result(f"{key.path}: {key.member}")
            continue
        member = f" of {key.member}" if key.member else ""
        output.result(f"{key.path}{member} ({_default(key)}): {key.description}")


def _default(of: Key | Parameter) -> str:
    if of.required:
        return "required"
    return "a section" if isinstance(of.default, Section) else f"default {_yaml(of.default)}"


def _key_as_data(key: Key) -> dict[str, Any]:
    return {
        "path": key.path,
        "of": key.member or None,
        "required": key.required,
        "default": _default(key).removeprefix("default "),
        "description": key.description,
    }


def _headline(path: Path) -> str:
    """The first line, if it is a whole sentence, else what comes before its colon and a paper."""
    line = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
    return line if line.endswith((".", "?")) else f"{line} ".partition(": ")[0].strip()


def _signature(parameter: Parameter, catalogue: Catalogue) -> str:
    name = option_name(parameter) if catalogue is PICTURES else parameter.name
    text = f"{name}: {parameter.annotation} ({_default(parameter)})"
    return f"{text}: {parameter.description}" if parameter.description else text


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    return value.name if isinstance(value, Call) else str(value)


def _page(entry: Entry, catalogue: Catalogue) -> str:
    head = f"{catalogue.kind} {entry.name}  ({entry.file}:{entry.line})"
    lines = [f"    {_signature(parameter, catalogue)}" for parameter in entry.parameters]
    return "\n".join([head, "", entry.doc, "", "Parameters:", *(lines or ["    none"])])


def _as_data(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "file": str(entry.file),
        "line": entry.line,
        "parameters": [
            {
                "name": p.name,
                "type": p.annotation,
                "required": p.required,
                "default": p.default,
                "description": p.description,
            }
            for p in entry.parameters
        ],
    }
