"""Healthy run files: eight data sets, eight networks, and what is unusual but right."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

Tree = dict[str, Any]

PLUGIN = str(Path(__file__).with_name("drawn_sets.py"))


@dataclass(frozen=True)
class DataSet:
    """What the generator knows of a data set.

    `turns`: whether images may be mirrored (`flip`), turned (`turn`), or lose their colour (`hue`)
    and stay in their class; `needs_files` where it reads real images.
    """

    name: str
    channels: int
    size: int
    classes: int
    flip: bool
    turn: bool
    hue: bool
    needs_files: bool = False

    @property
    def short(self) -> str:
        """Its name in the name of a set-up."""
        return self.name.removeprefix("planted_")


DATA_SETS = (
    DataSet("planted_digits", 1, 8, 10, flip=False, turn=False, hue=True),
    DataSet("planted_mnist", 1, 28, 10, flip=False, turn=False, hue=True, needs_files=True),
    DataSet("planted_cifar", 3, 32, 10, flip=True, turn=False, hue=True, needs_files=True),
    DataSet("planted_vehicles", 3, 32, 4, flip=True, turn=False, hue=True, needs_files=True),
    DataSet("planted_horses", 3, 32, 2, flip=True, turn=False, hue=True, needs_files=True),
    DataSet("planted_shapes", 1, 24, 4, flip=True, turn=False, hue=True),
    DataSet("planted_arrows", 1, 20, 4, flip=False, turn=False, hue=True),
    DataSet("planted_colours", 3, 16, 6, flip=True, turn=True, hue=False),
)


@dataclass(frozen=True)
class Base:
    """A healthy run file, and what it is made of."""

    tree: Tree
    data: DataSet
    net: str

    @property
    def layers(self) -> list[Any]:
        """Those of its architecture, to be changed."""
        found: list[Any] = self.tree["arch"]["layers"]
        return found

    def has(self, kind: str) -> bool:
        """Whether a layer of this kind is there, at any depth."""
        return kind in str(self.layers)

    def copy(self) -> Base:
        """One that may be changed."""
        return Base(copy.deepcopy(self.tree), self.data, self.net)


def conv(out: int, *, kernel: int = 3, stride: int = 1, **more: Any) -> Tree:
    padding: Any = "same" if stride == 1 else kernel // 2
    return {"conv": {"out": out, "kernel": kernel, "stride": stride, "padding": padding, **more}}


HEAD = {"linear": {"out": "$num_classes"}}
POOL = {"max_pool": {"kernel": 2}}


def _perceptron(_: DataSet) -> list[Any]:
    return ["flatten", {"linear": {"out": 64}}, "relu", {"linear": {"out": 32}}, "relu", HEAD]


def _lenet(data: DataSet) -> list[Any]:
    kernel = 5 if data.size > 12 else 3
    return [conv(8, kernel=kernel), "relu", POOL, conv(16, kernel=kernel), "relu", POOL, "flatten",
            {"linear": {"out": 48}}, "relu", HEAD]  # fmt: skip


def _plain(data: DataSet) -> list[Any]:
    more = [POOL, conv(24), "relu"] if data.size > 12 else []
    return [conv(12), "relu", POOL, conv(24), "relu", *more, "flatten", {"dropout": {"p": 0.3}},
            {"linear": {"out": 48}}, "relu", HEAD]  # fmt: skip


def _normed(data: DataSet) -> list[Any]:
    strides = (1, 2, 2) if data.size > 12 else (1, 1, 2)
    outs = (12, 24, 32)
    body = [[conv(o, stride=s), "batch_norm", "relu"] for o, s in zip(outs, strides, strict=True)]
    return [*chain(*body), "global_avg_pool", HEAD]


def _residual(data: DataSet) -> list[Any]:
    def block(out: int) -> Tree:
        return {"residual": {"body": [conv(out), "batch_norm", "relu", conv(out), "batch_norm"]}}

    first = [conv(12, stride=2 if data.size > 20 else 1), "batch_norm", "relu"]
    down = [conv(24, stride=2), "batch_norm", "relu"]
    return [*first, block(12), "relu", *down, block(24), "relu", "global_avg_pool", HEAD]


def _grouped(data: DataSet) -> list[Any]:
    norm = {"group_norm": {"groups": 4}}
    strides = (2, 2) if data.size > 12 else (1, 2)
    body = [[conv(o, stride=s), norm, "leaky_relu"] for o, s in zip((16, 32), strides, strict=True)]
    return [*chain(*body), "flatten", {"linear": {"out": 32}}, "relu", HEAD]


def _branched(data: DataSet) -> list[Any]:
    paths = {"one": [conv(8, kernel=1), "relu"], "three": [conv(8), "relu"],
             "five": [conv(8, kernel=5), "relu"]}  # fmt: skip
    first = [conv(12, stride=2 if data.size > 20 else 1), "batch_norm", "relu"]
    return [*first, {"branches": {"merge": "concat", "paths": paths}}, POOL, conv(24), "batch_norm",
            "relu", "flatten", HEAD]  # fmt: skip


def _tanh(data: DataSet) -> list[Any]:
    more = [{"avg_pool": {"kernel": 2}}, conv(16, kernel=5), "tanh"] if data.size > 12 else []
    return [conv(8, kernel=5), "tanh", {"avg_pool": {"kernel": 2}}, *more, "flatten",
            {"linear": {"out": 48}}, "tanh", HEAD]  # fmt: skip


NETS: Mapping[str, Callable[[DataSet], list[Any]]] = {
    "perceptron": _perceptron,
    "lenet": _lenet,
    "plain": _plain,
    "normed": _normed,
    "residual": _residual,
    "grouped": _grouped,
    "branched": _branched,
    "tanh": _tanh,
}

RECIPES: Mapping[str, Tree] = {
    "sgd": {"optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 5e-4}},
    "cosine": {
        "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 1e-4},
        "schedule": {"name": "cosine", "warmup_epochs": 1},
    },
    "adam": {"optimizer": {"name": "adam", "lr": 2e-3}},
    "adamw": {
        "optimizer": {"name": "adamw", "lr": 3e-3, "weight_decay": 0.01},
        "schedule": {"name": "cosine"},
    },
}
WITHOUT_NORM = {"sgd": 0.02, "cosine": 0.02, "adam": 1e-3, "adamw": 1e-3}
"""Rates for networks that do not normalise what their layers give."""


def base(random_: random.Random, *, with_files: bool) -> Base:
    """A healthy run file, drawn."""
    data = random_.choice([each for each in DATA_SETS if with_files or not each.needs_files])
    nets = [name for name in NETS if not (name == "perceptron" and data.name in _NOT_BY_PIXELS)]
    net, recipe = random_.choice(nets), random_.choice(list(RECIPES))
    train = copy.deepcopy(RECIPES[recipe])
    layers = NETS[net](data)
    if "_norm" not in str(layers):
        train["optimizer"]["lr"] = WITHOUT_NORM[recipe]
    steps: list[Any] = []
    if data.flip and random_.random() < 0.5:
        steps.append("horizontal_flip")
    if random_.random() < 0.4:
        steps.append({"random_crop": {"size": data.size, "padding": max(data.size // 12, 1)}})
    section: Tree = {
        "name": data.name,
        "batch_size": random_.choice([32, 50]),
        "transforms": {"train": [*steps, "normalize"], "eval": ["normalize"]},
    }
    if data.needs_files:
        section["root"] = "data"
    tree: Tree = {
        "plugins": [PLUGIN],
        "seed": random_.randrange(1000),
        "arch": {"layers": layers},
        "data": section,
        "train": {"epochs": 20, **train},
        "record": {"tensorboard": False},
    }
    return Base(tree, data, net)


_NOT_BY_PIXELS = ("planted_shapes", "planted_arrows")
"""Objects at any place, which a perceptron learns slowly."""


def unusual(found: Base, random_: random.Random) -> tuple[Base, str]:
    """The same with one thing that few people do and that is right, in words."""
    changed = found.copy()
    while not (said := random_.choice(UNUSUAL)(changed)):
        pass
    return changed, said


def _smoothing(changed: Base) -> str:
    changed.tree["train"]["loss"] = {"name": "cross_entropy", "label_smoothing": 0.1}
    return "label smoothing of 0.1"


def _average(changed: Base) -> str:
    changed.tree["train"]["ema"] = {"decay": 0.98}
    return "a short moving average"


def _clipped(changed: Base) -> str:
    changed.tree["train"]["clip_norm"] = 2.0
    return "gradients clipped at a usual norm"


def _large_batches(changed: Base) -> str:
    changed.tree["data"]["batch_size"] = 200
    changed.tree["train"]["epochs"] = 40
    return "batches of 200"


def _small_batches(changed: Base) -> str:
    changed.tree["data"]["batch_size"] = 10
    changed.tree["train"]["optimizer"]["lr"] /= 3
    return "batches of 10"


def _parts(changed: Base) -> str:
    changed.tree["train"]["accumulate"] = 2
    return "each batch in two parts"


def _no_momentum(changed: Base) -> str:
    optimizer = changed.tree["train"]["optimizer"]
    if optimizer["name"] != "sgd":
        return ""
    optimizer |= {"momentum": 0.0, "lr": min(5 * optimizer["lr"], 0.2)}
    return "no momentum, a higher rate"


def _erased(changed: Base) -> str:
    steps = changed.tree["data"]["transforms"]["train"]
    steps.append({"random_erasing": {"probability": 0.5}})
    return "random erasing"


def _mixed(changed: Base) -> str:
    changed.tree["data"]["transforms"]["train"].append({"mixup": {"alpha": 0.2}})
    changed.tree["train"]["epochs"] = 30
    return "mixup"


def _kaiming(changed: Base) -> str:
    changed.tree["arch"]["init"] = [{"weight": "kaiming", "bias": 0}]
    return "kaiming weights"


def _hinge(changed: Base) -> str:
    changed.tree["train"]["loss"] = {"name": "hinge"}
    return "a hinge loss"


def _dropped(changed: Base) -> str:
    changed.layers.insert(-1, {"dropout": {"p": 0.5}})
    return "dropout of 0.5 before the last layer"


def _unscaled(changed: Base) -> str:
    for part in ("train", "eval"):
        changed.tree["data"]["transforms"][part].remove("normalize")
    return "pixels from 0 to 1"


def _sigmoids(changed: Base) -> str:
    changed.tree["train"]["loss"] = {"name": "binary_cross_entropy"}
    return "each class by itself, with a sigmoid"


def _swish(changed: Base) -> str:
    if not changed.has("relu"):
        return ""
    text = json.dumps(changed.layers).replace('"leaky_relu"', '"silu"').replace('"relu"', '"silu"')
    changed.tree["arch"]["layers"] = json.loads(text)
    return "silu in place of relu"


def _one_cycle(changed: Base) -> str:
    changed.tree["train"]["schedule"] = {"name": "one_cycle"}
    changed.tree["train"]["optimizer"]["lr"] *= 2
    return "one cycle up to twice the rate"


def _views(changed: Base) -> str:
    if not changed.data.flip:
        return ""
    changed.tree["train"]["evaluate_views"] = 2
    return "evaluated together with the mirror image"


def _orthogonal(changed: Base) -> str:
    changed.tree["arch"]["init"] = [{"weight": {"orthogonal": {"gain": 1.4}}, "bias": 0}]
    return "orthogonal weights"


def _lion(changed: Base) -> str:
    optimizer = changed.tree["train"]["optimizer"]
    if not optimizer["name"].startswith("adam"):
        return ""
    changed.tree["train"]["optimizer"] = {"name": "lion", "lr": optimizer["lr"] / 5}
    return "Lion at a fifth of Adam's rate"


UNUSUAL: tuple[Callable[[Base], str], ...] = (
    *(_smoothing, _average, _clipped, _large_batches, _small_batches, _parts, _no_momentum),
    *(_erased, _mixed, _kaiming, _hinge, _dropped, _unscaled),
    *(_sigmoids, _swish, _one_cycle, _views, _orthogonal, _lion),
)
"""Each changes a run file, and says what it did; nothing where it does not apply."""
