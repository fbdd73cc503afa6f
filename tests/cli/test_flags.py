"""Every command with its arguments and flags: a change of them is a change for every user.

After a deliberate one, `CNNTRAIN_REGENERATE=1 pytest tests/cli/test_flags.py` writes flags.txt.
"""

from __future__ import annotations

import os
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from cnntrain.cli.commands import app

SNAPSHOT = Path(__file__).with_name("flags.txt")


def lines(command: Any, name: str) -> list[str]:
    found = [name]
    hints = typing.get_type_hints(command.callback) if command.callback else {}
    for parameter in command.params:
        flags = ", ".join([*parameter.opts, *parameter.secondary_opts])
        need = "required" if parameter.required else f"default {parameter.default}"
        kind = hints.get(parameter.name, "typer's own")
        found.append(f"    {flags}: {called(kind)}, {need}")
    for inner in commands_of(command).values():
        found += lines(inner, f"{name} {inner.name}")
    return found


def commands_of(group: Any) -> dict[str, Any]:
    """By name, those included that are only read when they are asked for."""
    if not hasattr(group, "commands"):
        return {}
    group.list_commands(None)
    return dict(group.commands)


def called(kind: Any) -> str:
    """An annotation in words, the values of an enumeration spelled out."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {' '.join(kind)}"
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " | ".join(called(inner) for inner in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return f"list of {called(typing.get_args(kind)[0])}"
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {' '.join(typing.get_args(kind))}"
    return "None" if kind is type(None) else str(getattr(kind, "__name__", kind))


def test_flags() -> None:
    text = "\n".join(lines(typer.main.get_command(app), "cnntrain")) + "\n"
    if os.environ.get("CNNTRAIN_REGENERATE"):
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_every_command_says_what_it_does_in_a_short_line() -> None:
    commands = commands_of(typer.main.get_command(app))
    inner = [*commands_of(commands["data"]).values(), *commands_of(commands["visualize"]).values()]
    for command in [*commands.values(), *inner]:
        assert not command.get_short_help_str(62).endswith("..."), command.name
        for parameter in command.params:
            assert parameter.help, (command.name, parameter.name)
