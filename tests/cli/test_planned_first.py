"""What cannot be trained is refused before an image is opened: reading them may take hours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

RUN_FILE = """
arch: {layers: [{conv: {out: 4, kernel: 3}}, relu, global_avg_pool, {linear: {out: $num_classes}}]}
data: {name: image_folder, root: images, batch_size: 2, split: {validation: false},
       transforms: {train: [TRANSFORMS], eval: [TRANSFORMS]}}
train: {epochs: 1, optimizer: {name: sgd, lr: 0.1}}
"""


@pytest.mark.parametrize(
    ("transforms", "code", "read"),
    [("normalize", 2, False), ("{resize: {size: [8, 8]}}, normalize", 0, True)],
)
def test_fit_plans_before_it_reads(
    cnntrain: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    transforms: str,
    code: int,
    read: bool,
) -> None:
    """`normalize` without numbers reads every image; a plan that fails needs none of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for label in "ab":
        folder = tmp_path / "images" / "train" / label
        folder.mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (30 * number, 20 * number, 10 * number)).save(
                folder / f"{number}.png"
            )
    opened: list[Any] = []
    real = Image.open

    def watched(file: Any, *rest: Any, **more: Any) -> Any:
        opened.append(file)
        return real(file, *rest, **more)

    monkeypatch.setattr(Image, "open", watched)
    Path("run.yaml").write_text(RUN_FILE.replace("TRANSFORMS", transforms))
    answer = cnntrain("fit", "run.yaml", "--no-report")
    assert answer.code == code, answer
    assert bool(opened) == read
    assert bool(list((tmp_path / "cache").rglob("statistics/*"))) == read
