"""The page on choosing a network: its commands are understood, its table is that of `compare`."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from cnntrain.assemble.build_network import plan_architecture
from cnntrain.assemble.figures import as_markdown, figures_of
from cnntrain.cli.commands import app
from cnntrain.config import shipped
from cnntrain.core.document import read_document

PAGE = Path(__file__).parent.parent.joinpath("docs", "choosing.md").read_text("utf-8")
COMMANDS = [
    *re.findall(r"^(cnntrain [^#\n]*)", PAGE, re.MULTILINE),
    *re.findall(r"`(cnntrain \w[^`]* [^`]*)`", PAGE),
]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "ImageNet" in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command: str) -> None:
    _, name, *words = shlex.split(command)
    found = typer.main.get_command(app).get_command(None, name)
    found.make_context(name, words)


def test_the_table_is_of_the_command_above_it() -> None:
    """But for the speeds, which are those of one machine."""
    [command] = [command for command in COMMANDS if len(command.split()) > 10]
    names = [word for word in command.split()[2:] if not word.startswith("--")]
    assert [row[0] for row in ROWS] == names
    assert len(names) == 10
    files = [shipped.find_network(name) for name in names]
    table = [
        figures_of(name, plan_architecture(read_document(file)), batch=16)
        for name, file in zip(names, files, strict=True)
    ]
    printed = as_markdown(table).splitlines()[2:]
    assert [row[:7] for row in ROWS] == [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in printed
    ]
