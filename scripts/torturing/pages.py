"""Names that are traps in every page, table and graph that commands write, and files exchanged."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torturing.part import Part
from torturing.processes import run

CLASSES = ("<script>alert(1)", "<img src=x onerror=alert(1)>", "=cmd|' C calc'!A0", "a;=1+1",
           "a|b](javascript:x)", "$\\frac{", "\u202egnp.exe",
           "%%{init}%%\"] --> n0[\"")  # fmt: skip
FILES = (b"two\nFORGED", b"\x1b[2J\x07", b"\x9b31m\xff", b"\t=1+1", b"\"'&|`.png")
RUN_FILE = """
arch: {{layers: [{{conv: {{out: 2, kernel: 3}}}}, relu, flatten, {{linear: {{out: $num_classes}}}}]}}
data:
  name: image_folder
  root: {root}
  split: {{validation: 0.4}}
  transforms: {{train: [resize: {{size: [8, 8]}}, normalize], eval: [resize: {{size: [8, 8]}}, normalize]}}
train: {{epochs: 1, optimizer: {{name: sgd, lr: 0.01}}}}
"""  # noqa: E501  # YAML
COMMANDS = (
    "fit FILE --out named", "data check FILE", "eval named --mistakes w/mistakes.csv",
    "predict named images --format csv", "predict named images --json",
    "features named --out w/features.csv", "summary named --markdown",
    "summary FILE --graph w/net.dot", "summary FILE --graph w/net.mmd",
    "compare FILE named --markdown",
    "diagnose named --check data --html w/page.html --tensorboard w/board",
)  # fmt: skip
SEEN = (rb"\x1b", rb"\xc2\x9b", rb"(?<!\xe2)\x9b(?=31m)", rb"^FORGED", "\u202e".encode())
"""What no text may have; and what no table, page, line of Markdown or label may have."""
CELLS, TAGS = (rb"(^|[,;\"])[=\t]",), (rb"<script", rb"<img src=x")
LINKS, LABELS = (rb"\]\(javascript",), (rb"[^&]%%\{", rb'"\] --> n0\["')
FORMS = {
    ".csv": SEEN + CELLS, ".html": SEEN + TAGS, ".log": SEEN, ".dot": SEEN,
    ".mmd": SEEN + TAGS + LABELS,
    "csv": SEEN + CELLS, "--markdown": SEEN + TAGS + LINKS, "board": TAGS + LINKS,
}  # fmt: skip
"""By suffix, option or folder."""


def write_names(place: Path, part: Part, prepare: Callable[[], None]) -> None:
    """Images with such names through the commands that write pages, tables and graphs."""
    from PIL import Image

    for number, name in enumerate(CLASSES):
        folder = place / "images" / name
        folder.mkdir(parents=True)
        for index, file in enumerate(FILES):
            with (folder / os.fsdecode(file + b".png")).open("wb") as opened:
                Image.effect_noise((8, 8), 30 + number + index).save(opened, "PNG")
    (place / "w").mkdir()
    file = place / "<b>names.yaml"
    file.write_text(RUN_FILE.format(root=place / "images"))
    for command in COMMANDS:
        ended = run([str(file) if w == "FILE" else w for w in command.split()], place=place,
                    prepare=prepare)  # fmt: skip
        part.check(f"names: {command}: exit code", ended.code == 0, str(ended))
        form = FORMS.get(command.rpartition(" ")[2], SEEN)
        for stream, text in (("stdout", ended.out), ("stderr", ended.err)):
            bad = _forbidden(text.encode(errors="surrogateescape"), form)
            part.check(f"names: {command}: {stream}", not bad, str(bad))
    for path in (*(place / "w").rglob("*"), *(place / "named").rglob("*")):
        form = FORMS.get(path.suffix) or FORMS.get(path.parent.name, ())
        if form and path.is_file():
            bad = _forbidden(path.read_bytes(), form)
            part.check(f"names: {path.name}", not bad, str(bad))


def _forbidden(content: bytes, form: Sequence[bytes]) -> list[bytes]:
    return [each for each in form if re.search(each, content, re.M)]


def exchange_plugin(place: Path, part: Part, *, ours: str, theirs: str, marker: Path,
                    prepare: Callable[[], None]) -> None:  # fmt: skip
    """A plugin that is another file as soon as it was read: what was looked at is what runs."""
    plugin = place / "exchanged.py"
    plugin.write_text(ours)
    text = (place / "plateau.yaml").read_text().replace("- relu", "- theirs", 1)
    assert "- theirs" in text
    file = place / "exchanged.yaml"
    file.write_text(f"plugins: [{plugin}]\n{text}")
    ended = run(["fit", file, "-q", "--out", "exchanged"], place=place, prepare=prepare)
    part.check("exchanged plugin: the run before", ended.code == 0, str(ended))
    folder = place / "exchanged"

    def exchange() -> None:
        prepare()
        for module in [m for n, m in sys.modules.items() if n.startswith("cnntrain")]:
            read = vars(module).get("read_plugin")
            if read is not None:
                vars(module)["read_plugin"] = _then_exchanged(read, theirs)

    for words in _commands(file, folder, place):
        plugin.write_text(ours)
        for copy in folder.rglob("*.py"):
            copy.write_text(ours)
        ended = run(words, place=place, prepare=exchange)
        what = f"exchanged plugin: {' '.join(map(str, words))}"
        part.check(f"{what}: nothing ran", not marker.exists(), str(ended))
        part.check(f"{what}: exit code", ended.code in (0, 2, 4), str(ended))
        part.check(f"{what}: exchanged", plugin.read_text() == theirs, "the file was not read")
        marker.unlink(missing_ok=True)


def _commands(file: Path, folder: Path, place: Path) -> Iterator[list[str | Path]]:
    yield ["eval", folder]
    yield ["predict", folder / "checkpoints" / "best.pt", place / "picture.png"]
    yield ["check", folder / "config.yaml"]
    yield ["fit", folder / "config.yaml", "-q", "--out", "again"]
    yield ["fit", "--resume", folder, "--epochs", "9", "-q"]
    yield ["fit", file, "-q", "--out", "again2"]


def _then_exchanged(read: Callable[..., Any], theirs: str) -> Callable[..., Any]:
    def reading(file: Path, **others: Any) -> Any:
        found = read(file, **others)
        file.write_text(theirs)
        return found

    return reading
