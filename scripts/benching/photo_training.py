"""ResNet-18 and AlexNet on JPEG photographs: the whole of `fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torchvision import datasets, models, transforms

from benching import peers
from benching.row import Row, row, skipped
from benching.setting import Setting, missing
from benching.training import Rival, Taken, repeated, whole_fit
from cnntrain.config.load import load

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BARE = "bare loop over one ready batch, no image read"
TUTORIAL = "tutorial loop: PIL image by image, DataLoader"
TIMM = "tutorial loop with timm's loader"
LIGHTNING = "Lightning as it comes, tutorial's DataLoader"
IMAGES = 1_281_167
"""Of ImageNet: the end of an epoch is spread over as many."""
TEXT = """
arch: archs/{arch}.yaml
data:
  name: image_folder
  root: {root}
  split: {{validation: false}}
  batch_size: {batch}
  workers: 0{more}
  transforms:
    train:
      - random_resized_crop: {{size: 224}}
      - horizontal_flip
      - normalize: {{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}
    eval:
      - resize: {{size: 256}}
      - center_crop: {{size: 224}}
      - normalize: {{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}
train:
  epochs: 1000
  optimizer: {{name: sgd, lr: 0.001, momentum: 0.9}}
"""


@dataclass(frozen=True)
class Job:
    """A network: its architecture, torchvision's model of it, and images in a step."""

    arch: str
    model: Callable[..., nn.Module]
    name: str
    batch: int


def resnet18(setting: Setting) -> Iterator[Row]:
    """Next to a bare loop, the tutorials' loop, timm's loader and Lightning."""
    yield from _rows(Job("resnet18", models.resnet18, "ResNet-18", 8), setting)


def alexnet(setting: Setting) -> Iterator[Row]:
    """Next to a bare loop, the tutorials' loop, timm's loader and Lightning."""
    yield from _rows(Job("alexnet_torchvision", models.alexnet, "AlexNet", 16), setting)


def _rows(job: Job, setting: Setting) -> Iterator[Row]:
    rivals = _rivals(job, setting)
    what = f"{job.name}, photographs at 224, batches of {job.batch}: `fit`"
    taken = _taken(job, setting, rivals, name="plain")
    for peer in (BARE, TUTORIAL, TIMM, LIGHTNING):
        if peer in rivals:
            yield _row(what, peer, taken)
        else:
            package = "timm" if peer == TIMM else "lightning"
            yield skipped("", what, peer, because=missing(package))
    few = {peer: rivals[peer] for peer in (BARE, TUTORIAL)}
    cached = _taken(job, setting, few, name="cached", more="\n  cache: {short_side: 256}")
    for peer in few:
        yield _row(f"{what}, `data.cache`", peer, cached)


def _taken(
    job: Job, setting: Setting, rivals: dict[str, Rival], *, name: str, more: str = ""
) -> Taken:
    root = setting.folder("hymenoptera")
    file = setting.scratch / f"{name}.yaml"
    file.write_text(TEXT.format(arch=job.arch, root=root, batch=job.batch, more=more))
    return whole_fit(load(file), rivals=rivals, turn=1, turns=setting.rounds,
                     out=setting.scratch / name, steps_per_epoch=IMAGES // job.batch)  # fmt: skip


def _row(what: str, peer: str, taken: Taken) -> Row:
    return row("", what, peer, taken.ratios(peer), ours=taken.rate("cnntrain"),
               theirs=taken.rate(peer), note="no workers" if peer == BARE else "")  # fmt: skip


def _rivals(job: Job, setting: Setting) -> dict[str, Rival]:
    folder = str(setting.folder("hymenoptera") / "train")
    sgd = peers.Sgd(0.001)

    def net() -> nn.Module:
        return job.model(num_classes=2)

    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = datasets.ImageFolder(folder, transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(images, batch_size=job.batch, shuffle=True)
    ready = next(iter(loader))
    ready[0] = ready[0].contiguous(memory_format=torch.channels_last)
    rivals = {
        BARE: repeated(peers.bare(net(), peers.one_batch(*ready), sgd=sgd), 1),
        TUTORIAL: repeated(peers.tutorial(net(), loader, sgd=sgd), 1),
    }
    if not missing("timm"):
        theirs = peers.timm_loader(
            datasets.ImageFolder(folder), shape=(3, 224, 224), batch=job.batch, mean=MEAN, std=STD,
            color_jitter=0.0,
        )  # fmt: skip
        rivals[TIMM] = repeated(peers.tutorial(net(), theirs, sgd=sgd), 1)
    if not missing("lightning"):
        rivals[LIGHTNING] = peers.lightning(net(), loader, sgd=sgd, steps=1,
                                            root=setting.scratch / "lightning")  # fmt: skip
    return rivals
