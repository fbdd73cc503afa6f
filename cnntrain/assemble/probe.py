"""Linear probing: what the features of a trained network say about other classes.

All but the last layer is frozen and computes as in evaluation, so the features of an image are
always the same: they are computed once, and the last layer is trained on them by the usual loop
(Alain and Bengio, "Understanding Intermediate Layers Using Linear Classifier Probes", 2016).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor, nn

from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.assemble.translation import evaluation_batch
from cnntrain.config.loaded import Loaded
from cnntrain.data.batch import Batching
from cnntrain.data.feature_loader import FeatureLoader
from cnntrain.data.loaders import Data
from cnntrain.show.progress import bar
from cnntrain.train import Precision, choose_precision, evaluation_mode
from cnntrain.train.precision import autocast


def with_features(
    data: Data, *, loaded: Loaded, plan: Plan, net: Network, device: torch.device
) -> Data:
    """The data with loaders of features in place of those of training and validation images.

    Args:
        data: its training images in stored order, each once.
        loaded: the run file.
        plan: of the network.
        net: its weights are read when the features are computed.
        device: where features are computed and kept.
    """
    config = loaded.config
    last = plan.body.nodes[-1]
    compute = partial(
        _features,
        net=net,
        layer=last.node.sources[0],
        precision=choose_precision(config.compute.precision, device),
    )
    section = config.data
    ordered = Batching(
        section.batch,
        shuffle=True,
        drop_last=section.drop_last,
        seed=config.seed,
        device=device,
        balanced=section.sampling == "balanced",
    )
    stored = Batching(evaluation_batch(loaded), device=device)
    validation = data.validation
    return replace(
        data,
        train=FeatureLoader(data.train, compute=compute, batching=ordered),
        validation=None
        if validation is None
        else FeatureLoader(validation, compute=compute, batching=stored),
    )


def compute_features(data: Data, *, quiet: bool) -> list[str]:
    """Compute the features of `with_features` that are not there yet, and say how long it took."""
    loaders = {"training": data.train, "validation": data.validation}
    probed = {name: each for name, each in loaders.items() if isinstance(each, FeatureLoader)}
    began = perf_counter()
    total = sum(loader.size for loader in probed.values())
    with bar("features", total=total, quiet=quiet) as shown:
        for loader in probed.values():
            loader.fill(shown.update)
    seconds = perf_counter() - began
    counts = " and ".join(f"{loader.size:,} {name}" for name, loader in probed.items())
    width = next(iter(probed.values())).width
    return [f"{width:,} features of each of {counts} images were computed in {seconds:.1f} s"]


def _features(images: Tensor, *, net: Network, layer: str, precision: Precision) -> Tensor:
    """What a layer gives for images, in evaluation: `(N, F)`, without a gradient."""
    with evaluation_mode(net), torch.no_grad(), autocast(precision, images.device):
        return net.run(images, [(layer, nn.Identity())])[1][0]
