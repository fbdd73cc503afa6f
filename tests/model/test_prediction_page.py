"""The page of predictions: the least certain first, as many as there may be, names as text."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from cnntrain.data.left_out import NO_IMAGE, LeftOut
from cnntrain.model.predict import Prediction
from cnntrain.model.prediction_page import fair_shares, prediction_page


@pytest.mark.parametrize(
    ("sizes", "total", "shares"),
    [([3, 100, 100], 20, [3, 8, 9]), ([3, 4], 20, [3, 4]), ([5, 5], 1, [0, 1]), ([], 9, [])],
)
def test_fair_shares(sizes: list[int], total: int, shares: list[int]) -> None:
    assert fair_shares(sizes, total) == shares


def test_a_page(tmp_path: Path) -> None:
    cats = [("a<b>.png", 0.9), ("b.png", 0.5), ("c.png", 0.7)]
    for name, _ in cats:
        Image.new("RGB", (640, 320), (0, 0, 255)).save(tmp_path / name)
    group = [
        Prediction(str(tmp_path / name), (("cat", share), ("dog", 1 - share)))
        for name, share in cats
    ]
    gone = Prediction("gone.png", (("<i>", 1.0),))
    page = prediction_page(
        [("cat", group), ("dog", []), ("<i>", [gone])],
        title="cnntrain predict runs/<x>",
        unread=[Prediction("torn.png", (), "<bad>")],
        left_out=[LeftOut.of(Path("note.txt"), NO_IMAGE)],
        most=3,
    ).decode()
    assert "<i>" not in page
    assert "dog</h2>" not in page
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings[:2] == [
        'cat <span class="small">3 images, 2 shown</span>',
        '&lt;i&gt; <span class="small">1 image</span>',
    ]
    assert "3 are shown, the least certain ones of each answer; 1 are not." in page
    captions = re.findall(r"<figcaption><b>(.*?)</b><br>(.*?)</figcaption>", page)
    assert [(words, Path(name).name) for words, name in captions] == [
        ("cat 50.0%, dog 50.0%", "b.png"),
        ("cat 70.0%, dog 30.0%", "c.png"),
        ("&lt;i&gt; 100.0%", "gone.png"),
    ]
    pictures = re.findall(r'src="data:image/jpeg;base64,(.*?)"', page)
    sizes = [Image.open(io.BytesIO(base64.b64decode(each))).size for each in pictures]
    assert sizes == [(160, 80), (160, 80)]
    assert "torn.png: &lt;bad&gt;" in page
    assert "1 left out: files that are not images: note.txt" in page
