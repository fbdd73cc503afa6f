"""torch's zip files, looked at before torch reads them: one meaning to every reader of zips.

torch writes a CRC-32 of every record but does not look at it when it loads; we do, with Python's
reader. So the two must see the same records: a record that torch's takes for a folder is memory
that nobody wrote. Of all that a zip file may have, what torch (1.6 to 2.14) writes is let through.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

REMEDY = "use another copy of it, or another checkpoint of the run, such as previous.pt"
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_END = struct.Struct("<4s4H2LH")
"""The last bytes: mark, this disk, disk of the directory, its records here and in all, its size,
its place, length of a comment."""
_LOCATOR = struct.Struct("<4sLQL")
"""Before them, where the file may be large: mark, disk and place of the large end, disks."""
_LARGE_END = struct.Struct("<4sQ2H2L4Q")
"""Mark, size, two versions, then as in the end."""
_HEAD = 30
"""Bytes of a record before its name."""
_FLAGS = 0x0808
"""Names are UTF-8; sizes stand behind the record, too."""


@dataclass(frozen=True)
class Damage:
    """Why a file cannot be used: `cause` continues a sentence that begins with its name."""

    cause: str
    remedy: str = REMEDY


def damage(path: Path) -> Damage | None:
    """What is wrong with a checkpoint file, from its bytes alone; None if it is intact."""
    try:
        if not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            return Damage(what, "name a checkpoint file, or the folder of a run")
        with path.open("rb") as file:
            head = file.read(4)
        if not head:
            return Damage("is empty")
        if head[:1] == b"\x80":
            return Damage(
                "is a pickle or a torch file of before 2020, which can run code when it is read",
                "have its author save a state_dict with torch >= 1.6",
            )
        if head != b"PK\x03\x04":
            return Damage("is not a checkpoint: it does not begin like a zip file")
        with zipfile.ZipFile(path) as archive:
            return _archive_damage(archive, path)
    except _ZIP_ERRORS as error:
        return Damage(f"is damaged or cut short ({error})")
    except OSError as error:
        remedy = "make it readable for you, or name a copy"
        return Damage(f"cannot be read: {error.strerror or error}", remedy)


def _archive_damage(archive: zipfile.ZipFile, path: Path) -> Damage | None:
    records = archive.infolist()
    names = {record.filename.split("/")[-1] for record in records}
    if "data.pkl" not in names:
        return Damage("is a zip archive, but not one of torch's")
    if "constants.pkl" in names:
        return Damage("is a TorchScript program, not a checkpoint", "save its state_dict instead")
    if not _ends_plainly(path, start=archive.start_dir, records=len(records)):
        return Damage("is damaged: its directory is not where torch writes it")
    if _overlap(records, end=archive.start_dir):
        return Damage("is damaged: its records do not have the sizes they state")
    for record in records:
        if record.external_attr & 0xFFFF or stat.S_ISDIR(record.external_attr >> 16):
            return _odd(record, "attributes")
        if record.flag_bits & ~_FLAGS or record.volume:
            return _odd(record, "flags")
        if record.extra and record.extra[:2] != b"\1\0":  # sizes of more than 4 GB
            return _odd(record, "extra fields")
    if (odd := _odd_name(records)) is not None:
        return _odd(odd, "name")
    broken = archive.testzip()
    return Damage(f"is damaged: the checksum of record '{broken}' is wrong") if broken else None


def _odd(record: zipfile.ZipInfo, what: str) -> Damage:
    verb = "are" if what.endswith("s") else "is"
    name = repr(record.filename)
    return Damage(f"is damaged: the {what} of record {name} {verb} not as torch writes it")


def _ends_plainly(path: Path, *, start: int, records: int) -> bool:
    """Whether the file ends with one directory, at `start`, and what says so, without a gap."""
    with path.open("rb") as file:
        file.seek(start)
        tail = file.read()
    mark, *disks, here, total, size, place, comment = _END.unpack(tail[-_END.size :])
    if mark != b"PK\5\6" or any(disks) or comment:
        return False
    stated = [(here, 0xFFFF), (total, 0xFFFF), (size, 0xFFFFFFFF), (place, 0xFFFFFFFF)]
    true = [records, records, len(tail) - _END.size, start]
    locator = tail[-_END.size - _LOCATOR.size : -_END.size]
    is_large = locator[:4] == b"PK\6\7"
    if is_large:
        true[2] -= _LOCATOR.size + _LARGE_END.size
        mark, _, _, _, *rest = _LARGE_END.unpack_from(tail, true[2])
        where = _LOCATOR.unpack(locator)[1:]
        if mark != b"PK\6\6" or rest != [0, 0, *true] or where != (0, start + true[2], 1):
            return False
    pairs = zip(stated, true, strict=True)
    return all(value == known or (is_large and value == most) for (value, most), known in pairs)


def _overlap(records: list[zipfile.ZipInfo], *, end: int) -> bool:
    """Whether a record is compressed, or has bytes of another one or of the directory."""
    ordered = sorted(records, key=lambda record: record.header_offset)
    ends = [each.header_offset + _HEAD + len(each.filename) + each.file_size for each in ordered]
    starts = [*(each.header_offset for each in ordered[1:]), end]
    whole = all(
        record.compress_type == zipfile.ZIP_STORED and record.compress_size == record.file_size
        for record in records
    )
    return not whole or any(after < done for done, after in zip(ends, starts, strict=True))


def _odd_name(records: list[zipfile.ZipInfo]) -> zipfile.ZipInfo | None:
    """The first record whose name leads elsewhere, or is another's to a reader without case."""
    top = records[0].filename.split("/")[0]
    seen: set[str] = set()
    for record in records:
        name = record.filename
        parts = name.split("/")
        leads = parts[0] != top or len(parts) < 2 or {"", ".", ".."} & set(parts)
        if leads or "\\" in name or name != record.orig_filename or name.lower() in seen:
            return record
        seen.add(name.lower())
    return None
