"""What a step costs besides its arithmetic: a network of one linear layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from benching import peers
from benching.loaders import epochs
from benching.row import Row, row, skipped
from benching.setting import Setting, missing
from benching.training import repeated, whole_fit
from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load

JOB = "one linear layer on 8 x 8 digits, batches of 32: a step"
BARE = "bare loop over one ready batch"
LOADER = "the loader alone"
PLAIN = "Lightning with nothing on, floats in memory"
TURN = 200
TEXT = """
arch: {layers: [flatten, {linear: {out: $num_classes}}]}
data: {name: synthetic, size: 8, channels: 1, classes: 10, images: 64000, batch_size: 32}
train: {epochs: 1000, optimizer: {name: sgd, lr: 0.01, momentum: 0.9}}
"""


def one_linear(setting: Setting) -> Iterator[Row]:
    """B3: microseconds of CPU time over a bare step."""
    file = setting.scratch / "one.yaml"
    file.write_text(TEXT)
    sgd = peers.Sgd(0.01)

    def net() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    images, targets = torch.randn(3_200, 1, 8, 8), torch.randint(0, 10, (3_200,))
    rivals = {
        BARE: repeated(peers.bare(net(), peers.one_batch(images[:32], targets[:32]), sgd=sgd), TURN)
    }
    loaded = load(file)
    batches = epochs(prepare(loaded).data.train)
    rivals[LOADER] = repeated(lambda: next(batches), TURN)
    if not missing("lightning"):
        memory = peers.InMemory(images, targets, 32)
        rivals[PLAIN] = peers.lightning(net(), memory, sgd=sgd, steps=TURN, plain=True,
                                        root=setting.scratch / "plain")  # fmt: skip
    taken = whole_fit(loaded, rivals=rivals, turn=TURN, turns=4 * setting.rounds,
                      out=setting.scratch / "run")  # fmt: skip
    more = taken.over(BARE)
    of_loader = [1e6 * each.cpu for each in taken.steps[LOADER]]
    beyond = [all_of_it - own for all_of_it, own in zip(more, of_loader, strict=True)]
    yield row("B3", JOB, f"{BARE} and the loader alone", beyond, unit="us more", target=50.0,
              lower_is_better=True, note="CPU time; with records, sums, epoch ends")  # fmt: skip
    yield row("", JOB, BARE, more, unit="us more", note="with the loader")
    if PLAIN in rivals:
        yield row("", JOB, PLAIN, taken.over(PLAIN), unit="us more",
                  note="below 0: Lightning takes longer")  # fmt: skip
    else:
        yield skipped("", JOB, PLAIN, because=missing("lightning"))
