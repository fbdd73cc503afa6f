"""Damage to the files of a run: flipped bits, cut, zeroed, swapped and missing files."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torturing.controls import _stop_at
from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, call, run

PAGE = 4096
BY_COMMAND = 8
"""One in so many is tried by commands; the others by the function that reads a checkpoint."""


def flip(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data))
    data[place] ^= 1 << draw.randrange(8)


def flip_in_directory(data: bytearray, draw: random.Random) -> None:
    """A bit of the zip's directory or of one of its record's headers."""
    starts = [n for n in range(len(data) - 46) if data[n : n + 2] == b"PK"]
    place = draw.choice(starts) + draw.randrange(46) if starts else 0
    data[min(place, len(data) - 1)] ^= 1 << draw.randrange(8)


def cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)) :]


def zero_page(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(0, len(data), PAGE)
    data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))


def zero_tail(data: bytearray, draw: random.Random) -> None:
    start = draw.randrange(len(data))
    data[start:] = bytes(len(data) - start)


def insert(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data))
    data[place:place] = draw.randbytes(draw.randrange(1, 64))


def overwrite(data: bytearray, draw: random.Random) -> None:
    place = draw.randrange(len(data))
    data[place : place + 64] = draw.randbytes(len(data[place : place + 64]))


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip, flip_in_directory, cut, zero_page, zero_tail, insert, overwrite,
)  # fmt: skip


def damage(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Damage checkpoints `count` times, an eighth of them whole folders that commands then open."""
    part = Part("corruptions", "flipped bits, cut, zeroed, swapped and missing files of a run")
    file = write_job("plateau", place)
    words = ["fit", file, "-q", "--out"]
    whole = run([*words, "whole"], place=place)
    part.check("it runs undisturbed", whole.code == 0, str(whole))
    stopped = Command([*words, "cut"], place=place, prepare=lambda: _stop_at(40)).wait()
    part.check("it stops", stopped.code == 143, str(stopped))
    _attributes(part, place)
    by_function = count - count // BY_COMMAND
    kinds: Counter[str] = Counter()
    for first in range(0, by_function, 100):
        several = min(100, by_function - first)
        code, found = call(lambda n=several, s=seed + first: _loads(place, n, s))
        rows = found.split("\n") if code == 0 else [f"exit code {code}: {found[-300:]}"]
        part.checks += several
        for row in rows:
            kind, _, why = row.partition("\t")
            if kind in ("refused", "same values"):
                kinds[kind] += 1
            else:
                part.failures.append(f"{kind}: {why}")
        note(f"{first + several} of {by_function} files, {len(part.failures)} failures")
    draw = random.Random(seed)
    for number in range(count // BY_COMMAND):
        kinds[_by_commands(part, place, draw, number)] += 1
        note(f"folder {number} of {count // BY_COMMAND}, {len(part.failures)} failures")
    part.numbers |= dict(sorted(kinds.items()))
    return part


def _loads(place: Path, count: int, seed: int) -> str:
    """A line for each damaged checkpoint: refused, same values, or what went wrong."""
    from compared.contents import differences as compare

    from cnntrain.checkpoint import load
    from cnntrain.core.errors import CheckpointError

    source = place / "whole" / "checkpoints" / "last.pt"
    sound, state = source.read_bytes(), load(source)
    draw, rows = random.Random(seed), []
    spoilt = place / "spoilt.pt"
    for _ in range(count):
        data, does = bytearray(sound), draw.choice(DAMAGES)
        does(data, draw)
        spoilt.write_bytes(data)
        try:
            found: Any = load(spoilt)
        except CheckpointError:
            rows.append("refused")
        except Exception as error:  # noqa: BLE001  # every other kind is a failure
            rows.append(f"{does.__name__}\t{type(error).__name__}: {error}"[:300])
        else:
            other = [each.place for each in compare(state, found, "state")]
            rows.append(f"{does.__name__}\tsilently other {other[:3]}" if other else "same values")
    return "\n".join(rows)


def _attributes(part: Part, place: Path) -> None:
    """The directory bit of each record in turn: other readers of zips take it for a folder."""
    source = place / "whole" / "checkpoints" / "last.pt"
    data, spoilt = source.read_bytes(), place / "spoilt.pt"
    with zipfile.ZipFile(source) as archive:
        names = [record.filename for record in archive.infolist()]
    start = 0
    for name in names:
        start = data.index(b"PK\x01\x02", start)
        changed = bytearray(data)
        changed[start + 38] ^= 0x10
        spoilt.write_bytes(changed)
        code, found = call(lambda: _same(source, spoilt))
        part.check(f"directory bit of {name}", code == 0 and found != "other", found[-200:])
        start += 46


def _same(source: Path, spoilt: Path) -> str:
    from compared.contents import differences as compare

    from cnntrain.checkpoint import load
    from cnntrain.core.errors import CheckpointError

    try:
        found = load(spoilt)
    except CheckpointError:
        return "refused"
    return "other" if list(compare(load(source), found, "")) else "same"


def _by_commands(part: Part, place: Path, draw: random.Random, number: int) -> str:
    """Damage one file of a stopped run; `eval` and `--resume` must say so or not be affected."""
    folder = place / "spoilt"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "cut", folder, symlinks=True)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = draw.choice(files + 2 * sorted((folder / "checkpoints").iterdir()))
    what = draw.choice((*DAMAGES, "gone", "a folder", "swapped"))
    data = bytearray(chosen.read_bytes())
    if what == "gone":
        chosen.unlink()
    elif what == "a folder":
        chosen.unlink()
        chosen.mkdir()
    elif what == "swapped":
        other = draw.choice(files)
        chosen.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif data:
        what(data, draw)  # type: ignore[operator]
        chosen.write_bytes(data)
    name = f"{number}: {chosen.relative_to(folder)}: {getattr(what, '__name__', what)}"
    evaluated = run(["eval", folder], place=place)
    ends = evaluated.code in (0, 2, 3, 4) and not evaluated.traceback
    part.check(f"{name}: eval", ends, str(evaluated))
    resumed = run(["fit", "--resume", folder], place=place)
    ends = resumed.code in (0, 2, 3, 4) and not resumed.traceback
    part.check(f"{name}: fit --resume", ends, str(resumed))
    if resumed.code == 0:
        found = [each for each in differences(folder, place / "whole") if "was added" not in each]
        # what only people read cannot be made again, and what is read back is checked
        lost = [each for each in found if each.startswith("checkpoints/last.pt")]
        part.check(f"{name}: the same network", not lost, "; ".join(lost[:3]))
        return "resumed as if nothing was" if not found else "resumed, other files differ"
    return "refused by --resume"
