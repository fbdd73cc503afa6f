"""Wrong files and the exact message of each: every line of a message is part of the product.

Each `.txt` beside this file holds cases; its first line says what reads them (a key of READERS):

    === a name
    -s train.epochs=3           (overrides, if any)
    --- run.yaml                (what is read; further files may follow)
    ...
    --- says
    run.yaml:3:5: ...

After a deliberate change of messages, `CNNTRAIN_REGENERATE=1 pytest tests/wrong` writes the new
ones into the files; read the diff before you commit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.planner import make_plan
from cnntrain.assemble.checked import check_run_file
from cnntrain.assemble.networks import image_sizes, make_network
from cnntrain.config.load import load
from cnntrain.core.document import read_document
from cnntrain.core.errors import ConfigError

HERE = Path(__file__).parent
SAYS = "says"
REMEDY = re.compile(r"; [a-z]")


def plan(file: Path, _: Sequence[str]) -> object:
    """What becomes of an architecture file that `cnntrain summary` reads, with initial weights."""
    document = read_document(file)
    description = describe(document, facts=usual_facts(document))
    return make_network(make_plan(description), seed=0)


def sizes(file: Path, overrides: Sequence[str]) -> object:
    """What `cnntrain check` makes of a run file and its transforms."""
    return image_sizes(load(file, overrides))


READERS: dict[str, Callable[[Path, Sequence[str]], object]] = {
    "check": check_run_file,
    "plan": plan,
    "sizes": sizes,
}
"""What a case goes through: takes its first file and the overrides."""


@dataclass(frozen=True)
class Case:
    collection: Path
    reader: str
    name: str
    overrides: tuple[str, ...]
    files: dict[str, str]
    says: str


def read_cases(collection: Path) -> list[Case]:
    # newlines are kept as they are: some cases are about them
    text = collection.read_bytes().decode()
    reader, *blocks = re.split(r"^=== ", text, flags=re.MULTILINE)
    return [_read_case(collection, reader.strip(), block) for block in blocks]


def _read_case(collection: Path, reader: str, block: str) -> Case:
    head, *parts = re.split(r"^--- ", block, flags=re.MULTILINE)
    name, *overrides = head.strip().splitlines()
    named = dict(part.split("\n", 1) for part in parts)
    says = named.pop(SAYS, "").strip("\n")
    given = tuple(line.removeprefix("-s ") for line in overrides)
    return Case(collection, reader, name, given, named, says)


def _written(cases: list[Case]) -> str:
    text = cases[0].reader + "\n\n"
    for case in cases:
        text += "\n".join([f"=== {case.name}", *(f"-s {o}" for o in case.overrides), ""])
        text += "".join(f"--- {name}\n{contents}" for name, contents in case.files.items())
        text += f"--- {SAYS}\n{case.says}\n\n"
    return text


def _problems(case: Case, folder: Path) -> ConfigError:
    for name, contents in case.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents.encode())
    with pytest.raises(ConfigError) as caught:
        READERS[case.reader](Path(next(iter(case.files))), case.overrides)
    return caught.value


CASES = [case for file in sorted(HERE.glob("*.txt")) for case in read_cases(file)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.collection.stem}: {case.name}")
def test_message(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = _problems(case, tmp_path)
    for problem in error.problems:
        assert problem.place is not None, "every message names the line"
        assert problem.place.line >= 1
        assert problem.remedy, "every message names the remedy"
    # paths of the installation differ from machine to machine
    says = str(error).replace(str(tmp_path), "FOLDER")
    says = re.sub(r"/\S*/cnntrain/", "CNNTRAIN/", says)
    if os.environ.get("CNNTRAIN_REGENERATE"):
        _regenerate(case, says)
    assert says == _expected(case)


def _expected(case: Case) -> str:
    return next(c.says for c in read_cases(case.collection) if c.name == case.name)


def _regenerate(case: Case, says: str) -> None:
    cases = read_cases(case.collection)
    new = [Case(**{**vars(c), "says": says}) if c.name == case.name else c for c in cases]
    case.collection.write_bytes(_written(new).encode())


def test_there_are_enough_cases() -> None:
    assert len({(case.collection, case.name) for case in CASES}) == len(CASES) >= 40
