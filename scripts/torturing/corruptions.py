"""Damage to the files of a run: flipped bits, cut, zeroed, swapped and missing files."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from torturing.controls import _stop_at
from torturing.damages import DAMAGES, Damage, sweep
from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, call, run

BY_COMMAND = 8
"""One in so many is tried by commands; the others by the function that reads a checkpoint."""
WHOLE = ("gone", "empty", "a folder", "swapped with the next", "another run's")
"""What else happens to files, besides the damages inside."""
FOR_PEOPLE = ("metrics.jsonl", "metrics.csv")
"""Nothing repeats a figure in them: a changed digit in a line that is whole cannot be seen."""
NEVER = ("last.pt", "config.yaml", "classes.txt", "plan.json")
"""They are the same after a resume, or it is a failure."""


def damage(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Damage checkpoints `count` times, an eighth of them whole folders that commands then open."""
    part = Part("corruptions", "flipped bits, cut, zeroed, swapped and missing files of a run")
    _train(place, part)
    _attributes(part, place)
    by_function = count - count // BY_COMMAND
    kinds: Counter[str] = Counter()
    for first in range(0, by_function, 100):
        last = min(first + 100, by_function)
        code, found = call(lambda a=first, b=last: _loads(place, range(a, b), by_function, seed))
        rows = found.split("\n") if code == 0 else [f"exit code {code}: {found[-300:]}"]
        part.checks += last - first
        for row in rows:
            kind, _, why = row.partition("\t")
            if kind in ("refused", "same values"):
                kinds[kind] += 1
            else:
                part.failures.append(f"{kind}: {why}")
        note(f"{last} of {by_function} files, {len(part.failures)} failures")
    draw = random.Random(seed)
    total = count // BY_COMMAND
    for number, (name, way, share) in enumerate(_ways(place / "cut", draw, total=total)):
        kinds[_by_commands(part, place, name, way, share, draw)] += 1
        note(f"folder {number} of {total}, {len(part.failures)} failures")
    part.numbers |= dict(sorted(kinds.items()))
    return part


def _train(place: Path, part: Part) -> None:
    """`whole`, which ran undisturbed; `cut`, which was stopped; `other`, another one that was."""
    file = write_job("plateau", place)
    whole = run(["fit", file, "-q", "--out", "whole"], place=place)
    part.check("it runs undisturbed", whole.code == 0, str(whole))
    for name, changes in (("cut", ()), ("other", ("-s", "train.optimizer.lr=0.02"))):
        words = ["fit", file, "-q", "--out", name, *changes]
        stopped = Command(words, place=place, prepare=lambda: _stop_at(40)).wait()
        part.check(f"{name} stops", stopped.code == 143, str(stopped))
    _copy(place / "cut", place / "spoilt")
    evaluated = run(["eval", "spoilt", "--json"], place=place)
    (place / "evaluated").write_text(evaluated.out)
    resumed = run(["fit", "--resume", "spoilt"], place=place)
    said = [line for line in resumed.err.splitlines() if line.startswith("resumed after ")]
    part.check("it resumes", resumed.code == 0 and len(said) == 1, str(resumed))
    (place / "resumed").write_text("".join(said))


def _loads(place: Path, numbers: range, total: int, seed: int) -> str:
    """A line for each damaged checkpoint: refused, same values, or what went wrong."""
    from compared.contents import differences as compare

    from cnntrain.checkpoint import load
    from cnntrain.core.errors import CheckpointError

    source = place / "whole" / "checkpoints" / "last.pt"
    sound, state = source.read_bytes(), load(source)
    draw, rows = random.Random(seed), []
    spoilt = place / "spoilt.pt"
    for number, (region, does, at) in enumerate(sweep(sound, draw, total=total)):
        data, name = bytearray(sound), f"{does.__name__} in {region} at {at}"
        does(data, at, draw)
        if number not in numbers:
            continue
        spoilt.write_bytes(data)
        try:
            found: Any = load(spoilt)
        except CheckpointError:
            rows.append("refused")
        except Exception as error:  # noqa: BLE001  # every other kind is a failure
            rows.append(f"{name}\t{type(error).__name__}: {error}"[:300])
        else:
            other = [each.place for each in compare(state, found, "state")]
            rows.append(f"{name}\tsilently other {other[:3]}" if other else "same values")
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


def _ways(
    folder: Path, draw: random.Random, *, total: int
) -> Iterator[tuple[str, Damage | str, float]]:
    """A file, what happens to it, and how far inside: all pairs in turn, in an order of its own."""
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    pairs: list[tuple[str, Damage | str]] = list(product(names, (*DAMAGES, *WHOLE)))
    draw.shuffle(pairs)
    rounds = -(-total // len(pairs))
    for number in range(total):
        turn, pair = divmod(number, len(pairs))
        yield *pairs[pair], (turn + draw.random()) / rounds


def _spoil(folder: Path, name: str, way: Damage | str, share: float, draw: random.Random) -> None:
    chosen = folder / name
    data = bytearray(chosen.read_bytes())
    if callable(way):
        if data:
            way(data, int(share * len(data)), draw)
            chosen.write_bytes(data)
    elif way == "swapped with the next":
        beside = sorted(path for path in folder.rglob("*") if path.is_file())
        other = beside[(beside.index(chosen) + 1) % len(beside)]
        chosen.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif way == "another run's":
        other = folder.parent / "other" / name
        chosen.write_bytes(next(other.parent.glob(f"{other.name[:20]}*")).read_bytes())
    else:
        chosen.unlink()
        {"gone": lambda: None, "empty": chosen.touch, "a folder": chosen.mkdir}[way]()


def _by_commands(
    part: Part, place: Path, name: str, way: Damage | str, share: float, draw: random.Random
) -> str:
    """Damage one file of a stopped run; `eval` and `--resume` must say so or not be affected."""
    folder = place / "spoilt"
    _copy(place / "cut", folder)
    _spoil(folder, name, way, share, draw)
    what = f"{name}: {getattr(way, '__name__', way)} at {share:.3f}"
    evaluated = run(["eval", "spoilt", "--json"], place=place)
    resumed = run(["fit", "--resume", "spoilt"], place=place)
    for ended in (evaluated, resumed):
        ends = ended.code in (0, 4) and not ended.traceback
        part.check(f"{what}: {ended.words[0]} ends well", ends, str(ended))
    if evaluated.code == 0:
        is_same = evaluated.out == (place / "evaluated").read_text() or "note: " in evaluated.err
        part.check(f"{what}: the best weights, or a note", is_same, str(evaluated))
    if resumed.code != 0:
        return "refused by --resume"
    place_of = [line for line in resumed.err.splitlines() if line.startswith("resumed after ")]
    is_newest = place_of == [(place / "resumed").read_text()]
    whys = ("resuming from spoilt/checkpoints/previous.pt", "checkpoints/best.pt is of the middle")
    reason = is_newest or any(why in resumed.err for why in whys)
    part.check(f"{what}: the newest sound checkpoint, or why not", reason, str(resumed))
    found = [each for each in differences(folder, place / "whole") if "was added" not in each]
    unsaid = [each for each in found if not _is_said(each, resumed.err)]
    lost = [each for each in unsaid if not each.startswith(FOR_PEOPLE)]
    part.check(f"{what}: the same run", not lost, "; ".join(lost[:3]))
    if not found:
        return "resumed, all files the same"
    return (
        "resumed, a figure for people differs unsaid" if unsaid else "resumed, what is lost is said"
    )


def _is_said(difference: str, err: str) -> bool:
    """Whether the command has named the file that differs, or the lost one on which it depends."""
    names = {
        "tb": ("events.out", "lacks the points"),
        "summary.json": ("best.pt",),
        "metrics.jsonl": ("metrics.jsonl", "best.pt"),
    }
    name = (
        difference.removeprefix("checkpoints/")
        .partition("/")[0]
        .partition(" ")[0]
        .partition(":")[0]
    )
    return name not in NEVER and any(word in err for word in names.get(name, (name,)))


def _copy(source: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, symlinks=True)
