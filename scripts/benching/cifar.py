"""ResNet-20 on CIFAR-10 with crops and flips: the whole of `fit`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torchvision import datasets, transforms

from benching import nets, peers
from benching.row import Row, row, skipped
from benching.setting import Setting, missing
from benching.subsets import ONE_SIZE, linked
from benching.training import repeated, whole_fit
from cnntrain.config import shipped
from cnntrain.config.load import load

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
STEPS = 391
"""Of 128 images in an epoch of the 50,000."""
JOB = "ResNet-20, batches of 128, crop and flip: `fit`"
BARE = "bare loop over one ready batch, nothing augmented"
TUTORIAL = "tutorial loop: PIL image by image, DataLoader"
TIMM = "tutorial loop with timm's loader"
LIGHTNING = "Lightning as it comes, tutorial's DataLoader"
TURN = 2


def resnet20(setting: Setting) -> Iterator[Row]:
    """B12, next to the tutorial loop, timm's loader and Lightning."""
    source = setting.folder("cifar10") / "train"
    root = linked(source, setting.scratch / "cifar", per_class=64)  # 5 steps an epoch
    given = ["data.name=image_folder", f"data.root={root}", "data.split.validation=false"]
    given += [ONE_SIZE, "train.epochs=1000", "train.schedule.milestones=[500]"]
    loaded = load(shipped.resolve("resnet20_cifar10"), given)
    wanted = loaded.train.optimizer
    sgd = peers.Sgd(float(wanted.lr), wanted.weight_decay)
    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = datasets.ImageFolder(str(root / "train"), transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(images, batch_size=128, shuffle=True)
    ready = next(iter(loader))
    ready[0] = ready[0].contiguous(memory_format=torch.channels_last)
    rivals = {
        BARE: repeated(peers.bare(nets.resnet20(), peers.one_batch(*ready), sgd=sgd), TURN),
        TUTORIAL: repeated(peers.tutorial(nets.resnet20(), loader, sgd=sgd), TURN),
    }
    if not missing("timm"):
        theirs = peers.timm_loader(
            datasets.ImageFolder(str(root / "train")), shape=(3, 32, 32), batch=128,
            mean=MEAN, std=STD, scale=(0.9, 1.0), hflip=0.5, color_jitter=0.0,
        )  # fmt: skip
        rivals[TIMM] = repeated(peers.tutorial(nets.resnet20(), theirs, sgd=sgd), TURN)
    if not missing("lightning"):
        rivals[LIGHTNING] = peers.lightning(nets.resnet20(), loader, sgd=sgd, steps=TURN,
                                            root=setting.scratch / "lightning")  # fmt: skip
    taken = whole_fit(loaded, rivals=rivals, turn=TURN, turns=setting.rounds,
                      out=setting.scratch / "run", steps_per_epoch=STEPS)  # fmt: skip
    targets = {BARE: ("B12", 0.99)}
    for peer in (BARE, TUTORIAL, TIMM, LIGHTNING):
        figure, target = targets.get(peer, ("", None))
        if peer not in rivals:
            package = "timm" if peer == TIMM else "lightning"
            yield skipped(figure, JOB, peer, because=missing(package))
            continue
        yield row(figure, JOB, peer, taken.ratios(peer), target=target,
                  ours=taken.rate("cnntrain"), theirs=taken.rate(peer),
                  note="the end of an epoch spread over 391 steps" if peer == BARE else "",
                  reason="the crop and the flip are in it" if peer == BARE else "")  # fmt: skip
