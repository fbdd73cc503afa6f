"""Check `batches`: is every batch one that the network can learn from?"""

from __future__ import annotations

from torch import nn

from cnntrain.diagnose import check
from cnntrain.diagnose.report import Finding, Report
from cnntrain.train.briefly import Norm


@check("batches", place=2)
def check_batches(
    *, net: nn.Module, train_images: int, batch_size: int, drops_last: bool
) -> Report:
    """Whether each epoch ends with a batch of one image, and batch normalisation learns.

    Over one image the batch's mean and variance (Ioffe and Szegedy 2015, algorithm 1) are that
    image's own: what distinguishes it is normalised away, and the step teaches nothing, or upsets
    the weights.

    Args:
        net: the network.
        train_images: how many images train.
        batch_size: images in a batch.
        drops_last: whether a batch that is not full is left out.
    """
    norms = [m for m in net.modules() if isinstance(m, Norm) and not getattr(m, "frozen", False)]
    full, rest = divmod(train_images, batch_size)
    is_lone = rest == 1 and full > 0 and not drops_last
    numbers = {"images": train_images, "batch_size": batch_size, "last_batch": rest or batch_size}
    end = "" if not rest else ", and the rest is left out" if drops_last else f", and one of {rest}"
    seen = f"{full:,} batches of {batch_size} images{end}"
    if not is_lone or not norms:
        return Report("batches", seen, numbers=numbers)
    finding = Finding(
        "lone_image",
        "each epoch ends with a batch of one image, which batch normalisation cannot use",
        f"{train_images:,} training images are {seen}; {len(norms)} batch normalisations take mean "
        "and deviation from that one alone",
        "set data.drop_last: true, or another data.batch_size",
        is_certain=False,
        overrides=("data.drop_last=true",),
    )
    return Report("batches", finding.headline, (finding,), numbers=numbers)
