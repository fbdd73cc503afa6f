"""Everything that one training run needs, made from its run file."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from cnntrain.arch.network import Network
from cnntrain.arch.planned import Plan
from cnntrain.config.load import Loaded
from cnntrain.core.errors import ConfigError
from cnntrain.core.seeding import derive_seed
from cnntrain.data.open import Data
from cnntrain.run.assemble import (
    apply_threads,
    choose_device,
    make_criterion,
    open_run_data,
    place,
)
from cnntrain.run.networks import make_network, plan_network
from cnntrain.run.recipe import make_optimizer, make_plateau, make_schedule
from cnntrain.train import (
    Criterion,
    EarlyStop,
    Ema,
    Learner,
    Recipe,
    make_deterministic,
)


@dataclass(frozen=True)
class Prepared:
    """The parts of a run, ready to train: nothing has been written yet."""

    loaded: Loaded
    data: Data
    plan: Plan
    learner: Learner
    recipe: Recipe
    criterion: Criterion
    device: torch.device


def prepare(loaded: Loaded) -> Prepared:
    """Open the data, build the network, and make the learner, its loss and its recipe.

    The process's random state is set from the run's seed: dropout draws from it.

    Raises:
        ConfigError: the run file cannot be obeyed, at its line.
        DataError: images are missing or unreadable.
    """
    config, wanted = loaded.config, loaded.train
    apply_threads(config.compute)
    make_deterministic(config.compute.deterministic)
    device = choose_device(config.compute, loaded)
    data = open_run_data(loaded, device=device)
    plan = plan_network(loaded, num_classes=len(data.classes))
    net = make_network(plan, seed=config.seed)
    place(net, compute=config.compute, device=device)
    _refuse_single_image(loaded, data, plan, net)
    _refuse_recalibration(loaded, net)
    ema = wanted.ema
    learner = Learner(
        net,
        make_optimizer(net, optimizer=wanted.optimizer),
        compiled=_compiled(net) if config.compute.compile else None,
        ema=None if ema is None else Ema(net, decay=ema.decay),
        precision=config.compute.precision,
    )
    torch.manual_seed(derive_seed(config.seed, "training"))
    recipe = make_recipe(loaded, steps_per_epoch=data.train.batches_per_epoch)
    criterion = make_criterion(loaded, data=data, device=device)
    return Prepared(loaded, data, plan, learner, recipe, criterion, device)


def make_recipe(loaded: Loaded, *, steps_per_epoch: int) -> Recipe:
    """The numbers of the training, in steps."""
    train = loaded.train
    early = train.early_stop
    return Recipe(
        epochs=train.epochs,
        lr=train.optimizer.lr,
        schedule=make_schedule(train, steps_per_epoch=steps_per_epoch),
        plateau=make_plateau(train),
        accumulate=train.accumulate,
        l1=train.l1,
        clip_norm=train.clip_norm,
        early_stop=EarlyStop(patience=early.patience, min_delta=early.min_delta)
        if early is not None
        else None,
        evaluate_every=train.evaluate_every,
        norm_every=loaded.config.record.every,
        check_every=loaded.config.record.every,
    )


def _compiled(net: nn.Module) -> nn.Module:
    compiled = torch.compile(net)
    assert isinstance(compiled, nn.Module)
    return compiled


def _refuse_single_image(loaded: Loaded, data: Data, plan: Plan, net: Network) -> None:
    """Batch normalisation has no variance over one image with one value per channel.

    Over the maps of one image it has: only layers whose input is flat, or 1 x 1, are in the way.
    """
    section, parts = loaded.config.data, loaded.train.accumulate
    sizes = {min(section.batch_size, data.train.size)}
    rest = data.train.size % section.batch_size
    sizes |= {rest} if rest and not section.drop_last else set()
    single = [size for size in sizes if _smallest_part(size, parts) == 1]
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    narrow = [
        name
        for name, node in plan.walk()
        if isinstance(net.get_submodule(name), norms) and math.prod(node.in_shapes[0][1:]) == 1
    ]
    if not single or not narrow:
        return
    size = min(single)
    whole = f"a batch of {size} of the {data.train.size} training images"
    message = f"{whole} is a single image" if size == 1 else f"{whole} has a part of a single image"
    message += f", over which the batch normalisation '{narrow[0]}' has no variance"
    remedy = "set `data.drop_last: true`, or another batch_size"
    if size > 1:
        remedy += f", or lower train.accumulate ({parts})"
    raise ConfigError.of([loaded.problem(("data", "batch_size"), message, remedy)])


def _refuse_recalibration(loaded: Loaded, net: Network) -> None:
    if loaded.train.recalibrate and not has_running_statistics(net):
        message = "the network has no batch normalisation to recalibrate"
        problem = loaded.problem(("train", "recalibrate"), message, "remove this")
        raise ConfigError.of([problem])


def has_running_statistics(net: nn.Module) -> bool:
    """Whether some batch normalisation keeps statistics that could be recalibrated."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    return any(isinstance(each, norms) and each.track_running_stats for each in net.modules())


def _smallest_part(size: int, parts: int) -> int:
    """Images in the last of the parts of a batch, which are cut as torch's `chunk` cuts."""
    each = math.ceil(size / parts)
    return size % each or each
