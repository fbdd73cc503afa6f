"""Ways to damage a file, and the regions of a checkpoint."""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from itertools import product

PAGE = 4096


def flip(data: bytearray, place: int, draw: random.Random) -> None:
    data[place] ^= 1 << draw.randrange(8)


def cut(data: bytearray, place: int, draw: random.Random) -> None:
    del draw, data[place:]


def zero_page(data: bytearray, place: int, draw: random.Random) -> None:
    del draw
    start = place - place % PAGE
    data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))


def zero_some(data: bytearray, place: int, draw: random.Random) -> None:
    end = place + draw.randrange(1, 17)
    data[place:end] = bytes(len(data[place:end]))


def zero_tail(data: bytearray, place: int, draw: random.Random) -> None:
    del draw
    data[place:] = bytes(len(data) - place)


def insert(data: bytearray, place: int, draw: random.Random) -> None:
    data[place:place] = draw.randbytes(draw.randrange(1, 64))


def leave_out(data: bytearray, place: int, draw: random.Random) -> None:
    del data[place : place + draw.randrange(1, 64)]


def overwrite(data: bytearray, place: int, draw: random.Random) -> None:
    data[place : place + 64] = draw.randbytes(len(data[place : place + 64]))


Damage = Callable[[bytearray, int, random.Random], None]
DAMAGES: tuple[Damage, ...] = (
    flip, cut, zero_page, zero_some, zero_tail, insert, leave_out, overwrite,
)  # fmt: skip


def regions(data: bytes) -> Mapping[str, list[range]]:
    """The bytes of a checkpoint by what they are."""
    found: dict[str, list[range]] = {}
    with zipfile.ZipFile(BytesIO(data)) as archive:
        records, directory = archive.infolist(), archive.start_dir
    for record in records:
        head = record.header_offset
        body = head + 30 + sum(int.from_bytes(data[head + at : head + at + 2], "little")
                               for at in (26, 28))  # fmt: skip
        end = body + record.file_size
        folder, _, name = record.filename.partition("/")
        assert folder
        kind = {"data.pkl": "pickle"}.get(name, "tensors" if name[:5] == "data/" else "small")
        found.setdefault("local headers", []).append(range(head, body))
        found.setdefault(kind, []).append(range(body, end))
        if kind == "pickle":
            digests = re.finditer(rb"[0-9a-f]{64}", data[body:end])
            found["digest"] = [range(body + each.start(), body + each.end()) for each in digests]
    found["directory"] = [range(directory, len(data) - 22)]
    found["end"] = [range(len(data) - 22, len(data))]
    return found


def sweep(data: bytes, draw: random.Random, *, total: int) -> Iterator[tuple[str, Damage, int]]:
    """Region, damage and place, `total` times: all pairs in turn, places spread over the region."""
    parts = regions(data)
    pairs = list(product(parts, DAMAGES))
    each = -(-total // len(pairs))
    for number in range(total):
        turn, pair = divmod(number, len(pairs))
        name, does = pairs[pair]
        size = sum(map(len, parts[name]))
        at = min(size - 1, int(size * (turn + draw.random()) / each))
        yield name, does, _place(parts[name], at)


def _place(ranges: list[range], at: int) -> int:
    for each in ranges:
        if at < len(each):
            return each[at]
        at -= len(each)
    raise AssertionError("behind the region")
