"""The comparison with the network: what is refused, and that a refused file is gone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from cnntrain.arch.network import Network
from cnntrain.core.errors import CnntrainError
from cnntrain.data.pipeline import build_eval_pipeline
from cnntrain.export.onnx import save_onnx
from cnntrain.export.program import save_program, trace
from cnntrain.export.reference import Reference, make_reference
from cnntrain.export.weights import save_safetensors

MakeNet = Callable[..., Network]
LAYERS = "layers: [{conv: {out: 4}}, relu, global_avg_pool, {linear: {out: $num_classes}}]"


def test_images_are_such_as_evaluation_gives() -> None:
    """Pixels from 0 to 1 become normalised ones: mean and spread follow from that."""
    steps = [{"name": "normalize", "mean": [0.5, 0.25], "std": [0.25, 0.125]}]
    plain, normal = (
        make_reference(torch.nn.Flatten(), in_shape=(2, 24, 32), pipeline=build_eval_pipeline(each))
        for each in ([], steps)
    )
    assert plain.images.shape == (8, 2, 24, 32)
    assert 0 <= plain.images.min() < 0.25
    assert 0.75 < plain.images.max() <= 1
    levels = plain.images * 255
    torch.testing.assert_close(levels, levels.round())
    mean, std = (torch.tensor(steps[0][key]).view(1, 2, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(normal.images, (plain.images - mean) / std)
    assert torch.equal(plain.logits, plain.images.flatten(1))


@pytest.mark.parametrize(("scale", "limit"), [(0.01, 1e-4), (1.0, 1e-4), (300.0, 3e-2)])
def test_the_limit_is_relative_to_large_logits(scale: float, limit: float) -> None:
    images = torch.zeros(3, 1, 2, 2)
    logits = torch.tensor([[0.0, scale], [scale, -scale], [0.5 * scale, 0.0]])
    reference = Reference(images, logits)
    assert reference.limit == pytest.approx(limit)
    for factor, refused in ((0.9, False), (1.1, True), (float("nan"), True)):
        rows = iter((logits + factor * limit).split([1, 2]))
        if refused:
            with pytest.raises(CnntrainError, match="differs from the network by"):
                reference.check(lambda _, rows=rows: next(rows), what="it")
        else:
            found = reference.check(lambda _, rows=rows: next(rows), what="it")
            assert found == pytest.approx(0.9 * limit, rel=1e-3)


@pytest.mark.parametrize("form", ["onnx", "torch_export", "safetensors"])
def test_a_file_that_differs_is_not_left_behind(
    network: MakeNet, tmp_path: Path, form: str
) -> None:
    net = network(LAYERS)
    images = torch.rand(3, 3, 8, 8)
    logits = net(images)
    logits[1, 2] += 3e-4
    wrong = Reference(images, logits)
    path = tmp_path / "net"
    path.write_text("older")
    program = trace(net, in_shape=(3, 8, 8))
    save: dict[str, Callable[..., float]] = {
        "onnx": partial(save_onnx, program, weights=0, output="logits"),
        "torch_export": partial(save_program, program),
        "safetensors": partial(save_safetensors, net),
    }
    with pytest.raises(CnntrainError, match=r"differs from the network by 0\.0003") as caught:
        save[form](path, text="{}", reference=wrong)
    assert caught.value.exit_code == 1
    assert [each.name for each in tmp_path.iterdir()] == ["net"]
    assert path.read_text() == "older"
