"""The diagnosis in TensorBoard: its words, numbers and pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from cnntrain.core.atomic import disk_errors
from cnntrain.diagnose.diagnose import Diagnosis


def write_board(diagnosis: Diagnosis, folder: Path, *, subject: str) -> None:
    """Write event files: the text `diagnosis`, and `diagnosis/CHECK/...` for each check.

    The folder is made where it is not there; `subject` is what was examined.

    Raises:
        DiskError: it cannot be written.
    """
    from torch.utils.tensorboard import SummaryWriter  # a second, and only here

    with disk_errors(folder):
        writer = SummaryWriter(str(folder))
        writer.add_text("diagnosis", _words(diagnosis, subject))
        for report in diagnosis.reports:
            prefix = f"diagnosis/{report.check}"
            for name, value in report.numbers.items():
                if isinstance(value, int | float):
                    writer.add_scalar(f"{prefix}/{name}", value)
            for picture in report.pictures:
                pixels = np.asarray(Image.open(io.BytesIO(picture.png())).convert("RGB"))
                tag = f"{prefix}/{picture.title}"
                writer.add_image(tag, pixels, dataformats="HWC")
        writer.close()


def _words(diagnosis: Diagnosis, subject: str) -> str:
    """Markdown."""
    lines = [f"# {subject}: {diagnosis.verdict}", ""]
    for number, found in enumerate(diagnosis.findings, start=1):
        lines += [
            f"{number}. **{found.headline}** ({found.verdict}: `{found.fault}`)",
            f"   - evidence: {found.evidence}",
            f"   - what to do: {found.remedy}",
            *(f"   - so, too: {each.headline} (`{each.fault}`)" for each in found.effects),
        ]
    lines += ["", "| check | verdict | what was seen |", "|---|---|---|"]
    lines += [f"| {r.check} | {r.verdict} | {r.headline} |" for r in diagnosis.reports]
    return "\n".join(lines)
