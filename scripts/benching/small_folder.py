"""LeNet-5 on a folder of small colour images: the whole of `fit`."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torchvision import datasets, transforms

from benching import nets, peers
from benching.row import Row, row, skipped
from benching.setting import Setting, missing
from benching.subsets import linked
from benching.training import repeated, whole_fit
from cnntrain.config.load import load

JOB = "LeNet-5, a folder of 4,000 images of 32 x 32, batches of 64, no augmentation: `fit`"
TUTORIAL = "tutorial loop: PIL image by image, DataLoader"
TIMM = "tutorial loop with timm's loader"
MEAN, STD = (0.5,) * 3, (0.25,) * 3
TURN, SLOW = 20, 5
TEXT = """
arch: archs/lenet5.yaml
data:
  name: image_folder
  root: {root}
  split: {{validation: false}}
  transforms:
    train: [{{resize: {{size: [32, 32]}}}}, normalize]
    eval: [{{resize: {{size: [32, 32]}}}}, normalize]
train: {{epochs: 1000, optimizer: {{name: sgd, lr: 0.01, momentum: 0.9}}}}
"""


def small_folder(setting: Setting) -> Iterator[Row]:
    """B6: from the second epoch on, when cnntrain has the images in memory."""
    root = linked(setting.folder("cifar10") / "train", setting.scratch / "cifar", per_class=400)
    file = setting.scratch / "small.yaml"
    file.write_text(TEXT.format(root=root))
    sgd = peers.Sgd(0.01)
    steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = datasets.ImageFolder(str(root / "train"), transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(images, batch_size=64, shuffle=True)
    rivals = {TUTORIAL: repeated(peers.tutorial(nets.lenet5(colours=3), loader, sgd=sgd), SLOW)}
    if not missing("timm"):
        theirs = peers.timm_loader(datasets.ImageFolder(str(root / "train")), shape=(3, 32, 32),
                                   batch=64, mean=MEAN, std=STD, no_aug=True)  # fmt: skip
        rivals[TIMM] = repeated(peers.tutorial(nets.lenet5(colours=3), theirs, sgd=sgd), SLOW)
    taken = whole_fit(load(file), rivals=rivals, turn=TURN, turns=2 * setting.rounds,
                      out=setting.scratch / "run")  # fmt: skip
    for peer in (TUTORIAL, TIMM):
        if peer in rivals:
            yield row("B6", JOB, peer, taken.ratios(peer), target=2.2,
                      ours=taken.rate("cnntrain"), theirs=taken.rate(peer),
                      note="after the images are in memory")  # fmt: skip
        else:
            yield skipped("B6", JOB, peer, because=missing("timm"))
