"""The edges of what is allowed: the last value that is obeyed, the first that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError

OPTIMIZER = "train.optimizer={{name: adam, lr: 1e-3, betas: [0.9, {}]}}"
STEP = "train.schedule={{name: step, every: {}}}"
MILESTONE = "train.schedule={{name: multi_step, milestones: [{}]}}"
RISE = "train.schedule={{name: multi_step, milestones: [2], warmup_epochs: {}}}"
WARMUP = "train.schedule={{name: constant, warmup_epochs: {}}}"

EDGES = {
    "a batch of 32 images in 32 parts": ("train.accumulate={}", "32", "33", "cannot be cut into"),
    "all 10 epochs are warm-up": (WARMUP, "10.0", "10.5", "the warm-up takes 10.5 epochs, but"),
    "a milestone before the last epoch": (MILESTONE, "9", "10", "is never reached"),
    "a milestone where the warm-up ends": (RISE, "2.0", "2.5", "is inside the warm-up"),
    "the rate changes before the last epoch": (STEP, "9", "10", "would change after 10 epochs"),
    "one evaluation, at the end": ("train.evaluate_every={}", "10", "11", "is never reached"),
    "beta below 1": (OPTIMIZER, "0.99999", "1.0", "numbers from 0 to below 1"),
    "beta of 0": (OPTIMIZER, "0.0", "-0.1", "numbers from 0 to below 1"),
    "more than nothing held out": ("data.split.validation={}", "0.001", "0.0", "between 0 and 1"),
    "less than all held out": ("data.split.validation={}", "0.999", "1.0", "between 0 and 1"),
}


@pytest.mark.parametrize("edge", EDGES)
def test_the_last_value_that_is_obeyed_and_the_first_that_is_refused(
    run_file: Path, edge: str
) -> None:
    override, obeyed, refused, message = EDGES[edge]
    load(run_file, [override.format(obeyed)])
    with pytest.raises(ConfigError, match=message):
        load(run_file, [override.format(refused)])
