"""The page on symptoms: its commands are understood, its files there, its faults known."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from cnntrain.cli.commands import app
from cnntrain.diagnose.faults import FAULTS, check_names

DOCS = Path(__file__).parent.parent / "docs"
ROOT = DOCS.parent
PAGE = (DOCS / "when-it-does-not-learn.md").read_text("utf-8")
BLOCKS = re.findall(r"```(?:sh|console)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    *(line for block in BLOCKS for line in re.findall(r"^(?:\$ )?(cnntrain .*)$", block, re.M)),
    *re.findall(r"`(cnntrain \w[^`]* [^`]*)`", PAGE),
]
HEADINGS = [
    "#" + re.sub(r"[^\w -]", "", line).lower().replace(" ", "-")
    for line in re.findall(r"^#+ (.+)$", PAGE, re.M)
]
PICTURES = re.findall(r"figures/\w+\.png", PAGE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    program = typer.main.get_command(app)
    while hasattr(program, "commands"):
        name = words.pop(0)
        program = program.get_command(typer.Context(program), name)
        assert program is not None, name
    context = program.make_context(program.name, list(words))
    assert set(context.params.get("checks") or ()) <= set(check_names())
    for word in words:
        if word.endswith(".yaml") and word != "my.yaml":
            assert (ROOT / word).is_file()


def test_checks_faults_and_files_are_there() -> None:
    assert len(COMMANDS) > 15
    checks, faults = re.findall(r"--check (\w+)", PAGE), re.findall(r"\(fault: (\w+)\)", PAGE)
    assert checks
    assert set(checks) <= set(check_names())
    assert faults
    assert set(faults) <= set(FAULTS)
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert link in HEADINGS if link.startswith("#") else (DOCS / link).exists(), link
    for name in re.findall(r"`(\w+\.yaml)`", PAGE):
        assert (ROOT / "scripts" / "planted" / "broken" / name).is_file(), name


def test_the_pictures_are_small() -> None:
    assert PICTURES
    assert all((DOCS / picture).stat().st_size < 150_000 for picture in PICTURES)
    assert len(PAGE.splitlines()) <= 200
