"""Remarks on recipes with one number out of place, on healthy neighbours, and the remedies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from cnntrain.assemble.horizon_rules import TrainImages
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.remarks import recipe_remarks
from cnntrain.config.from_python import load_given
from cnntrain.core.remark import Remark

TREE: Mapping[str, Any] = {
    "arch": {
        "layers": [
            {"conv": {"out": 8}},
            {"batch_norm": {"momentum": 0.1}},
            "relu",
            "flatten",
            {"dropout": {"p": 0.2}},
            {"linear": {"out": "$num_classes"}},
        ]
    },
    "data": {"name": "synthetic", "size": 16, "split": {"validation": 0.2}, "batch_size": 32},
    "train": {"epochs": 20, "optimizer": {"name": "sgd", "lr": 0.05}},
}
"""20 epochs of 45 steps: 900 steps."""

IMAGES = TrainImages(images=1440, steps=45, counts=(400, *[130] * 8, 0))
NORM, DROP = "arch.layers.1.batch_norm.momentum", "arch.layers.4.dropout.p"
RATE, WARM = "train.optimizer", "train.schedule.warmup_epochs"
FALLS = "train.schedule={name: multi_step, milestones: %s}"
FOUR_MAPS = "arch.layers=[{conv: {out: 4}}, {dropout2d: {p: 0.5}}, flatten, {linear: {out: 10}}]"
WEIGHTS = "train.loss.class_weights="


@cache
def remarks(*overrides: str, counted: TrainImages | None = IMAGES) -> list[Remark]:
    loaded = load_given(TREE, overrides)
    return recipe_remarks(loaded, plan_network(loaded), counted)


BROKEN: Mapping[str, tuple[Sequence[str], str, bool, str]] = {
    # (1 - 1e-3)^900 = 41 %; (1 - 3e-3)^900 = 6.7 %; (1 - 1e-5)^900 = 99 %
    "slow": ([f"{NORM}=1e-3"], "stale_batch_norm", True, "'batch_norm1' are still 41%"),
    "rather slow": ([f"{NORM}=3e-3"], "stale_batch_norm", False, "still 7%"),
    "frozen": ([f"{NORM}=0"], "stale_batch_norm", True, "still 100%"),
    "the other way round": ([f"{NORM}=0.99"], "averages_too_short", False, "'batch_norm1'"),
    # 1 / (1 - 0.99) = 100 steps, and 900 are 9 times as many
    "heavy": ([f"{RATE}.momentum=0.99"], "momentum_too_long", True, "remembers 100 steps, of 900"),
    # 0.999^2 / sqrt(0.9) = 1.05
    "exchanged": ([f"{RATE}={{name: adam, lr: 1e-3, betas: [0.999, 0.9]}}"],
                  "momentum_too_long", True, "betas 0.999 and 0.9"),
    # 0.9 of the top comes after 0.9 of 18 of 20 epochs; of 9
    "warm-up": ([f"{WARM}=18"], "rate_rises_late", True, "81%"),
    "half a warm-up": ([f"{WARM}=9"], "rate_rises_late", False, "41%"),
    "cycle": (["train.schedule={name: one_cycle, rise: 0.9}"], "rate_rises_late", True, "7"),
    "falls at once": ([FALLS % "[1, 2]"], "rate_falls_early", True, "after 10%"),
    "falls soon": ([FALLS % "[2, 4]"], "rate_falls_early", False, "after 20%"),
    "restarted": (["train.schedule={name: cosine_restarts, first_epochs: 19}"],
                  "rate_ends_high", False, "99% of the top"),
    "one batch": (["data.batch_size=1440", "train.epochs=20"], "few_steps", True, "20 steps"),
    "points": (["train.early_stop={patience: 9, min_delta: 0.5}"],
               "stops_early", True, "50 points"),
    "never divided": (["train.early_stop={patience: 5}", "train.schedule={name: plateau}"],
                      "stops_early", True, "plateau schedule"),
    "impatient": (["train.early_stop={patience: 1}", "train.schedule={name: cosine}"],
                  "stops_early", False, "after 1 of 20 epochs"),
    "two images": (["data.batch_size=2"], "few_values_in_batch_norm", True, "392 values of 2 i"),
    "four images": (["data.batch_size=4"], "few_values_in_batch_norm", False, "of 4 images"),
    "cut up": (["train.accumulate=16"], "few_values_in_batch_norm", True, "cuts 32 into 16"),
    # p = 0.325 and 0.075: 2.11 of ln 10 = 2.30; p = 0.46 and 0.06: 1.88
    "smooth": (["train.loss.label_smoothing=0.75"], "too_much_smoothing", True, "leaves 8%"),
    "rather smooth": (["train.loss.label_smoothing=0.6"], "too_much_smoothing", False, "19%"),
    "hidden": ([f"{DROP}=0.95"], "too_much_dropout", True, "'dropout1' hides 95%"),
    "much hidden": ([f"{DROP}=0.8"], "too_much_dropout", False, "hides 80%"),
    # half of 4 maps; log2(10) = 3.3
    "few maps": ([FOUR_MAPS],
                 "too_much_dropout", False, "leaves 2 of 4 values"),
    # 0.05 / (1 - 0.9) * 0.3 = 0.15 of the weights in a step; 0.5 * 0.06 = 1 / 33
    "decay": ([f"{RATE}.weight_decay=0.3"], "too_much_decay", True, "in 7 steps"),
    "some decay": ([f"{RATE}.weight_decay=0.06"], "too_much_decay", False, "in 33 steps"),
    "decoupled": ([f"{RATE}={{name: adamw, lr: 0.01, weight_decay: 10}}"],
                  "too_much_decay", True, "in 10 steps"),
    # 1/2 + 2^-100 / (50 B(50, 50)) = 0.54
    "all half": (["data.transforms.train=[normalize, {mixup: {alpha: 50}}]"],
                 "too_much_augmentation", False, "about half of another one"),
}  # fmt: skip
"""Overrides, the fault, whether it is certain, and what the headline names."""

HEALTHY = {
    "as it is": [],
    "usual decay": [f"{RATE}.weight_decay=5e-4"],
    "much decoupled decay": [f"{RATE}={{name: adamw, lr: 1e-3, weight_decay: 0.5}}"],
    "slow statistics that arrive": [f"{NORM}=0.01"],
    "statistics measured afterwards": [f"{NORM}=1e-3", "train.recalibrate=true"],
    "mean of all batches": [f"{NORM}=null"],
    "long average of weights": ["train.ema={decay: 0.9999}"],
    "one cycle": ["train.schedule={name: one_cycle}"],
    "cosine with warm-up": ["train.schedule={name: cosine, warmup_epochs: 2}"],
    "steps": [FALLS % "[10, 15]"],
    "restarts that end": ["train.schedule={name: cosine_restarts, first_epochs: 5}"],
    "patience": ["train.early_stop={patience: 5}", "train.schedule={name: cosine}"],
    "plateau": ["train.early_stop={patience: 10}", "train.schedule={name: plateau}"],
    "eight images": ["data.batch_size=8"],
    "smoothing": ["train.loss.label_smoothing=0.2"],
    "half of the units": [f"{DROP}=0.5"],
    "mixed": ["data.transforms.train=[normalize, {mixup: {alpha: 0.2}}]"],
    "cut and mixed": ["data.transforms.train=[normalize, cutmix]"],
    "lion": [f"{RATE}={{name: lion, lr: 1e-4, weight_decay: 1}}"],
    "adam of other betas": [f"{RATE}={{name: adam, lr: 1e-3, betas: [0.5, 0.9]}}"],
}


def counted_for(overrides: Sequence[str]) -> TrainImages:
    """1,440 images in batches of the size that is set."""
    size = int(next((each[16:] for each in overrides if each.startswith("data.batch_size")), 32))
    return replace(IMAGES, steps=-(-IMAGES.images // size))


@pytest.mark.parametrize("name", BROKEN)
def test_a_number_out_of_place_is_named(name: str) -> None:
    overrides, fault, is_certain, named = BROKEN[name]
    (found,) = remarks(*overrides, counted=counted_for(overrides))
    assert (found.fault, found.is_certain) == (fault, is_certain)
    assert named in found.headline
    mended = (*overrides, *found.overrides)
    assert remarks(*mended, counted=counted_for(mended[::-1])) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_neighbours_get_no_remark(name: str) -> None:
    overrides = HEALTHY[name]
    assert remarks(*overrides, counted=counted_for(overrides)) == []
    assert remarks(*overrides, counted=None) == []


@pytest.mark.parametrize(
    ("weights", "counts", "words"),
    [
        ([4.0] + [1.0] * 9, (400, *[100] * 9), "large where images are many"),
        ([0.0] + [1.0] * 9, (130,) * 10, "the class weight of 0 is 0"),
        ([0.0] + [1.0] * 9, (400, *[100] * 9), "the class weight of 0 is 0"),
        ([0.25] + [1.0] * 9, (400, *[100] * 9), ""),
        ([4.0] + [1.0] * 9, (120, *[100] * 9), ""),  # nearly even classes, one more important
        ([40.0, 1.0] * 5, (100,) * 10, "40 times more uneven"),
        ([40.0, 1.0] * 5, (*[400] * 8, 10, 10), "40 times more uneven"),
    ],
)
def test_class_weights_against_the_images(
    weights: list[float], counts: tuple[int, ...], words: str
) -> None:
    found = remarks(f"{WEIGHTS}{weights}", counted=replace(IMAGES, counts=counts))
    assert [each.fault for each in found] == ["class_weights_upside_down"] * bool(words)
    if found:
        assert words in found[0].headline
        assert found[0].overrides == ("train.loss.class_weights=balanced",)


def test_before_images_are_counted_only_the_worst_is_remarked_on() -> None:
    """Of 10,000 steps in an epoch: (1 - 1e-5)^200,000 = 14 %, and (1 - 1e-3)^200,000 is 0."""
    (found,) = remarks(f"{NORM}=1e-5", counted=None)
    assert "still 14%" in found.headline
    assert remarks(f"{NORM}=1e-3", counted=None) == []
    assert remarks(f"{RATE}.momentum=0.99", counted=None) == []
