"""A small valid run file, and catalogues without plugins of other tests."""

from pathlib import Path

import pytest

RUN_FILE = """\
# a comment
arch:
  vars: {width: 8}
  layers:
    - conv: {out: $width, kernel: 5}
    - relu
    - flatten
    - linear: {out: $num_classes}
vars: {width: 16}
seed: 3
compute: {device: cpu, precision: bfloat16, channels_last: false}
data:
  name: mnist
  root: pictures
  split: {validation: 0.1}
  batch_size: 32
  transforms:
    train:
      - random_crop: {size: 28, padding: 2}
      - normalize
train:
  epochs: 10
  loss: {name: cross_entropy, label_smoothing: 0.1}
  optimizer:
    name: sgd
    lr: 1e-2
    momentum: 0.9
    nesterov: true
    weight_decay: 5e-4
    groups:
      - {names: "fc*", lr_factor: 2}
  schedule: {name: multi_step, milestones: [4, 8], warmup_epochs: 0.5}
  clip_norm: 1.0
  early_stop: {patience: 5}
record: {every: 10}
"""


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`run.yaml` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN_FILE)
    return Path("run.yaml")
