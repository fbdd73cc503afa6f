"""Commands that draw a trained network: each has the options of its picture's signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Out, Overrides, Plugins, Trained, opened
from cnntrain.core.choices import PICTURES
from cnntrain.core.entry import Entry, Parameter
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.core.problems import Place
from cnntrain.data.left_out import gathered, plain

USUAL = {
    "images": "An image file, or one of the split by number. Repeatable.",
    "class_": "Default: the class that the network sees.",
    "layer": "A layer by its name in `cnntrain summary RUN`.",
    "split": "Default: test if there is one, else validation.",
    "limit": "Images looked at, drawn at random.",
}
"""What a parameter of this name is, where the picture's documentation does not say."""

IMAGES = ("image", "images")
SHARED = {
    "out": (Out, None),
    "force": (Force, False),
    "overrides": (Overrides, None),
    "plugin": (Plugins, None),
    "as_json": (Json, False),
}
"""The options of all pictures' commands, with their defaults."""


def picture_command(entry: Entry) -> Callable[..., None]:
    """A command for a picture: a run, what its signature asks for, and what all of them take.

    A parameter without a default is an argument; a list is an option that can be repeated, without
    its plural's s.
    """

    def command(
        run: Path,
        out: Path | None,
        force: bool,
        overrides: list[str] | None,
        plugin: list[Path] | None,
        as_json: bool,
        **given: Any,
    ) -> None:
        asked = {p.name: given[p.name] for p in entry.parameters if given[p.name] is not None}
        keywords, complaints = entry.check(asked)
        if complaints:
            raise UsageError(complaints[0].message, remedy=complaints[0].remedy)
        words = _words(entry, keywords)
        changes, plugins = overrides or [], plugin or []
        file = file_to_write(
            out, words, run, asked=keywords, force=force, overrides=changes, plugins=plugins
        )
        model = opened(run, overrides=changes, plugins=plugins)
        with model.outputs_watched(), gathered() as left_out:
            made = PICTURES.load(entry.name)(model=model, **keywords)
        facts = {**made.facts, "left_out": plain(left_out)}
        output.picture(replace(made, facts=facts), file, as_json=as_json)

    if taken := {p.name for p in entry.parameters} & {"run", *SHARED}:
        name = min(taken)
        raise ConfigError(
            f"the picture '{entry.name}' has the parameter '{name}', which every picture's command "
            "has",
            remedy="rename it",
            place=Place(str(entry.file), entry.line, 1),
        )
    kinds = {
        "run": (Trained, Argument.empty),
        **{p.name: _option(p) for p in entry.parameters},
        **SHARED,
    }
    command.__doc__ = re.split(r"\n\n(?:Args|Raises):", entry.doc)[0]
    command.__annotations__ = {name: kind for name, (kind, _) in kinds.items()}
    arguments = [
        Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in kinds.items()
    ]
    command.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    return command


def file_to_write(
    given: Path | None,
    words: Sequence[object],
    run: Path,
    *,
    asked: Mapping[str, Any],
    force: bool,
    overrides: Sequence[str],
    plugins: Sequence[Path],
    suffixes: Sequence[str] = (".png", ".svg"),
) -> Path:
    """The file of --out; else named by what the command was asked for: `maps-conv2-5.png`.

    Args:
        given: on the command line.
        words: that its usual name is made of.
        run: what is looked at, with the `overrides` of its settings and more `plugins`.
        asked: of it: `layer`, `image`, `images` and `split` are looked for.
        force: whether the file may exist already.
        suffixes: one of which the file must have; the first is the usual one.

    Raises:
        UsageError: the file cannot be written. That it exists is said only if the run, the layer
            and the images are sound.
    """
    name = "-".join(re.sub(r"[^\w.]+", "_", str(word)) for word in words)
    usual = f"{name[:120]}{suffixes[0]}"
    path = given or Path(usual)
    if path.is_file() and not force and path.suffix.lower() in suffixes:
        from cnntrain.explain.shown import show_images
        from cnntrain.model.find_layers import find_layer
        from cnntrain.model.opening import open_model

        model = open_model(run, overrides=overrides, plugins=plugins)
        if asked.get("layer") is not None:
            find_layer(model, asked["layer"])
        one = [asked["image"]] if asked.get("image") else []
        if images := asked.get("images") or one:
            show_images(model, images, split=asked.get("split"))
    return output.new_file(given, usual=usual, force=force, suffixes=suffixes)


def _words(entry: Entry, keywords: Mapping[str, Any]) -> list[object]:
    """What a picture's file is named by: what is asked for, numbers apart; layer first, split last.

    Of image files the stem.
    """
    usual = {parameter.name: parameter.default for parameter in entry.parameters}
    order = {"layer": 0, **dict.fromkeys(IMAGES, 1), "split": 3}
    asked = sorted(keywords, key=lambda name: order.get(name, 2))
    words: list[object] = [entry.name]
    for name in asked:
        value = keywords[name]
        if isinstance(value, int) or value == usual[name]:
            continue
        each = value if isinstance(value, tuple) else [value]
        words += [Path(w).stem if name in IMAGES and Path(w).suffix else w for w in each]
    return words


def _option(parameter: Parameter) -> tuple[Any, Any]:
    """Type and default of a parameter on the command line."""
    kind, bounds = _plain(parameter.kind)
    repeats = get_origin(kind) is list
    name = option_name(parameter)
    metavar = name.removeprefix("--").upper()
    text = parameter.description or USUAL.get(parameter.name, "")
    text = text[:1].upper() + text[1:]
    if parameter.required:
        return Annotated[kind, typer.Argument(metavar=name, help=text)], Argument.empty
    is_text = kind in (list[str], str, str | None)
    option = typer.Option(name, metavar=metavar if is_text else None, help=text, **bounds)
    return Annotated[kind | None if repeats else kind, option], parameter.default or None


def option_name(parameter: Parameter) -> str:
    """How a parameter is written: `--image` for a list of images, `IMAGE...` if it is required."""
    repeats = get_origin(_plain(parameter.kind)[0]) is list
    name = parameter.name.rstrip("_").replace("_", "-")
    name = name.removesuffix("s") if repeats else name
    if not parameter.required:
        return f"--{name}"
    return f"{name.upper()}..." if repeats else name.upper()


def _plain(kind: Any) -> tuple[Any, dict[str, Any]]:
    """A type without pydantic's parts, as typer understands it, and its bounds."""
    if get_origin(kind) is Annotated:
        inner, *parts = get_args(kind)
        found = [limit for part in parts for limit in getattr(part, "metadata", ())]
        limits = (("ge", "min"), ("le", "max"))
        bounds = {to: getattr(x, key) for x in found for key, to in limits if hasattr(x, key)}
        return _plain(inner)[0], bounds
    if get_origin(kind) in (Union, UnionType):
        plain = [_plain(each) for each in get_args(kind)]
        bounds = {name: limit for _, found in plain for name, limit in found.items()}
        return Union[tuple(each for each, _ in plain)], bounds  # noqa: UP007  # of a tuple
    if get_origin(kind) is tuple:
        return list[get_args(kind)[0]], {}  # type: ignore[misc]  # a type made at run time
    return kind, {}
