"""JSON Schema (draft 2020-12) of run files and architecture files, for editors.

It is made from the same types as the checks: the schema of the run file, and the signatures of
all that a file may choose, plugins included once they are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnntrain.config.pretrain_section import StageSection
from cnntrain.config.schema import CALL_SECTIONS, CHOICE_SECTIONS, RunConfig
from cnntrain.config.section import Call, Choice, Section, calls_in, fields_of, other_defaults
from cnntrain.config.sections import SECTIONS
from cnntrain.core.choices import LAYERS
from cnntrain.core.entry import Entry, Parameter

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FILE_NAME: Schema = {
    "type": "string",
    "pattern": r"\.ya?ml$",
    "description": "A file with the keys of this section.",
}
_EXPRESSION: Schema = {
    "type": "string",
    "pattern": r"\$",
    "description": "Arithmetic over variables, such as $width * 2.",
}


def run_schema() -> Schema:
    """The schema of a run file."""
    schema = _without_titles(RunConfig.model_json_schema())
    definitions: Schema = schema["$defs"]
    schema["required"] = [name for name in schema["required"] if name != "name"]
    for kind in dict.fromkeys(CHOICE_SECTIONS.values()):
        definitions[kind.__name__] = _alternatives(kind, definitions[kind.__name__])
    with_calls: list[type[Section]] = [*CALL_SECTIONS.values(), StageSection]
    for section in with_calls:
        for name, call in calls_in(section).items():
            _put_calls(definitions, section, name, call)
    definitions |= _architecture_definitions()
    stage = definitions["StageSection"]["properties"]
    stage["decoder"] = {**stage["decoder"], "items": {"$ref": "#/$defs/Layer"}}
    layer: Schema = {"anyOf": [{"$ref": "#/$defs/Layer"}, {"type": "null"}], "default": None}
    stage["noise"] = {**layer, "description": stage["noise"]["description"]}
    sections = schema["properties"]
    sections["arch"] = {
        "$ref": "#/$defs/Architecture",
        "description": sections["arch"]["description"],
    }
    for name in SECTIONS:
        keys = {k: v for k, v in sections[name].items() if k not in ("default", "description")}
        description = RunConfig.model_fields[name].description
        sections[name] = {"anyOf": [keys, _FILE_NAME], "description": description}
    return {"$schema": DRAFT, "title": "cnntrain run file", **schema}


def arch_schema() -> Schema:
    """The schema of an architecture file."""
    definitions = _architecture_definitions()
    body = definitions.pop("Architecture")
    return {"$schema": DRAFT, "title": "cnntrain architecture", **body, "$defs": definitions}


def _alternatives(kind: type[Choice], common: Schema) -> Schema:
    """One alternative for each entry: its own keys beside the common ones."""
    properties = {k: v for k, v in common["properties"].items() if k in fields_of(kind)}
    alternatives = []
    for entry in kind.catalogue.entries():
        own = {p.name: _parameter(p) for p in entry.parameters}
        for key, value in other_defaults(entry).items():
            own[key] = {**properties[key], "default": value}
        name = {"const": entry.name, "description": entry.summary}
        is_usual = entry.name == kind.usual and not kind.needs_name
        own_keys = [p.name for p in entry.parameters if p.required]
        required = [*([] if is_usual else common["required"]), *own_keys]
        alternatives.append(_mapping({**properties, "name": name, **own}, required))
    return {"oneOf": alternatives}


def _put_calls(definitions: Schema, section: type[Section], name: str, call: type[Call]) -> None:
    """A section's list of calls."""
    field, item = section.model_fields[name], call.catalogue.kind.capitalize()
    entries = call.entries()
    definitions.pop(call.__name__, None)
    calls = [_mapping({entry.name: _parameters(entry)}, [entry.name]) for entry in entries]
    definitions[item] = {"oneOf": [{"enum": _bare(entries)}, *calls]}
    definitions[section.__name__]["properties"][name] = {
        "type": "array",
        "items": {"$ref": f"#/$defs/{item}"},
        "default": [each.name for each in field.default],
        "description": field.description,
    }


def _bare(entries: Iterable[Entry]) -> list[str]:
    """The names of those that need no parameters, and so may stand alone."""
    return [entry.name for entry in entries if not any(p.required for p in entry.parameters)]


def _parameters(entry: Entry, *, expressions: bool = False) -> Schema:
    properties = {p.name: _parameter(p, expressions=expressions) for p in entry.parameters}
    required = [p.name for p in entry.parameters if p.required]
    mapping = {**_mapping(properties, required), "description": entry.summary}
    return mapping if required else {"anyOf": [mapping, {"type": "null"}]}


def _parameter(parameter: Parameter, *, expressions: bool = False) -> Schema:
    schema: Schema
    if parameter.nested == "list":
        schema = {"$ref": "#/$defs/Layers"}
    elif parameter.nested == "lists":
        schema = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Layers"}}
    else:
        schema = _without_titles(parameter.adapter.json_schema())
        if expressions:
            schema = {"anyOf": [_with_expressions(schema), _EXPRESSION]}
    if not parameter.required:
        schema = {**schema, "default": parameter.default}
    if parameter.description:
        schema = {**schema, "description": parameter.description}
    return schema


def _architecture_definitions() -> Schema:
    layers: Schema = {"$ref": "#/$defs/Layers"}
    block = _mapping({"params": {"type": "object"}, "layers": layers}, ["layers"])
    reads = {"type": "string", "description": "The layer that it reads; the last of `layers`."}
    head = _mapping({"from": reads, "layers": layers}, ["layers"])
    auxiliary = _mapping(
        {
            "as": {"type": "string", "description": "Its name."},
            "from": {"type": "string", "description": "The layer that it reads."},
            "weight": {"anyOf": [{"type": "number"}, _EXPRESSION], "default": 1.0},
            "layers": layers,
        },
        ["from", "layers"],
    )
    scheme = {"type": ["string", "number", "object"], "description": "A scheme or a number."}
    rule = _mapping(
        {
            "layers": {"type": "string", "description": "The layers' operation, such as conv."},
            "names": {"type": "string", "description": "A shell pattern for their names."},
            "weight": scheme,
            "bias": scheme,
        },
        [],
    )
    sizes: Schema = {"type": "integer", "minimum": 1}
    made_for = _mapping({"classes": sizes, "channels": sizes, "size": sizes}, [])
    architecture = _mapping(
        {
            "made_for": {**made_for, "description": "Images to plan for without a run file."},
            "vars": {"type": "object", "description": "Names for numbers, used as $name."},
            "blocks": {"type": "object", "additionalProperties": block},
            "layers": layers,
            "heads": {"type": "object", "additionalProperties": head},
            "aux": {"type": "array", "items": auxiliary},
            "init": {"type": "array", "items": rule},
        },
        ["layers"],
    )
    return {
        "Architecture": architecture,
        "Layers": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Layer"}},
        "Layer": _layer(),
    }


def _layer() -> Schema:
    """One item of a list of layers; a name that is no layer's may be a block's."""
    entries = LAYERS.entries()
    several = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    around: Schema = {
        "as": {"type": "string", "description": "The name of this layer."},
        "from": {
            "anyOf": [{"type": "string"}, several],
            "description": "What it reads: names of layers above, or `input`.",
        },
        "repeat": {
            "anyOf": [{"type": "integer", "minimum": 0}, _EXPRESSION],
            "description": "How many copies follow each other; `$copy` counts them, from 0.",
        },
    }
    properties = {e.name: _parameters(e, expressions=True) for e in entries} | around
    item = _mapping(properties, [])
    item["additionalProperties"] = {"type": ["object", "null"], "description": "A block."}
    item |= {"minProperties": 1, "maxProperties": 1 + len(around)}
    return {"anyOf": [{"enum": _bare(entries)}, {"type": "string"}, item]}


def _mapping(properties: Schema, required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _with_expressions(schema: Any) -> Any:
    """The same schema with an expression allowed wherever a number is."""
    if isinstance(schema, list):
        return [_with_expressions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("integer", "number"):
        return {"anyOf": [schema, _EXPRESSION]}
    return {key: _with_expressions(value) for key, value in schema.items()}


def _without_titles(schema: Any) -> Any:
    """Without the titles that pydantic makes out of field names."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {k: v for k, v in schema.items() if not (k == "title" and isinstance(v, str))}
    return {key: _without_titles(value) for key, value in kept.items()}
