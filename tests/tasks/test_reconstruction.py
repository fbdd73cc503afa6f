"""Images as targets: PSNR and SSIM by their formulas, and inputs that alone are corrupted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.assemble.networks import plan_network
from cnntrain.config.load import try_to_load
from cnntrain.core.errors import ConfigError
from cnntrain.data.batch import Batching
from cnntrain.data.image_targets import paired
from cnntrain.data.loaders import make_loader
from cnntrain.data.pipeline import Pipeline, build_eval_pipeline, build_pipeline
from cnntrain.data.share import ShareOfBatch
from cnntrain.data.splits import Files, Pixels
from cnntrain.data.transform_errors import TransformError
from cnntrain.tasks.image_quality import psnr, ssim
from cnntrain.tasks.losses.mse import mse
from cnntrain.tasks.reconstruction import Reconstruct
from cnntrain.tasks.targets import Targets

NUMBERS = {"mean": [0.4], "std": [0.25]}
NOISY: list[Mapping[str, Any]] = [
    {"name": "random_crop", "padding": 2, "size": 8},
    {"name": "noise", "std": 0.2},
    {"name": "normalize", **NUMBERS},
]
FIXED = NOISY[1:]


def pixels(count: int = 10, side: int = 8) -> Pixels:
    """Noise, so that no two crops are the same."""
    draws = torch.Generator().manual_seed(1)
    images = torch.randint(256, (count, 1, side, side), generator=draws, dtype=torch.uint8)
    return Pixels(images, torch.zeros(count, dtype=torch.int64))


def training(items: list[Mapping[str, Any]] = NOISY) -> Pipeline:
    return paired(build_pipeline(items), is_training=True)


def evaluation() -> Pipeline:
    return paired(build_eval_pipeline(FIXED, corrupts=True), is_training=False)


def batches(pipeline: Pipeline, *, part: Any = None, epoch: int = 1, memory: Any = "resident",
            workers: int = 0, **how: Any) -> list[Any]:  # fmt: skip
    loader = make_loader(part or pixels(), pipeline, name="train", memory=memory, workers=workers,
                         batching=Batching(**{"batch_size": 4, "seed": 3, **how}))  # fmt: skip
    return list(loader.batches(epoch))


def test_psnr_is_the_formula() -> None:
    """Ten times the logarithm of 1 / mean squared error; an error of 0.1 everywhere is 20 dB."""
    draws = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 3, 3, 9, 9, generator=draws, dtype=torch.float64)
    expected = [
        10 * math.log10(1 / float(((a - b) ** 2).mean())) for a, b in zip(one, other, strict=True)
    ]
    assert psnr(one, other).tolist() == pytest.approx(expected, rel=1e-12)
    assert psnr(one, one + 0.1).tolist() == pytest.approx([20.0] * 3)
    assert psnr(one, one).tolist() == pytest.approx([100.0] * 3)


def ssim_of_windows(x: Any, y: Any) -> float:
    """Equation 13 of Wang et al. 2004, window by window, one channel."""
    at = np.arange(11) - 5
    weights = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a, b = (each[top : top + 11, left : left + 11] for each in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            var_a = (weights * (a - mean_a) ** 2).sum()
            var_b = (weights * (b - mean_b) ** 2).sum()
            both = (weights * (a - mean_a) * (b - mean_b)).sum()
            above = (2 * mean_a * mean_b + 1e-4) * (2 * both + 9e-4)
            found.append(above / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)))
    return float(np.mean(found))


def test_ssim_is_the_papers_equation() -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 14, 13, generator=draws, dtype=torch.float64)
    y = (x + 0.2 * torch.randn(x.shape, generator=draws, dtype=torch.float64)).clamp(0, 1)
    found = ssim(x, y)
    assert found is not None
    for number in range(2):
        expected = np.mean([ssim_of_windows(x[number, c].numpy(), y[number, c].numpy())
                            for c in range(3)])  # fmt: skip
        assert float(found[number]) == pytest.approx(expected, rel=1e-9)
    same = ssim(x, x)
    assert same is not None
    assert same.tolist() == pytest.approx([1.0, 1.0])
    assert ssim(x[..., :10], y[..., :10]) is None


@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_only_the_input_is_corrupted_and_both_are_of_one_crop(memory: str) -> None:
    """The target is the same list without its noise; its crops are those of the input."""
    without = training([NOISY[0], NOISY[2]])
    for noisy, clean in zip(
        batches(training(), memory=memory), batches(without, memory=memory), strict=True
    ):
        torch.testing.assert_close(noisy.targets, clean.images, rtol=0, atol=1e-6)
        assert clean.images is clean.targets
        off = (noisy.images - noisy.targets) * 0.25
        assert 0.1 < float(off.std()) < 0.2  # 0.2, less what is clipped at 0 and 1
    first, second = (batches(training(), memory=memory, epoch=e)[0] for e in (1, 2))
    assert not torch.equal(first.images, second.images)


@pytest.mark.parametrize("changes", [{"batch_size": 3}, {"memory": "stream"}, {"epoch": 5},
                                     {"memory": "stream", "batch_size": 10},
                                     {"channels_last": True}], ids=str)  # fmt: skip
def test_evaluation_corrupts_by_seed_and_position(changes: dict[str, Any]) -> None:
    expected = torch.cat([each.images for each in batches(evaluation())])
    found = batches(evaluation(), **changes)
    torch.testing.assert_close(torch.cat([each.images for each in found]), expected)
    other = torch.cat([each.images for each in batches(evaluation(), seed=4)])
    assert not torch.equal(other, expected)


@pytest.mark.parametrize("memory", ["resident", "stream"])
@pytest.mark.parametrize("is_training", [True, False])
def test_processes_have_the_rows_of_one(memory: str, is_training: bool) -> None:
    pipeline, shuffle = (training() if is_training else evaluation()), is_training
    whole = batches(pipeline, memory=memory, shuffle=shuffle)
    shares = [
        batches(pipeline, memory=memory, shuffle=shuffle,
                share=ShareOfBatch(index, 2, in_turns=not is_training))
        for index in (0, 1)
    ]  # fmt: skip
    for number, batch in enumerate(whole):
        if is_training:
            parts = [share[number] for share in shares]
        else:
            parts = [shares[number % 2][number // 2]]
        for name in ("images", "targets"):
            found = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(found, getattr(batch, name))


def test_workers_give_the_same(tmp_path: Path) -> None:
    """Of files, in processes of their own, random erasing in the list as well."""
    paths = []
    for number, image in enumerate(pixels(6).images):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image[0].numpy()).save(paths[-1])
    part = Files(paths, torch.zeros(6, dtype=torch.int64), 1)
    items = [*NOISY[:2], {"name": "random_erasing", "probability": 1.0}, NOISY[2]]
    one, two = (batches(training(items), part=part, memory="stream", workers=workers)
                for workers in (0, 1))  # fmt: skip
    for a, b in zip(one, two, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.targets, b.targets)


def test_what_would_change_the_target_otherwise_is_refused() -> None:
    with pytest.raises(TransformError, match="is random, so it would change the target"):
        training([NOISY[1], {"name": "horizontal_flip"}])
    with pytest.raises(TransformError, match="mixes classes"):
        training([{"name": "mixup"}])


def test_figures_are_of_pixels_whatever_the_normalisation() -> None:
    """An output that is off by 0.1 of a pixel everywhere: 20 dB, and the loss in deviations."""
    task = Reconstruct(targets=Targets("image", ("image",), (0.4,), (0.25,)))
    targets = torch.linspace(0.2, 0.7, 5 * 144).view(5, 1, 12, 12)
    normalised, outputs = (targets - 0.4) / 0.25, (targets + 0.1 - 0.4) / 0.25
    sums, loss = task.sums(outputs), mse()
    sums.add(outputs, normalised, loss=loss(outputs, normalised), weight=5.0)
    result = sums.compute()
    assert result.figures["psnr"] == pytest.approx(20, abs=1e-4)
    assert result.figures["mse"] == pytest.approx(0.01, rel=1e-4)
    assert result.loss == pytest.approx(144 * 0.5 * (0.1 / 0.25) ** 2, rel=1e-4)
    assert task.selected("psnr", task.cost(result, "psnr")) == pytest.approx(20, abs=1e-4)
    judged = task.judged(task.answers(outputs), normalised, criterion=loss)
    assert judged.figures == pytest.approx(dict(result.figures), rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "message", "remedy"),
    [
        ((3, 8, 8), None, ""),
        ((192,), "gives 192", "`- unflatten: {shape: [3, 8, 8]}`"),
        ((10,), "gives 10", "`- linear: {out:"),
        ((16, 8, 8), "gives 16 maps of 8x8", "`- conv: {out: $image_channels"),
        ((3, 4, 4), "gives 3 maps of 4x4", "`- upsample"),
    ],
)
def test_an_output_of_another_shape_is_refused(
    shape: tuple[int, ...], message: str | None, remedy: str
) -> None:
    wrong = Reconstruct(targets=Targets("image")).wrong_image(shape, (3, 8, 8))
    if message is None:
        assert wrong is None
    else:
        assert wrong is not None
        assert message in wrong[0]
        assert remedy in wrong[1]


@pytest.fixture
def problems_of(
    run_file: Callable[..., Path], of_table: Mapping[str, Any]
) -> Callable[[dict[str, Any]], str]:
    """`problems_of(changes)`: what is wrong with a run file of the task, as text."""

    def check(changes: dict[str, Any]) -> str:
        given = {**deepcopy(of_table), "task.name": "reconstruction", **changes}
        _, problems = try_to_load(run_file(given))
        return "\n".join(f"{each.message}; {each.remedy}" for each in problems)

    return check


RESIZE = {"resize": {"size": [8, 8]}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data.transforms.train": [RESIZE, "noise", "horizontal_flip"]},
         "it is random, so the target would be changed differently; move it up"),
        ({"data.transforms.train": [RESIZE, "mixup"]}, "'mixup' mixes classes"),
        ({"data.transforms.eval": [RESIZE, "horizontal_flip"]}, "evaluation must not be"),
        ({"train.evaluate_views": 2}, "several views of an image are averaged"),
        ({"train.loss": {"name": "cross_entropy"}}, "is not for an image (reconstruction)"),
    ],
)  # fmt: skip
def test_rules(
    changes: dict[str, Any], expected: str, problems_of: Callable[[dict[str, Any]], str]
) -> None:
    assert expected in problems_of(changes)


def test_there_are_no_classes(run_file: Callable[..., Path], of_table: Mapping[str, Any]) -> None:
    """`$num_classes` says nothing; at its line, with what to write instead."""
    file = run_file({**deepcopy(of_table), "task.name": "reconstruction"})
    loaded, problems = try_to_load(file)
    assert loaded is not None, problems
    with pytest.raises(ConfigError, match="has no meaning here: no output is of a class"):
        plan_network(loaded)
