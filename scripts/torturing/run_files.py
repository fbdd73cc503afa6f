"""Run files and architectures with mistakes: a message with a line each, in no time."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from torturing.jobs import Note
from torturing.part import Part
from torturing.processes import call

KEY = re.compile(r"(?m)(?<![\w$'\"])([a-z_]{3,})(?=: )")
WORDS = (
    *("null", "-1", "0", "1e308", "[]", "{}", "yes", "'x'", "1.5", "~", "[1, 2]", "{a: 1}", "010"),
    *("!!python/object:os.system x", "&a *a", "999999999999", "$width", "''", "2024-01-01"),
)
SECONDS = 5.0
BATCH = 50


def _value(text: str, draw: random.Random) -> str:
    places = list(re.finditer(r"(?m)(?<=: )[^\s{\[#][^,}\]#\n]*", text))
    if not places:
        return text
    place = draw.choice(places)
    return text[: place.start()] + draw.choice(WORDS) + text[place.end() :]


def _line(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one] = draw.choice((" ", "  ", "\t", "- ")) + lines[one]
    return "".join(lines)


def _character(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    new = draw.choice(("", chr(draw.randrange(32, 127)), draw.choice(":{}[],#&*!|>'\"%@`-? \n")))
    return text[:place] + new + text[place + draw.randrange(2) :]


def _cut(text: str, draw: random.Random) -> str:
    return text[: draw.randrange(len(text))]


def _rename(text: str, draw: random.Random) -> str:
    places = list(KEY.finditer(text))
    if not places:
        return text
    place, other = draw.choice(places), draw.choice(places)
    return text[: place.start()] + other[0] + text[place.end() :]


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    _value, _value, _line, _character, _cut, _rename,
)  # fmt: skip


def mutate(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Change shipped files in one to three places, `count` times; each tenth has a typo in a key.

    Each must be good or have a message that begins with the file, a line and a column.
    """
    part = Part("run_files", "run files and architectures with mistakes in them")
    kinds: Counter[str] = Counter()
    for first in range(0, count, BATCH):
        several = min(BATCH, count - first)
        code, found = call(lambda n=several, s=seed + first: _checked(place, n, s), limit=600)
        part.checks += several
        rows = found.split("\n") if code == 0 else [f"exit code {code}\t{found[-300:]}"]
        for row in rows:
            kind, _, why = row.partition("\t")
            kinds[kind] += 1
            if kind not in ("good", "refused", "typo: right", "typo: other"):
                part.failures.append(f"{kind}: {why}")
        note(f"{first + several} of {count} files, {len(part.failures)} failures")
    typos = sum(number for kind, number in kinds.items() if kind.startswith("typo"))
    right = kinds["typo: right"] / max(typos, 1)
    part.check("95 % of typos have the right suggestion", right >= 0.95, f"{right:.3f} of {typos}")
    part.numbers |= {**dict(sorted(kinds.items())), "right suggestions": round(right, 4)}
    return part


def _checked(place: Path, count: int, seed: int) -> str:
    """A line for each file: good, refused, or what went wrong."""
    from cnntrain.config import shipped

    draw = random.Random(seed)
    files = sorted(shipped.folder().rglob("*.yaml"))
    small = [file for file in files if file.stat().st_size < 3000]
    rows = []
    for number in range(count):
        file = draw.choice(small)
        text = file.read_text("utf-8")
        if number % 10 == 0:
            rows.append(_typo(place, text, draw, command=_command(file)))
            continue
        for _ in range(draw.randrange(1, 4)):
            text = draw.choice(CHANGES)(text, draw) or "x"
        kind, message = _check(place, text, command=_command(file))
        rows.append(f"{kind}\t{file.name}, {message!r}"[:400])
    return "\n".join(rows)


def _typo(place: Path, text: str, draw: random.Random, *, command: str) -> str:
    """One letter of a key left out, doubled, exchanged or replaced."""
    body = re.sub(r"(?m)#.*$", lambda found: " " * len(found[0]), text)
    keys = [found for found in KEY.finditer(body) if found[0] not in ("vars", "params")]
    if not keys:
        return "good"
    found = draw.choice(keys)
    key, at = found[0], draw.randrange(len(found[0]))
    letters = "abcdefghijklmnopqrstuvwxyz"
    wrong = draw.choice((key[:at] + key[at + 1 :], key[:at] + key[at] + key[at:],
                         key[:at] + draw.choice(letters) + key[at + 1 :],
                         key[:at] + key[at : at + 2][::-1] + key[at + 2 :]))  # fmt: skip
    if wrong == key:
        return "good"
    kind, message = _check(
        place, text[: found.start()] + wrong + text[found.end() :], command=command
    )
    if kind == "refused":
        kind = "typo: right" if _suggests(message, key, wrong) else "typo: other"
    elif kind == "good":
        kind = "typo accepted"
    return f"{kind}\t{wrong} for {key}: {message!r}"[:400]


def _suggests(message: str, key: str, wrong: str) -> bool:
    """Whether it names both words: where a definition has the typo, its uses look wrong."""
    pair = r"'\$?(\w+)'[^\n]*did you mean '\$?(\w+)'"
    return any({*found.groups()} == {key, wrong} for found in re.finditer(pair, message))


def _command(file: Path) -> str:
    """What checks it: `check` a run file, `summary` an architecture."""
    return "check" if file.parent.name == "configs" else "summary"


def _check(place: Path, text: str, *, command: str) -> tuple[str, str]:
    """Which end a command comes to, and its message."""
    import contextlib
    import io
    import sys

    from cnntrain.cli.app import main

    file = place / "mutant.yaml"
    file.write_text(text, "utf-8")
    sys.argv = ["cnntrain", command, str(file)]
    said, began = io.StringIO(), time.process_time()
    code: object = 0
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException as error:  # noqa: BLE001  # none may come out
        return f"{type(error).__name__}", str(error)[:200]
    message = said.getvalue()
    if time.process_time() - began > SECONDS:
        return "slow", f"{time.process_time() - began:.1f} s"
    if code == 0:
        return "good", ""
    if code != 2:
        return f"exit code {code}", message[:300]
    return ("refused" if re.search(r"\.yaml:\d+:\d+: ", message) else "no line"), message
