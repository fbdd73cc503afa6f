"""Predicting files is evaluating them: the same preprocessing, the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.assemble.translation import open_run_data
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError
from cnntrain.fit.fit import Outcome
from cnntrain.model.inputs import inputs
from cnntrain.model.opening import open_model
from cnntrain.train import undisturbed

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
    holdout = data.holdout(seed=config.seed)
    splits = open_splits(data.name, parameters=data.parameters, holdout=holdout)
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
    model = open_model(trained)
    found = model.predict(files, top=3)
    assert [p.name for p in found] == [str(file) for file in files]
    confusion = [[0] * 3 for _ in range(3)]
    loaded = load(trained / "config.yaml")
    data = open_run_data(loaded, device="cpu", eval_steps=model.eval_steps)
    assert data.test is not None
    [batch] = data.test.batches(0)
    probabilities = model.logits(batch.images).softmax(dim=1)
    for prediction, target, row in zip(found, batch.targets.tolist(), probabilities, strict=True):
        names = dict(prediction.ranking)
        given = torch.tensor([names[name] for name in model.classes])
        assert (given - row).abs().max() < 1e-6
        assert prediction.label == prediction.ranking[0][0] == model.classes[int(row.argmax())]
        assert prediction.probability == max(names.values())
        confusion[target][model.classes.index(prediction.ranking[0][0])] += 1
    assert confusion == model.evaluate().metrics.confusion.tolist()


def test_images_in_memory_are_what_they_are_in_files(trained: Path, tmp_path: Path) -> None:
    files, others = (every := export(trained, tmp_path / "images"))[:5], every[5:]
    for file in others:
        file.unlink()
    model = open_model(trained)
    expected = [p.ranking for p in model.predict(files)]
    pictures = [Image.open(file) for file in files]
    arrays = [np.array(picture) for picture in pictures]
    batch = torch.stack([torch.tensor(array)[None] for array in arrays])
    ways: list[Any] = [
        tmp_path / "images",
        [str(file) for file in files],
        pictures,
        arrays,
        [array[:, :, None] for array in arrays],
        [np.stack([array] * 3, axis=2) for array in arrays],
        batch,
        list(batch),
        batch.expand(5, 3, 8, 8),
        [files[0], pictures[1], arrays[2], batch[3:]],
    ]
    for way in ways:
        found = model.predict(way)
        assert [p.ranking for p in found] == expected
    assert [p.name for p in found] == [
        str(files[0]),
        *(f"image {number}" for number in range(1, 5)),
    ]
    [alone] = model.predict(pictures[2])
    assert dict(alone.ranking) == pytest.approx(dict(expected[2]))
    assert torch.equal(model.prepare(arrays), model.prepare(files))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.rand(1, 8, 8), r"uint8 .*, not float32 \(1, 8, 8\)"),
        (np.zeros((8, 8)), r"an array of pixels is uint8 .*, not float64 \(8, 8\)"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"\(C, H, W\) or \(N, C, H, W\), not .*\(8, 8\)"),
        (np.zeros((2, 8, 8, 1), dtype=np.uint8), r"\(H, W\) or \(H, W, C\), not"),
        (np.zeros((1, 8, 8), dtype=np.uint8), "has 8 channels, but the network reads 1"),
        (torch.zeros(4, 8, 8, dtype=torch.uint8), "has 4 channels, but the network reads 1"),
        (torch.zeros(1, 0, 8, dtype=torch.uint8), "not uint8"),
        ([[1, 2], [3, 4]], "a list is not an image"),
        ([], "there is no image"),
    ],
)
def test_what_is_no_image_is_refused(trained: Path, image: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_model(trained).predict(image)


def test_a_damaged_picture_in_memory_is_told_as_its_file_is(trained: Path, tmp_path: Path) -> None:
    """Pillow reads a picture's pixels when they are used first."""
    first, *_ = export(trained, tmp_path / "images")
    first.write_bytes(first.read_bytes()[:60])
    model = open_model(trained)
    with Image.open(first) as picture:
        [by_file], [by_picture] = model.predict(first), model.predict(picture)
    assert by_file.error == by_picture.error != ""
    assert (by_picture.ranking, by_picture.label, by_picture.probability) == ((), None, None)


def test_logits_are_of_prepared_images(trained: Path) -> None:
    model = open_model(trained)
    pixels = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert model.logits(model.prepare(pixels)).shape == (2, 3)
    for wrong in (pixels, torch.zeros(2, 1, 9, 8), torch.zeros(1, 8, 8)):
        with pytest.raises(UsageError, match="of prepared images"):
            model.logits(wrong)


def test_the_process_is_left_as_it_was(trained: Path) -> None:
    """The model's threads are used while it works, and only then."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with undisturbed():
        model = open_model(trained, overrides=[f"compute.threads={threads + 1}"])
        assert torch.get_num_threads() == threads + 1
    seen: list[int] = []
    model.net.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    pixels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    model.predict(pixels)
    model.evaluate()
    model.features()
    model.logits(model.prepare(pixels))
    assert len(seen) == 4
    assert set(seen) == {threads + 1}
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_unreadable_file_is_told_and_the_others_are_classified(
    trained: Path, tmp_path: Path
) -> None:
    first, *_ = export(trained, tmp_path / "images")
    broken = tmp_path / "images" / "broken.png"
    broken.write_bytes(first.read_bytes()[:60])
    text = tmp_path / "images" / "text.png"
    text.write_text("no image")
    found = {Path(p.name).name: p for p in open_model(trained).predict([broken, first, text])}
    assert found["broken.png"].error
    assert found["text.png"].error
    assert found["broken.png"].ranking == ()
    assert len(found["000.png"].ranking) == 3


def test_images_are_converted_to_the_networks_channels(trained: Path, tmp_path: Path) -> None:
    grey, colour = tmp_path / "grey.png", tmp_path / "colour.png"
    Image.new("L", (8, 8), 90).save(grey)
    Image.new("RGB", (8, 8), (90, 90, 90)).save(colour)
    first, second = open_model(trained).predict([grey, colour])
    assert first.ranking == second.ranking


def test_an_image_of_another_size_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.png", tmp_path / "wrong.png"
    Image.new("L", (8, 8), 90).save(right)
    Image.new("L", (9, 8), 90).save(wrong)
    for files in ([right, wrong], [wrong], [wrong, wrong]):
        found = {Path(p.name): p for p in open_model(trained).predict(files)}
        assert found[wrong].ranking == ()
        assert "1 x 8 x 9" in found[wrong].error
        assert "1 x 8 x 8" in found[wrong].error
        assert right not in found or found[right].ranking


def test_folders_are_searched(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a/x.png", "a/notes.txt", ".hidden/y.png", "b/._1.jpg"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    found = inputs([tmp_path / "images", tmp_path / "images" / "a" / "notes.txt"], channels=1)
    names = [Path(each.name).relative_to(tmp_path / "images").as_posix() for each in found]
    assert names == ["a/x.png", "b/1.JPG", "b/2.png", "a/notes.txt"]


def test_nothing_to_classify(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no image in"):
        inputs([tmp_path / "empty"], channels=1)
    with pytest.raises(UsageError, match="there is no file or folder"):
        inputs([tmp_path / "missing.png"], channels=1)
