"""Small networks learn real images by heart: no error in evaluation mode after 100 steps.

Grey networks get scikit-learn's digits, colour ones CIFAR-10, at the size that they are made for;
64 images where that takes a second, else 8. `scripts/try_archs` does it with 64 for all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import make_network
from cnntrain.data.batch import Batch
from cnntrain.data.crops import make_views
from cnntrain.data.splits import Files
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Recipe
from cnntrain.train.evaluation import evaluation_mode
from cnntrain.train.precision import Precision
from cnntrain.train.step import forward_backward, update

Arch = Callable[[str], Plan]

GREY = [
    *[("softmax_regression", 64), ("lenet300", 64), ("conv_lenet300_v3", 64), ("lenet1", 64)],
    ("conv_lenet300_stride", 64),
    *[("lenet5", 64), ("lenet5_1998", 64), ("digits", 64), ("maxout", 8)],
]
COLOUR = [
    *[("bn_before_relu", 64), ("bn_after_relu", 64), ("lcn_net", 64), ("locally_connected", 8)],
    *[("multi_scale", 8), ("lab_stack", 8), ("alexnet_cifar", 8), ("plain20", 8), ("resnet20", 8)],
    ("dropconnect", 8),
]


def digits(plan: Plan, number: int) -> Batch:
    bunch = load_digits()
    pixels = torch.tensor(bunch.images[:number], dtype=torch.float32)[:, None]
    images = functional.interpolate(pixels, size=plan.body.in_shape[1:], mode="bilinear")
    return Batch((images - images.mean()) / images.std(), torch.tensor(bunch.target[:number]))


@cache
def files_of(train: Path) -> list[Path]:
    """The first seven of each class, a class in turn."""
    listed = [sorted(folder.iterdir())[:7] for folder in sorted(train.iterdir())]
    return [file for each in zip(*listed, strict=True) for file in each]


def photographs(plan: Plan, number: int, *, root: Path) -> Batch:
    files = files_of(root / "cifar10" / "train")
    size = list(plan.body.in_shape[1:])
    views = make_views([{"name": "resize", "size": size}], crops="center")
    part = Files(tuple(files[:number]), torch.zeros(number, dtype=torch.int64), 3)
    images = views.prepare(torch.stack([views.read(part, i)[0] for i in range(len(part))]))
    return Batch((images - images.mean()) / images.std(), torch.arange(number) % 10)


def learns_by_heart(plan: Plan, batch: Batch, *, precision: Precision = "float32") -> bool:
    net = make_network(plan, seed=0)
    learner = Learner(net, adamw(groups=parameter_groups(net)), precision=precision)
    recipe = Recipe(epochs=1, lr=1e-3, norm_every=0)
    torch.manual_seed(0)
    for step in range(1, 101):
        outcome = forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)
        update(learner, outcome, recipe=recipe)
        if step % 10 == 0:
            with evaluation_mode(net), torch.inference_mode():
                if torch.equal(net(batch.images).argmax(dim=1), batch.targets):
                    return True
    return False


@pytest.mark.parametrize(("name", "number"), GREY)
def test_digits(name: str, number: int, arch: Arch) -> None:
    plan = arch(name)
    assert learns_by_heart(plan, digits(plan, number))


@pytest.mark.parametrize(("name", "number"), COLOUR)
def test_photographs(name: str, number: int, arch: Arch, real_data: Path) -> None:
    plan = arch(name)
    assert learns_by_heart(plan, photographs(plan, number, root=real_data))


@pytest.mark.parametrize("name", ["lenet5", "digits"])
def test_in_bfloat16(name: str, arch: Arch) -> None:
    plan = arch(name)
    assert learns_by_heart(plan, digits(plan, 64), precision="bfloat16")
