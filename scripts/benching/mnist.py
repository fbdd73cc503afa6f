"""Small networks on MNIST: the whole of `fit` next to four others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torchvision import datasets, transforms

from benching import nets, peers
from benching.row import Row, row, skipped, spread
from benching.setting import Setting, missing
from benching.training import Rival, repeated, whole_fit
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.config.loaded import Loaded

MEAN, STD = (0.1307,), (0.3081,)
TURN, SLOW = 50, 10
"""Steps in a turn; of the rivals that read image by image."""


BARE, MEMORY = "bare loop over one ready batch", "bare loop over floats in memory, shuffled"
TUTORIAL = "tutorial loop: PIL image by image, DataLoader"
TIMM = "tutorial loop with timm's loader"
DEFAULTS = "Lightning as it comes, tutorial's DataLoader"
PLAIN = "Lightning with nothing on, floats in memory"


@dataclass(frozen=True)
class Job:
    """A network, and what it should reach.

    Args:
        file: the shipped run file.
        net: makes the peers' network.
        name: in the table.
        bare: the target next to the bare loop; None: none is set.
        tutorial: the target next to the tutorials' loop.
    """

    file: str
    net: Callable[[], nn.Module]
    name: str
    bare: float | None
    tutorial: float


def lenet5(setting: Setting) -> Iterator[Row]:
    """B1 and B2."""
    yield from _rows(Job("lenet5", nets.lenet5, "LeNet-5, batches of 64", 0.95, 2.3), setting)


def lenet300(setting: Setting) -> Iterator[Row]:
    """B2."""
    yield from _rows(Job("lenet300", nets.lenet300, "300-100, batches of 64", None, 6.0), setting)


def _rows(job: Job, setting: Setting) -> Iterator[Row]:
    setting.folder("MNIST/raw")
    given = [f"data.root={setting.data}", "train.epochs=1000", "data.split.validation=false"]
    loaded = load(shipped.resolve(job.file), [*given, "record.root=runs"])
    wanted = loaded.train.optimizer
    sgd = peers.Sgd(wanted.lr, wanted.weight_decay)
    rivals = _rivals(job, loaded, sgd=sgd, data=setting.data, scratch=setting.scratch)
    turns = max(2 * setting.rounds, 4)
    taken = whole_fit(loaded, rivals=rivals, turn=TURN, turns=turns, out=setting.scratch / "run")

    def found(figure: str, peer: str, **more: object) -> Row:
        return row(figure, f"{job.name}: `fit`", peer, taken.ratios(peer),
                   ours=taken.rate("cnntrain"), theirs=taken.rate(peer), **more)  # fmt: skip

    more = f"{spread(taken.over(BARE))[1]:.0f} us of CPU time a step"
    bound = f"{taken.faster(BARE, than=TUTORIAL):.2f} times the tutorial loop"
    why = {BARE: f"{more} for batches, records, epoch ends", TUTORIAL: f"the bare loop is {bound}"}
    yield found("B1", BARE, target=job.bare, note="without evaluation", reason=why[BARE])
    yield found("", MEMORY)
    yield found("B2", TUTORIAL, target=job.tutorial, reason=why[TUTORIAL])
    for package, peer in (("timm", TIMM), ("lightning", DEFAULTS), ("lightning", PLAIN)):
        if peer in rivals:
            yield found("", peer)
        else:
            yield skipped("", f"{job.name}: `fit`", peer, because=missing(package))


def _rivals(
    job: Job, loaded: Loaded, *, sgd: peers.Sgd, data: Path, scratch: Path
) -> dict[str, Rival]:
    size = loaded.config.data.batch_size

    def net() -> nn.Module:
        torch.manual_seed(0)
        return job.net()

    plain = datasets.MNIST(data, train=True)
    ready = (plain.data.float().div(255) - MEAN[0]) / STD[0]
    memory = peers.InMemory(
        ready[:, None].contiguous(memory_format=torch.channels_last), plain.targets, size
    )
    steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = datasets.MNIST(data, train=True, transform=transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(images, batch_size=size, shuffle=True)
    first = next(iter(memory))
    rivals = {
        BARE: repeated(peers.bare(net(), peers.one_batch(*first), sgd=sgd), TURN),
        MEMORY: repeated(peers.bare(net(), peers.for_ever(memory), sgd=sgd), TURN),
        TUTORIAL: repeated(peers.tutorial(net(), loader, sgd=sgd), SLOW),
    }
    if not missing("timm"):
        theirs = peers.timm_loader(plain, shape=(1, 28, 28), batch=size, mean=MEAN, std=STD,
                                   no_aug=True)  # fmt: skip
        rivals[TIMM] = repeated(peers.tutorial(net(), theirs, sgd=sgd), SLOW)
    if not missing("lightning"):
        rivals[DEFAULTS] = peers.lightning(net(), loader, sgd=sgd, steps=SLOW,
                                           root=scratch / "lightning")  # fmt: skip
        rivals[PLAIN] = peers.lightning(net(), memory, sgd=sgd, steps=TURN, plain=True,
                                        root=scratch / "plain")  # fmt: skip
    return rivals
