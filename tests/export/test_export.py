"""Exported runs: the same answers as the network on images of the run's own data.

The files are read as others would read them, by onnxruntime, torch.export and safetensors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from cnntrain.assemble.transfer.about import plain_steps
from cnntrain.assemble.translation import open_run_data
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.data.batch import Batch
from cnntrain.export.export import Exported, export
from cnntrain.export.rescored import Rescored
from cnntrain.fit.fit import Outcome
from cnntrain.model.model import Model
from cnntrain.model.opening import EXPORT, open_model
from cnntrain.tasks.intervals import Interval

pytestmark = pytest.mark.usefixtures("own_place")

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]
FORMATS = ("onnx", "torch_export", "safetensors")


@pytest.fixture
def run(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> Path:
    changes = {"train.epochs": 2, "train.ema": {"decay": 0.5}}
    return train_tiny(run_file(changes), out=tmp_path / "run").run.path


def network(run: Path) -> Model:
    return open_model(run / "checkpoints" / "best.pt")


def test_batch(trained: Model) -> Batch:
    data = open_run_data(trained.loaded, device="cpu", eval_steps=trained.eval_steps)
    assert data.test is not None
    [batch] = data.test.batches(0)
    return batch


test_batch.__test__ = False  # type: ignore[attr-defined]  # the batch of the test split


def test_onnxruntime_reports_nothing(tmp_path: Path) -> None:
    """It would make an identifier of the machine where it is imported."""
    code = "from cnntrain.export.onnx import require_packages; require_packages()"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.rglob("*onnxruntime*")) == []


def about_in(path: Path) -> dict[str, Any]:
    """The description that a file holds."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map["cnntrain"]
    elif path.suffix == ".pt2":
        extra = {"cnntrain.json": ""}
        torch.export.load(path, extra_files=extra)
        text = extra["cnntrain.json"]
    else:
        with safetensors.safe_open(path, "pt") as file:
            text = file.metadata()["cnntrain"]
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_files_give_the_networks_logits_and_tell_what_they_are(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "files"
    out.mkdir()
    found = list(export(open_model(run), formats=FORMATS, out=out))
    names = ["tiny.onnx", "tiny.pt2", "tiny.safetensors"]
    assert [each.path for each in found] == [out / name for name in names]
    assert sorted(each.name for each in out.iterdir()) == names
    for each, form in zip(found, FORMATS, strict=True):
        assert each == Exported(
            form, each.path, each.path.stat().st_size, each.largest_difference, 8
        )
        assert each.largest_difference is not None
        assert each.largest_difference < 1e-5

    trained = network(run)
    images = test_batch(trained).images.contiguous()
    with torch.inference_mode():
        logits = trained.net(images)
    session = onnxruntime.InferenceSession(out / names[0], providers=["CPUExecutionProvider"])
    [inputs], [outputs] = session.get_inputs(), session.get_outputs()
    assert (inputs.name, inputs.type, inputs.shape) == ("images", "tensor(float)", ["N", 1, 8, 8])
    assert (outputs.name, outputs.shape) == ("logits", ["N", 3])

    def in_onnx(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    for forward in (in_onnx, torch.export.load(out / names[1]).module()):
        for count in (1, 7, len(images)):
            torch.testing.assert_close(
                forward(images[:count]), logits[:count], rtol=1e-5, atol=1e-5
            )
    weights = safetensors.torch.load_file(out / names[2])
    expected = trained.net.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    abouts = [about_in(each.path) for each in found]
    assert abouts[0] == abouts[1] == abouts[2] == about(trained, versions=abouts[0]["versions"])
    assert set(abouts[0]["versions"]) == {"cnntrain", "torch"}


def about(trained: Model, *, versions: dict[str, str]) -> dict[str, Any]:
    """What the files of the tiny run must tell."""
    [normalize] = trained.eval_steps
    return {
        "name": "tiny",
        "epoch": trained.epoch,
        "classes": list(trained.classes),
        "input": {
            "name": "images",
            "shape": ["N", 1, 8, 8],
            "layout": "NCHW",
            "type": "float32",
            "mode": "L",
            "bits": 16,
        },
        "preprocessing": [{"name": "rescale", "factor": 1 / 255}, normalize],
        "output": {"name": "logits", "shape": ["N", 3]},
        "versions": versions,
    }


def test_sizes_are_told_in_full(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> None:
    cubic = {"size": [11, 10], "interpolation": "bicubic"}
    steps = [{"resize": {"size": 12}}, {"resize": cubic}, {"center_crop": {"size": 8}}]
    changes = {"train.epochs": 1, "data.transforms.eval": [*steps, "normalize"]}
    run = train_tiny(run_file(changes), out=tmp_path / "run").run.path
    [file] = export(open_model(run), formats=["safetensors"], out=tmp_path / "net.safetensors")
    told = about_in(file.path)["preprocessing"]
    assert told[:4] == [
        {"name": "resize", "shortest_edge": 12, "interpolation": "bilinear", "antialias": True},
        {
            "name": "resize",
            "height": 11,
            "width": 10,
            "interpolation": "bicubic",
            "antialias": True,
        },
        {"name": "center_crop", "height": 8, "width": 8},
        {"name": "rescale", "factor": 1 / 255},
    ]
    assert plain_steps(told) == (
        {"name": "resize", "size": 12, "interpolation": "bilinear"},
        {"name": "resize", **cubic},
        {"name": "center_crop", "size": [8, 8]},
        network(run).eval_steps[3],
    )


def test_nothing_is_overwritten_unless_that_is_asked_for(run: Path) -> None:
    existing = Path("tiny.safetensors")
    existing.write_text("older")
    with pytest.raises(UsageError, match=r"^tiny\.safetensors already exists; --force replaces"):
        list(export(open_model(run), formats=["onnx", "safetensors"]))
    assert existing.read_text() == "older"
    assert not Path("tiny.onnx").exists()
    [file] = export(open_model(run), formats=["safetensors"], force=True)
    assert file.path == existing
    assert safetensors.torch.load_file(existing)


@pytest.mark.parametrize(
    ("formats", "out", "message"),
    [
        (["onnx", "safetensors"], "net.onnx", "is not a folder, and there are 2 files to write"),
        (["torch_export"], "net.onnx", r"written as torch_export, whose files end in \.pt2"),
        (["torchvision"], "net.pth", "torchvision has no model"),
    ],
)
def test_what_is_refused_before_anything_is_written(
    run: Path, tmp_path: Path, formats: list[str], out: str, message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=message):
        list(export(open_model(run), formats=formats, out=Path(out)))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("form", ["torch_export", "safetensors", "torchvision"])
@pytest.mark.parametrize("asked", [{"include": ["probabilities"]}, {"precision": "int8"}])
def test_what_only_onnx_can_is_refused_for_other_formats(
    run: Path, form: str, asked: dict[str, Any]
) -> None:
    [option] = asked
    with pytest.raises(UsageError, match=f"--{option} cannot be obeyed for {form}"):
        list(export(open_model(run), formats=["onnx", form], **asked))
    assert not list(Path().glob("tiny.*.onnx"))


@pytest.mark.parametrize(
    ("precision", "converter"),
    [
        ("int8", "onnxruntime.quantization.quantize_static"),
        ("float16", "onnxruntime.transformers.float16.convert_float_to_float16"),
    ],
)
def test_a_layer_that_cannot_have_fewer_bits_is_an_error(
    run: Path, monkeypatch: pytest.MonkeyPatch, precision: Any, converter: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise KeyError("no rule for Exotic")

    monkeypatch.setattr(converter, fail)
    message = f"cannot be (converted|quantized) to {precision}: 'no rule for Exotic'; use --prec"
    with pytest.raises(UsageError, match=message):
        list(export(open_model(run), formats=["onnx"], precision=precision))
    assert not list(Path().glob("*.onnx"))


@pytest.mark.parametrize(
    ("before", "after", "low", "worse"),
    [(0.9, 0.895, -0.01, False), (0.9, 0.895, 0.001, True), (0.9, 0.88, -0.01, True)],
)
def test_a_drop_is_clear_beyond_chance_or_one_point(
    before: float, after: float, low: float, worse: bool
) -> None:
    drop = Interval(low, 0.05, "made up")
    assert Rescored("validation", 99, before, after, drop, 1.0, 0.0, 0.0).is_worse == worse


def test_a_run_is_exported_as_it_is(run: Path) -> None:
    with pytest.raises(UsageError, match=r"-s train\.epochs cannot change when a network"):
        open_model(run, overrides=["train.epochs=3"], use=EXPORT)


def test_exported_weights_can_be_used_and_exported_again(run: Path, run_file: RunFile) -> None:
    """A run file that names the exported file, with the preprocessing that the file tells."""
    [file] = export(open_model(run), formats=["safetensors"])
    normalize = about_in(file.path)["preprocessing"][-1]
    numbers = {"mean": normalize["mean"], "std": normalize["std"]}
    changes = {
        "finetune": {"weights": {"file": str(file.path.resolve())}},
        "data.transforms": {key: [{"normalize": numbers}] for key in ("train", "eval")},
    }
    [again] = export(open_model(run_file(changes, name="again")), formats=["safetensors"])
    assert again.path == Path("again.safetensors")
    first, second = (safetensors.torch.load_file(each.path) for each in (file, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    one, other = (about_in(each.path) for each in (file, again))
    assert one == {**other, "name": "tiny"}


def test_a_missing_package_is_told_at_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"needs the package onnxruntime.*cnntrain\[export\]"):
        list(export(open_model(run), formats=["onnx"]))
    [file] = export(open_model(run), formats=["torch_export"])
    assert file.path.is_file()


def test_what_is_no_run_is_told_as_everywhere(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="not a run's folder"):
        list(export(open_model(tmp_path / "folder"), formats=["onnx"]))
