"""Small trainings of several kinds, and whether two runs of one are the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from compared import contents
from PIL import Image

NETWORK = """
  layers:
    - conv: {out: 6, kernel: 3, padding: same}
    - batch_norm
    - relu
    - max_pool: {kernel: 2, stride: 2}
    - dropout: {p: 0.2}
    - flatten
    - linear: {out: $num_classes}
"""
WIDE = NETWORK.replace("- flatten\n", "- flatten\n    - linear: {out: 20000}\n    - relu\n")
"""With a state of 26 MB, which is written while training continues."""
JOBS = {
    "cosine": """
data:
  name: digits
  split: {validation: 0.2}
  batch_size: 128
  transforms: {train: [{affine: {rotate: 8, translate: 0.1}}, normalize, {mixup: {alpha: 0.3}}],
               eval: [normalize]}
train:
  epochs: 4
  recalibrate: true
  optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
  schedule: {name: cosine}
  ema: {decay: 0.9}
""",
    "plateau": """
data:
  name: synthetic
  size: 12
  images: 600
  test_images: 200
  split: {validation: 0.25}
  batch_size: 32
  transforms: {train: [{random_crop: {size: 12, padding: 2}}, horizontal_flip, normalize],
               eval: [normalize]}
train:
  epochs: 4
  optimizer: {name: adamw, lr: 0.01}
  schedule: {name: plateau, patience: 1}
  early_stop: {patience: 3}
  clip_norm: 1.0
record: {checkpoint_every: 4, every: 3}
""",
    "workers": """
data:
  name: image_folder
  root: pictures
  batch_size: 16
  workers: 2
  memory: stream
  transforms: {train: [{random_resized_crop: {size: 16}}, horizontal_flip, normalize],
               eval: [{resize: {size: 16}}, {center_crop: {size: 16}}, normalize]}
train:
  epochs: 3
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9, nesterov: true}
  schedule: {name: one_cycle}
  ema: {decay: 0.9}
record: {checkpoint_every: 3, every: 2}
""",
    "no_workers": """
data:
  name: image_folder
  root: pictures
  batch_size: 16
  workers: 0
  memory: stream
  transforms: {train: [{random_resized_crop: {size: 16}}, normalize, {cutmix: {alpha: 1.0}}],
               eval: [{resize: {size: 16}}, {center_crop: {size: 16}}, normalize]}
train:
  epochs: 3
  recalibrate: true
  optimizer: {name: lion, lr: 0.003}
  schedule: {name: step, every: 1, factor: 0.5}
  accumulate: 2
record: {every: 4}
""",
    "scaled": """
compute: {threads: 1, precision: float16}
data:
  name: synthetic
  size: 12
  images: 400
  test_images: 100
  validation: 0.25
  batch_size: 32
  transforms: {train: [rand_augment, normalize, {mixup: {alpha: 0.3}}], eval: [normalize]}
train:
  epochs: 3
  on_divergence: skip
  clip_norm: 1.0
  optimizer: {name: sgd, lr: 0.1, momentum: 0.9}
  schedule: {name: plateau, patience: 1}
  early_stop: {patience: 3}
  ema: {decay: 0.9}
record: {every: 3}
""",
    "wide": """
data:
  name: digits
  split: {validation: 0.2}
  batch_size: 128
train:
  epochs: 4
  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}
  schedule: {name: cosine}
  ema: {decay: 0.9}
record: {checkpoint_every: 5, every: 4, best_weights_only: true}
""",
}
"""Run files without their network: what can be in a checkpoint, in few seconds each."""
FILES = ("checkpoints/last.pt", "checkpoints/best.pt", "metrics.jsonl", "metrics.csv",
         "summary.json", "config.yaml", "classes.txt", "plan.json")  # fmt: skip
"""Those of a run's folder that must be the same, whatever happened to it on its way."""
UNEVEN = ("checkpoints", "peak_memory_bytes", "digest")
"""Keys of summary.json that count what a process did, and a checkpoint's hash, times included."""


def write_job(name: str, place: Path) -> Path:
    """A run file, beside the pictures that it needs."""
    network = WIDE if name == "wide" else NETWORK
    text = f"name: {name}\nseed: 3\narch:{network}{JOBS[name].lstrip()}"
    text += "" if "\ncompute:" in text else "compute: {threads: 1}\n"
    file = place / f"{name}.yaml"
    file.write_text(text.replace("root: pictures", f"root: {place / 'pictures'}"))
    if "root: pictures" in text and not (place / "pictures").is_dir():
        draw_pictures(place / "pictures")
    return file


def draw_pictures(root: Path, *, each: int = 20, classes: int = 3) -> None:
    """Class folders of small PNGs: stripes of a direction each, with noise."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:20, :24]
    for split in ("train", "val", "test"):
        for number in range(classes):
            folder = root / split / f"class{number}"
            folder.mkdir(parents=True)
            angle = np.pi * number / classes
            for image in range(each):
                wave = np.cos(angle) * rows + np.sin(angle) * columns + random.uniform(0, 9)
                grey = 128 + 60 * np.sin(wave) + random.normal(0, 20, wave.shape)
                pixels = np.stack([grey, grey, 255 - grey], 2).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{image}.png")


def differences(run: Path, undisturbed: Path) -> list[str]:
    """Where a run's folder is not that of the undisturbed one, times aside."""
    names = {str(run): "RUN", str(undisturbed): "RUN"}
    found = []
    for name in FILES:
        ours, theirs = run / name, undisturbed / name
        if not theirs.is_file():
            found += [f"{name} was added"] if ours.is_file() else []
        elif not ours.is_file():
            found.append(f"{name} is gone")
        else:
            one, other = (_read(file, names) for file in (theirs, ours))
            found += [f"{d.place}: {d.what}" for d in contents.differences(one, other, name)]
    one, other = scalars(undisturbed / "tb"), scalars(run / "tb")
    found += [f"{d.place}: {d.what}" for d in contents.differences(one, other, "tb")]
    known = {path.relative_to(undisturbed) for path in undisturbed.rglob("*")}
    extra = {path.relative_to(run) for path in run.rglob("*")} - known
    return found + [f"{path} was added" for path in extra if path.parts[0] != "tb"]


def amounts(run: Path) -> dict[str, int]:
    """How much a comparison with this run compares."""
    import torch

    states = [
        torch.load(file, weights_only=True) for file in sorted((run / "checkpoints").glob("*st.pt"))
    ]
    rows = [(run / name).read_text().count("\n") for name in ("metrics.jsonl", "metrics.csv")]
    return {
        "tensors": sum(map(_tensors, states)),
        "rows of metrics": sum(rows) - 1,  # without the line of names
        "scalars of TensorBoard": sum(map(len, scalars(run / "tb").values())),
    }


def _tensors(value: Any) -> int:
    if isinstance(value, Mapping):
        return sum(map(_tensors, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_tensors, value))
    return int(type(value).__name__ in ("Tensor", "Parameter"))


def scalars(folder: Path) -> dict[str, Any]:
    """What TensorBoard would show: by tag, steps and values; times aside; steps of what else is."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, Any] = {}
    for each in sorted({file.parent for file in folder.rglob("*tfevents*")}):
        board = EventAccumulator(str(each), size_guidance={"scalars": 0, "tensors": 0, "images": 0})
        name = each.relative_to(folder)
        try:
            board.Reload()
        except Exception as error:  # noqa: BLE001  # damage may raise anything
            found[str(name)] = f"damaged: {type(error).__name__}"
            continue
        tags = board.Tags()
        for tag in tags["scalars"]:
            if not any(word in tag for word in ("seconds", "images_per_second", "wait", "memory")):
                rows = [[event.step, event.value] for event in board.Scalars(tag)]
                found[f"{name}/{tag}"] = rows
        for kind in ("tensors", "images"):
            for tag in tags[kind]:
                events = board.Tensors(tag) if kind == "tensors" else board.Images(tag)
                found[f"{name}/{kind}/{tag}"] = [event.step for event in events]
    return found


def _read(file: Path, names: Mapping[str, str]) -> Any:
    """A file's contents, without what is uneven; a sentence where they are damaged."""
    try:
        return _even(contents.read(file, names))
    except Exception as error:  # noqa: BLE001  # damage may raise anything
        return f"damaged: {type(error).__name__}"


def _even(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: item for key, item in value.items() if key not in UNEVEN}
    return value


def as_json(value: object) -> str:
    """For the counts of a part."""
    return json.dumps(value, indent=1, default=str)


Note = Callable[[str], None]
"""Says on stderr what is being done."""
