"""Run files and architectures with mistakes: a message with a line each, in no time."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import random
import re
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer.main
import yaml

from torturing.jobs import Note, draw_pictures
from torturing.mistakes import CHANGES, SHORTEST, Word, as_bytes, misspelt, put, words
from torturing.part import Part
from torturing.processes import call
from torturing.wholes import Whole, wholes

SECONDS = 5.0
"""CPU time of a check, at most."""
TRAINING = 120
"""Seconds of CPU time that a training may take."""
MEGABYTES = 300
"""By how much a batch of checks may grow the process."""
BATCH = 500
TRAINED = 20
"""Each of that many files is also given to `fit`."""
FINE = (
    "good",
    "refused",
    "key: right",
    "key: other",
    "value: right",
    "value: other",
    "value: good",
)
OWN_NAMES = (("paths",), ("rename",), ("unfreeze",))
"""Mappings whose keys the user chooses, as the end of a path."""
OWN_VALUES = (
    *("as", "root", "file", "run", "torchvision", "train_folder", "validation_folder"),
    *("test_folder", "arch", "plugins", "classes", "names"),
)
"""Keys whose values the user chooses, or that name files."""
PLACES = {
    "image_folder": "root=pictures train_folder=null validation_folder=null test_folder=null",
    "file_names": "root=named pattern=CLASS_*",
    "csv": "file=pictures.csv root=null delimiter=null encoding=null suffix=''"
    " path_column=null label_column=null split_column=null group_column=null",
}
"""Keys of a data set that are about files, and values for images that are there: a file that is
refused for its images alone (3: no mistake of the file's) is checked again with these."""
PLACE = re.compile(r"(?:error: )?(.*?(?:\.yaml|command line)):(\d+):(\d+): ")
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys."""


def mutate(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Change sound files in one to three places, `count` times; some have a typo instead.

    Two in ten have one letter of a key wrong, one in ten one letter of a name that is chosen. Each
    must be good (0) or have messages that begin with the file, a line and a column (2); no other
    exit code is taken. Some are also trained, which may end as trainings do.
    """
    part = Part("run_files", "run files and architectures with mistakes in them")
    kinds: Counter[str] = Counter()
    slowest = 0.0
    files = wholes(place)
    _draw_images(place)
    known = {word.text for whole in files for word in words(whole.text)}
    for first in range(0, count, BATCH):
        several = range(first, min(first + BATCH, count))
        draw = random.Random(f"{seed}/{first}")
        code, found = call(lambda n=several, d=draw: _batch(place, n, d, files, known), limit=3600)
        batch = json.loads(found) if code == 0 else {"failures": [f"exit code {code} {found}"]}
        part.checks += len(several)
        part.failures += batch["failures"]
        kinds.update(batch.get("kinds", {}))
        slowest = max(slowest, batch.get("slowest", 0.0))
        note(f"{several.stop} of {count} files, {len(part.failures)} failures")
    for what in ("key", "value"):
        typos = sum(number for kind, number in kinds.items() if kind.startswith(what))
        right = kinds[f"{what}: right"] / max(typos, 1)
        part.numbers[f"right suggestions for {what}s"] = round(right, 4)
        if what == "key":
            part.check("95 % of typos are understood", right >= 0.95, f"{right:.3f} of {typos}")
    part.numbers |= {**dict(sorted(kinds.items())), "slowest check (CPU s)": round(slowest, 2)}
    return part


def _batch(
    place: Path,
    numbers: Sequence[int],
    draw: random.Random,
    files: Sequence[Whole],
    known: set[str],
) -> str:
    """How many files were good, refused, ..., and what went wrong; all of it goes to a file."""
    os.environ |= {"XDG_CONFIG_HOME": str(place), "HOME": str(place)}
    os.chdir(place)
    typer.main.get_command = functools.cache(typer.main.get_command)  # half of the time otherwise
    rows = [_checked(number, draw, draw.choice(files), known) for number in numbers]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - _resident()) // 1024
    if grown > MEGABYTES:
        rows.append(("memory", f"{grown} MB more than at the end, files {numbers}", 0.0))
    with (place / "other.txt").open("a") as file:
        file.writelines(
            f"{kind}, {why}\n" for kind, why, _ in rows if kind not in ("good", "refused")
        )
    found = {
        "kinds": Counter(kind for kind, _, _ in rows),
        "slowest": max(seconds for _, _, seconds in rows),
        "failures": [f"{kind}: {why}" for kind, why, _ in rows if kind not in FINE][:40],
    }
    return json.dumps(found)


def _resident() -> int:
    """Kilobytes in memory now."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0


def _checked(
    number: int, draw: random.Random, whole: Whole, known: set[str]
) -> tuple[str, str, float]:
    text, data, typo, what = whole.text, b"", None, ""
    if number % 10 in (0, 5):
        what, typo = "key", _typo(text, draw, known, keys=True)
    elif number % 10 == 3:
        what, typo = "value", _typo(text, draw, known, keys=False)
    if typo is not None:
        text = put(text, *typo)
        data = text.encode()
    else:
        for _ in range(draw.randrange(1, 4)):
            text = draw.choice(CHANGES)(text, draw) or "x"
        data = as_bytes(text, draw)
    command = _write(whole, data, by_run_file=draw.random() < 0.5)
    began = time.process_time()
    code, message = _run(command)
    if code == 3 and PLACE.match(message):  # nothing else is wrong: see PLACES
        code, message = _run([*command, *_with_images(data)])
    seconds = time.process_time() - began
    kind = _kind(code, message, data, seconds)
    if number % TRAINED == 1 and command[0] == "check" and kind in ("good", "refused"):
        kind, message = _trained(command, kind, message)
    if typo is not None and kind == "refused":
        word, wrong = typo
        kind = f"{what}: {'right' if _suggests(message, word.text, wrong) else 'other'}"
    elif typo is not None and kind == "good":
        kind = "key accepted" if what == "key" else "value: good"
    detail = f"{typo[1]} for {typo[0].text} at {typo[0].path}" if typo else ""
    return kind, f"{whole.name}, {' '.join(command)}, {detail}: {message!r}"[:600], seconds


def _typo(
    text: str, draw: random.Random, known: set[str], *, keys: bool
) -> tuple[Word, str] | None:
    """A word with one letter wrong, and the wrong word."""
    found = [word for word in words(text) if word.is_key == keys and _is_chosen(word)]
    for _ in range(20 if found else 0):
        word = draw.choice(found)
        wrong = misspelt(word.text, draw)
        if wrong not in known:
            return word, wrong
    return None


def _is_chosen(word: Word) -> bool:
    """Whether only certain words can be there."""
    if not re.fullmatch(r"[a-z_][a-z_0-9]+", word.text) or len(word.text) < SHORTEST:
        return False
    if word.text in ("true", "false", "null"):
        return False
    if word.is_key:
        return word.path[-2:-1] not in OWN_NAMES
    names = [key for key in word.path if key != "[]"]
    return word.path != ("name",) and not (names and names[-1] in OWN_VALUES)


def _suggests(message: str, word: str, wrong: str) -> bool:
    """Whether it names both: where a definition has the typo, its uses look wrong."""
    pair = r"'\$?%s'[^\n]*did you mean '\$?%s'|: %s\)[^\n]*did you mean '%s'"
    both = [(word, wrong), (wrong, word)]
    return any(re.search(pair % (one, other, one, other), message) for one, other in both)


def _write(whole: Whole, data: bytes, *, by_run_file: bool) -> list[str]:
    """The file, and the command that checks it; an architecture alone or through a run file."""
    Path("mutant.yaml").write_bytes(data)
    if not whole.architecture:
        return ["check", "mutant.yaml"]
    if not by_run_file:
        return ["summary", "mutant.yaml"]
    made_for = yaml.safe_load(whole.text).get("made_for", {})
    images = {"classes": 1000, "channels": 3, "size": 224} | made_for
    train = {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}
    tree = {"arch": "mutant.yaml", "data": {"name": "synthetic"} | images, "train": train}
    Path("through.yaml").write_text(yaml.safe_dump(tree))
    return ["check", "through.yaml"]


def _run(command: Sequence[str]) -> tuple[Any, str]:
    """Exit code, or the name of an exception that came out; what it said on stderr."""
    from cnntrain.cli.app import main

    sys.argv = ["cnntrain", *command]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as end:
        return end.code or 0, said.getvalue()
    except BaseException as error:  # noqa: BLE001  # none may come out
        return type(error).__name__, str(error)[:200]
    return 0, said.getvalue()


def _kind(code: Any, message: str, data: bytes, seconds: float) -> str:
    if seconds > SECONDS:
        return f"slow ({seconds:.1f} s)"
    if UNSEEN.search(message):
        return "control characters"
    if code == 0:
        return "good"
    if code != 2:
        return f"exit code {code}"
    lines = data.decode("utf-8", errors="replace").removeprefix("\ufeff").splitlines() or [""]
    for each in message.splitlines():
        place = PLACE.match(each)
        if each.startswith("    "):
            continue
        if place is None:
            return "no line"
        if place[1] == "mutant.yaml" and not _is_there(lines, int(place[2]), int(place[3])):
            return "no such place"
    return "refused"


def _draw_images(place: Path) -> None:
    """What `PLACES` names."""
    draw_pictures(place / "pictures", each=2, classes=2)
    (place / "named").mkdir()
    rows = ["path,label"]
    for number, file in enumerate(sorted((place / "pictures" / "train").rglob("*.png"))):
        shutil.copy(file, place / "named" / f"{file.parent.name}_{number}.png")
        rows.append(f"{file.relative_to(place)},{file.parent.name}")
    (place / "pictures.csv").write_text("\n".join(rows))


def _with_images(data: bytes) -> list[str]:
    """Options that give the images of `PLACES` to a run file."""
    keys = [*PLACES[yaml.safe_load(data)["data"]["name"]].split(), "classes=null"]
    return [word for key in keys for word in ("-s", f"data.{key}")]


def _is_there(lines: Sequence[str], line: int, column: int) -> bool:
    if line == len(lines) + 1:
        return column == 1
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1


def _trained(command: Sequence[str], kind: str, message: str) -> tuple[str, str]:
    """What `fit` makes of it: the same messages, or a training, or no images."""
    if kind == "refused":
        code, said = _run(["fit", *command[1:], "-q"])
        # beside other mistakes `check` also reports images that are not there; `fit` does not look
        parts = [part.strip() for part in re.split(r"(?m)^(?=\S+:\d+:\d+: )", said)]
        is_same = code == 2 and any(parts) and all(part in message for part in parts)
        return (kind, message) if is_same else ("fit differs", said)
    if command[1] != "mutant.yaml":  # an architecture: training all of them takes too long
        return kind, message
    words = ["fit", *command[1:], "-q", "-s", "train.epochs=1"]
    code, said = call(lambda: _limited(words), limit=3600)  # the processor's time is what counts
    fine = code == 0 and said.partition(" ")[0] in ("0", "2", "3", "4", "5", "6")
    return (kind, message) if fine else ("fit", f"{code} {said}")


def _limited(command: Sequence[str]) -> str:
    """In a process that has little memory and time."""
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    used = int(time.process_time())  # by what was forked
    resource.setrlimit(resource.RLIMIT_CPU, (used + TRAINING, used + TRAINING))
    code, said = _run(command)
    return f"{code} {said}"
