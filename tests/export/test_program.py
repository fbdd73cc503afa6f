"""The program of docs/export.md on every kind of ONNX file: the answers of `Model.predict`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.core.errors import UsageError
from cnntrain.core.trust import name_plugin
from cnntrain.data import TRANSFORMS
from cnntrain.data.pipeline import build_eval_pipeline
from cnntrain.export.export import export
from cnntrain.fit.fit import Outcome
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.show.whitening import Whitening

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
[PROGRAM] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

CUBIC = {"name": "resize", "size": 11, "interpolation": "bicubic"}
RESIZE, CROP = {"name": "resize", "size": 11}, {"name": "center_crop", "size": [8, 8]}
FIXED = {"name": "resize", "size": [8, 8]}
NORMALIZE = {"name": "normalize", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}
ZCA = {
    "name": "zca",
    "learnt": Whitening(torch.arange(192.0) / 192, torch.eye(192) + 0.1).as_text(),
}
GREY = {"name": "normalize", "mean": [0.4], "std": [0.2]}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Where the trained networks for grey and for colour images are kept."""
    return {channels: tmp_path_factory.mktemp("runs") / str(channels) for channels in (1, 3)}


@pytest.fixture
def trained(
    networks: dict[int, Path],
    run_file: Callable[..., Path],
    train_tiny: Callable[..., Outcome],
    own_place: None,
) -> Callable[..., Model]:
    """`trained(3, steps)`: a network for 8 x 8 images with another preprocessing."""

    def make(channels: int, steps: list[dict[str, Any]], temperature: float = 1.0) -> Model:
        folder = networks[channels]
        if not folder.exists():
            train_tiny(run_file({"train.epochs": 1, "data.channels": channels}), out=folder)
        model, pipeline = open_model(folder), build_eval_pipeline(steps)
        return replace(model, eval_steps=tuple(steps), pipeline=pipeline, temperature=temperature)

    return make


def pictures(sizes: list[tuple[int, int]]) -> list[Path]:
    """Seeded noise under a gradient, in colour and in 8 and 16-bit grey."""
    paths = []
    random = np.random.default_rng(0)
    for number, (width, height) in enumerate(sizes):
        slope = np.linspace(0, 200, width)[None, :, None]
        colour = (random.uniform(0, 55, (height, width, 3)) + slope).astype(np.uint8)
        grey16 = colour[:, :, 0].astype(np.uint16) * 257 - (colour[:, :, 1] % 3)
        for name, image in (
            (f"{number}.png", Image.fromarray(colour)),
            (f"grey {number}.png", Image.fromarray(colour[:, :, 0])),
            (f"wide{number}.png", Image.fromarray(grey16)),
        ):
            image.save(name)
            paths.append(Path(name))
    return paths


def answers(
    file: Path,
    images: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, tuple[str, float]]:
    """What the program prints: class and probability of each file."""
    monkeypatch.setattr(sys, "argv", ["outside.py", str(file), *map(str, images)])
    capsys.readouterr()
    exec(compile(PROGRAM, str(PAGE), "exec"), {})
    rows = [line.rsplit(" ", 2) for line in capsys.readouterr().out.splitlines()]
    return {name: (label, float(share)) for name, label, share in rows}


ODD = [(20, 13), (11, 11), (9, 31), (64, 48)]
INSIDE = {"include": ["preprocessing"]}
CASES = {
    "shortest edge and crop": (3, [RESIZE, CROP, NORMALIZE], ODD, 1.0, {}),
    "bicubic": (3, [CUBIC, CROP, NORMALIZE], ODD, 1.0, {}),
    "inside: bicubic": (3, [CUBIC, CROP, NORMALIZE], ODD, 1.0, INSIDE),
    "three steps": (3, [FIXED, NORMALIZE], ODD, 1.0, {}),
    "no resizing": (3, [NORMALIZE], [(8, 8)], 1.0, {}),
    "crop alone, not normalised": (3, [CROP], [(8, 8), (13, 10), (9, 20)], 1.0, {}),
    "whitened": (3, [FIXED, ZCA], ODD, 1.0, {}),
    "two of them": (3, [RESIZE, FIXED, CROP, NORMALIZE], ODD, 1.0, {}),
    "grey": (1, [FIXED, GREY], ODD, 1.0, {}),
    "temperature": (1, [FIXED, GREY], ODD, 2.5, {}),
    "inside: shortest edge and crop": (3, [RESIZE, CROP, NORMALIZE], ODD, 1.0, INSIDE),
    "inside: no resizing": (3, [NORMALIZE], [(8, 8)], 1.0, INSIDE),
    "inside: crop": (3, [CROP, NORMALIZE], [(8, 8), (13, 10), (9, 20)], 1.0, INSIDE),
    "inside: grey": (1, [RESIZE, CROP, GREY], ODD, 1.0, INSIDE),
    "probabilities": (1, [FIXED, GREY], ODD, 2.5, {"include": ["probabilities"]}),
    "all inside": (
        3,
        [FIXED, NORMALIZE],
        ODD,
        2.5,
        {"include": ["preprocessing", "probabilities"]},
    ),
    "float16": (3, [NORMALIZE], [(8, 8)], 1.0, {"precision": "float16"}),
    "float16, all inside": (
        3,
        [NORMALIZE],
        [(8, 8)],
        2.5,
        {"include": ["preprocessing", "probabilities"], "precision": "float16"},
    ),
    "int8": (1, [GREY], [(8, 8)], 1.0, {"precision": "int8"}),
    "int8, all inside": (
        1,
        [GREY],
        [(8, 8)],
        2.5,
        {"include": ["preprocessing", "probabilities"], "precision": "int8"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_program_gives_the_answers_of_predict(
    trained: Callable[..., Model],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """To 1e-5; resized inside to a rounding of few pixels, float16 to 3 digits, int8 to 0.05."""
    channels, steps, sizes, temperature, asked = CASES[name]
    model = trained(channels, steps, temperature)
    [file] = export(model, formats=["onnx"], **asked)
    images = pictures(sizes)
    found = answers(file.path, images, monkeypatch, capsys)
    resized = asked.get("include") and any(step["name"] == "resize" for step in steps)
    fewer = {"float16": 2e-3, "int8": 0.05}.get(str(asked.get("precision")))
    near = fewer or (5e-3 if resized else 1e-5)
    expected = model.predict(images, top=3)
    assert list(found) == [each.name for each in expected]
    for each in expected:
        label, share = found[each.name]
        probability = dict(each.ranking)[label]
        assert share == pytest.approx(probability, abs=near)
        assert share > each.ranking[0][1] - 2 * near


def test_an_image_that_is_smaller_than_the_crop_is_an_error_inside(
    trained: Callable[..., Model], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Not the answer for other pixels: ONNX cuts what there is."""
    [file] = export(trained(3, [CROP, NORMALIZE]), formats=["onnx"], **INSIDE)
    with pytest.raises(Exception, match="Reshape"):
        answers(file.path, pictures([(20, 7)]), monkeypatch, capsys)


PLUGIN = '''
from cnntrain.data import transform

@transform("inverted")
class Inverted:
    """Negatives."""

    def __call__(self, images, generator):
        return 255 - images

    def output_size(self, size):
        return size
'''


def test_a_step_of_a_plugin_is_named_or_refused(
    trained: Callable[..., Model], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    Path("inverted.py").write_text(PLUGIN)
    TRANSFORMS.add_plugin(name_plugin(Path("inverted.py")))
    model = trained(3, [{"name": "inverted"}, NORMALIZE])
    with pytest.raises(UsageError, match="'inverted' cannot be put into an ONNX file"):
        list(export(model, formats=["onnx"], **INSIDE))
    assert not Path("tiny.onnx").exists()
    [file] = export(model, formats=["onnx"])
    assert file.unknown_steps == ("inverted",)
    with pytest.raises(SystemExit, match=r"does not know the step {.name.: .inverted.}"):
        answers(file.path, pictures([(8, 8)]), monkeypatch, capsys)
