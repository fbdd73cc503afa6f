"""What TensorBoard's own reader finds of a diagnosis."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cnntrain.diagnose.board import write_board
from cnntrain.diagnose.diagnose import conclude
from cnntrain.diagnose.report import Finding, Plot, Report


def test_words_numbers_and_pictures(tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([1, 2])
    finding = Finding("rate_too_high", "your rate is too high", "it diverged", "divide it")
    report = Report(
        "rate",
        "it diverged",
        (finding,),
        numbers={"suggested": 0.25, "why": "words are no scalars"},
        pictures=(Plot("losses", figure),),
    )
    write_board(conclude([report]), tmp_path / "tb", subject="my.yaml")
    found = EventAccumulator(str(tmp_path / "tb"))
    found.Reload()
    assert found.Tags()["scalars"] == ["diagnosis/rate/suggested"]
    assert found.Scalars("diagnosis/rate/suggested")[0].value == pytest.approx(0.25)
    assert found.Tags()["images"] == ["diagnosis/rate/losses"]
    image = found.Images("diagnosis/rate/losses")[0]
    assert (image.width, image.height) == (220, 110)  # inches times the 110 dots of a report
    (text,) = found.Tensors("diagnosis/text_summary")[0].tensor_proto.string_val
    assert "your rate is too high" in text.decode()
    assert "divide it" in text.decode()
