"""Predicting files is evaluating them: the same preprocessing, the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnntrain.assemble.parts import open_run_data
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError
from cnntrain.fit.fit import Outcome
from cnntrain.model.evaluate import evaluate_run
from cnntrain.model.model import load_trained
from cnntrain.model.predict import image_files, predict

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]


@pytest.fixture
def trained(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> Path:
    return train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "run").run.path


def export(run: Path, folder: Path) -> list[Path]:
    """The test images as PNGs, in their order: losslessly the pixels that evaluation sees."""
    from cnntrain.data.loaders import open_splits

    config = load(run / "config.yaml").config
    data = config.data
    splits = open_splits(
        data.name, parameters=data.parameters, validation=data.validation, seed=config.seed
    )
    assert splits.test is not None
    folder.mkdir()
    files = []
    for index in range(len(splits.test)):
        files.append(folder / f"{index:03d}.png")
        splits.test.open(index).save(files[-1])
    return files


def test_exported_images_are_taken_for_what_evaluation_takes_them(
    trained: Path, tmp_path: Path
) -> None:
    files = export(trained, tmp_path / "images")
    found = list(predict(trained, files, top=3))
    assert [p.file for p in found] == files
    confusion = [[0] * 3 for _ in range(3)]
    network = load_trained(trained / "checkpoints" / "best.pt")
    loaded = load(trained / "config.yaml")
    data = open_run_data(loaded, device="cpu", eval_steps=network.eval_steps)
    assert data.test is not None
    [batch] = data.test.batches(0)
    with torch.inference_mode():
        probabilities = network.net(batch.images).softmax(dim=1)
    for prediction, target, row in zip(found, batch.targets.tolist(), probabilities, strict=True):
        names = dict(prediction.ranking)
        given = torch.tensor([names[name] for name in network.classes])
        assert (given - row).abs().max() < 1e-6
        confusion[target][network.classes.index(prediction.ranking[0][0])] += 1
    evaluated = evaluate_run(trained).metrics
    assert tuple(map(tuple, confusion)) == evaluated.confusion


def test_an_unreadable_file_is_told_and_the_others_are_classified(
    trained: Path, tmp_path: Path
) -> None:
    first, *_ = export(trained, tmp_path / "images")
    broken = tmp_path / "images" / "broken.png"
    broken.write_bytes(first.read_bytes()[:60])
    text = tmp_path / "images" / "text.png"
    text.write_text("no image")
    found = {p.file.name: p for p in predict(trained, [broken, first, text])}
    assert found["broken.png"].error
    assert found["text.png"].error
    assert found["broken.png"].ranking == ()
    assert len(found["000.png"].ranking) == 3


def test_images_are_converted_to_the_networks_channels(trained: Path, tmp_path: Path) -> None:
    grey, colour = tmp_path / "grey.png", tmp_path / "colour.png"
    Image.new("L", (8, 8), 90).save(grey)
    Image.new("RGB", (8, 8), (90, 90, 90)).save(colour)
    first, second = predict(trained, [grey, colour])
    assert first.ranking == second.ranking


def test_an_image_of_another_size_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    Image.new("L", (8, 8), 90).save(right)
    Image.new("L", (9, 8), 90).save(wrong)
    for files in ([right, wrong], [wrong], [wrong, wrong]):
        found = {p.file: p for p in predict(trained, files)}
        assert found[wrong].ranking == ()
        assert "1 x 8 x 9" in found[wrong].error
        assert "1 x 8 x 8" in found[wrong].error
        assert right not in found or found[right].ranking


def test_folders_are_searched(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a/x.png", "a/notes.txt", ".hidden/y.png", "b/._1.jpg"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = image_files([tmp_path / "images", tmp_path / "images" / "a" / "notes.txt"])
    names = [file.relative_to(tmp_path / "images").as_posix() for file in found]
    assert names == ["a/x.png", "b/1.JPG", "b/2.png", "a/notes.txt"]


def test_nothing_to_classify(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no image in"):
        image_files([tmp_path / "empty"])
    with pytest.raises(UsageError, match="there is no file or folder"):
        image_files([tmp_path / "missing.png"])
