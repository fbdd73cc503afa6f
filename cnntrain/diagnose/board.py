"""The diagnosis in TensorBoard: its words, numbers and pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cnntrain.core.atomic import disk_errors, write_output
from cnntrain.core.escapes import escaped, in_markdown
from cnntrain.diagnose.diagnose import Diagnosis
from cnntrain.record.event_file import whole_event_file
from cnntrain.show.tables import markdown

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary


def write_board(diagnosis: Diagnosis, folder: Path, *, subject: str) -> None:
    """Write an event file: the text `diagnosis`, and `diagnosis/CHECK/...` for each check.

    The folder is made where it is not there; `subject` is what was examined.

    Raises:
        DiskError: it cannot be written.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    name, content = whole_event_file(_summaries(diagnosis, subject))
    write_output(folder / name, content)


def _summaries(diagnosis: Diagnosis, subject: str) -> Iterator[Summary]:
    from torch.utils.tensorboard.summary import image, scalar, text  # a second, and only here

    yield text("diagnosis", _words(diagnosis, subject))  # type: ignore[no-untyped-call] # torch's
    for report in diagnosis.reports:
        prefix = f"diagnosis/{report.check}"
        for name, value in report.numbers.items():
            if isinstance(value, int | float):
                yield scalar(f"{prefix}/{name}", value)  # type: ignore[no-untyped-call] # torch's
        for picture in report.pictures:
            pixels = np.asarray(Image.open(io.BytesIO(picture.png())).convert("RGB"))
            tag = f"{prefix}/{escaped(picture.title)}"
            yield image(tag, pixels, dataformats="HWC")  # type: ignore[no-untyped-call] # torch's


def _words(diagnosis: Diagnosis, subject: str) -> str:
    """Markdown."""
    said = in_markdown
    lines = [f"# {said(subject)}: {diagnosis.verdict}", ""]
    for number, found in enumerate(diagnosis.findings, start=1):
        also = ((said(each.headline), said(each.fault)) for each in found.effects)
        lines += [
            f"{number}. **{said(found.headline)}** ({found.verdict}: `{said(found.fault)}`)",
            f"   - evidence: {said(found.evidence)}",
            f"   - what to do: {said(found.remedy)}",
            *([f"   - as overrides: `{found.flags}`"] if found.overrides else []),
            *(f"   - so, too: {headline} (`{fault}`)" for headline, fault in also),
        ]
    checks = [(r.check, r.verdict, r.headline) for r in diagnosis.reports]
    return "\n".join([*lines, "", markdown([("check", "verdict", "what was seen"), *checks])])
