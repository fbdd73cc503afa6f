"""Everything that one training run needs, made from its run file."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Learning
from cnntrain.assemble.make_parts import (
    make_criterion,
    make_groups,
    make_optimizer,
    make_recipe,
    make_task,
)
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.assemble.probe import is_probe, with_features
from cnntrain.assemble.transfer.make_freezing import (
    check_groups,
    learning_of,
    make_freezing,
    make_rates,
)
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.assemble.transfer.sources import read_source
from cnntrain.assemble.transfer.start_from import Start, refuse_still, start_from
from cnntrain.assemble.translation import (
    apply_threads,
    choose_device,
    open_run_data,
    place,
)
from cnntrain.checkpoint import State
from cnntrain.config.loaded import Loaded
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.config.rules import needs_validation
from cnntrain.config.train_section import TrainSection
from cnntrain.core.errors import ConfigError
from cnntrain.core.seeding import derive_seed
from cnntrain.data.loaders import Data
from cnntrain.optim.groups import anchored_weights
from cnntrain.tasks.criterion import Criterion
from cnntrain.train import Ema, Learner, Recipe, make_deterministic, snapshot


@dataclass(frozen=True)
class Prepared:
    """The parts of a run, ready to train: nothing has been written yet.

    `loaded` has the preprocessing of the weights that the run starts from; `start` tells what
    became of those weights, and `learning` what may move.
    """

    loaded: Loaded
    data: Data
    plan: Plan
    learner: Learner
    recipe: Recipe
    criterion: Criterion
    device: torch.device
    learning: Learning
    start: Start | None = None


def prepare(loaded: Loaded, *, resumed: State | None = None, plan: Plan | None = None) -> Prepared:
    """Plan the network, open the data, and make the learner, its loss and its recipe.

    The process's random state is set from the run's seed: dropout draws from it.

    Args:
        loaded: the run file.
        resumed: the checkpoint of this run that all weights will come from, so those of `finetune`
            are not read again.
        plan: of the network, where it is made already.

    Raises:
        ConfigError: the run file cannot be obeyed, at its line.
        DataError: images are missing or unreadable.
        CheckpointError: the weights to start from are missing, damaged or of another network.
    """
    wanted = loaded.train
    loaded = loaded if resumed is not None else follow_weights(loaded)
    config = loaded.config
    apply_threads(config.compute)
    make_deterministic(config.compute.deterministic)
    device = choose_device(config.compute, loaded)
    plan = plan or plan_network(loaded)  # first: what cannot be trained is refused unread
    source = None if resumed is not None or config.finetune is None else read_source(loaded)
    data = open_run_data(loaded, device=device, in_order=is_probe(loaded))
    _refuse_without_validation(loaded, data)
    if plan.description.facts.num_classes != len(data.classes):
        plan = plan_network(loaded, num_classes=len(data.classes))
    net = make_network(plan, seed=config.seed)
    start = None
    if source is not None:
        start = start_from(source, net, loaded=loaded, plan=plan, classes=data.classes)
    place(net, compute=config.compute, device=device)
    freezing = make_freezing(loaded, plan=plan, net=net)
    if start is not None:
        refuse_still(start, freezing, loaded=loaded)
    freezing.hold(net, epoch=freezing.settled)  # for the optimizer has all that ever learns
    check_groups(loaded, net=net)
    _refuse_single_image(loaded, data, plan, net)
    if wanted.recalibrate and not has_running_statistics(net):
        message = "the network has no batch normalisation to recalibrate"
        raise loaded.error(("train", "recalibrate"), message, "remove this")
    if is_probe(loaded):
        data = with_features(data, loaded=loaded, plan=plan, net=net, device=device)
    anchors = _start_names(resumed) if start is None else start.loaded
    learner = _make_learner(net, wanted=wanted, loaded=loaded, plan=plan, anchors=anchors)
    torch.manual_seed(derive_seed(config.seed, "training"))
    recipe = make_recipe(loaded, steps_per_epoch=data.train.batches_per_epoch)
    criterion = make_criterion(loaded, data=data, device=device)
    return Prepared(
        loaded=loaded,
        data=data,
        plan=plan,
        learner=learner,
        recipe=replace(recipe, freezing=freezing),
        criterion=criterion,
        device=device,
        learning=learning_of(net, freezing=freezing, groups=learner.optimizer.param_groups),
        start=start,
    )


def whole_state(prepared: Prepared) -> State:
    """The learner's snapshot with the resolved run file, the classes and the preprocessing."""
    data = prepared.data
    return {
        **snapshot(prepared.learner),
        "config": dump_yaml(resolved_tree(prepared.loaded.config)),
        "classes": list(data.classes),
        "counts": list(data.counts["train"]),
        "transforms": {
            "train": [dict(step) for step in data.train_pipeline],
            "eval": [dict(step) for step in data.eval_pipeline],
        },
    }


def _make_learner(
    net: Network, *, wanted: TrainSection, loaded: Loaded, plan: Plan, anchors: Collection[str]
) -> Learner:
    """The learner; weights named in `anchors` decay towards what they are now, if that is asked."""
    config = loaded.config
    strength = 0.0 if config.finetune is None else config.finetune.l2_sp
    groups = make_groups(
        net,
        optimizer=wanted.optimizer,
        rates=make_rates(loaded, plan=plan, net=net),
        anchored=anchors if strength else (),
    )
    optimizer = make_optimizer(loaded, groups=groups)
    start = anchored_weights(optimizer)
    if strength and not start:
        message = "l2_sp has no effect: no loaded weight that would decay ever learns"
        raise loaded.error(("finetune", "l2_sp"), message, "remove it, or freeze less")
    part = plan.body.nodes[-1].name if is_probe(loaded) else ""
    trained = net.get_submodule(part)
    return Learner(
        net,
        optimizer,
        compiled=cast(nn.Module, torch.compile(trained)) if config.compute.compile else None,
        ema=None if wanted.ema is None else Ema(net, decay=wanted.ema.decay),
        precision=config.compute.precision,
        part=part,
        start=start,
        task=make_task(loaded),
    )


def _start_names(resumed: State | None) -> tuple[str, ...]:
    """The weights that decay towards a starting point in the run that is resumed."""
    names = {} if resumed is None else resumed.get("start", {})
    return tuple(names) if isinstance(names, dict) else ()


def _refuse_without_validation(loaded: Loaded, data: Data) -> None:
    """What only the data can tell: that there are no images for what needs them."""
    if data.validation is None:
        problems = list(needs_validation(loaded))
        if problems:
            data.close()
            raise ConfigError.of(problems)


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
        if isinstance(norm := net.get_submodule(name), norms)
        and math.prod(node.in_shapes[0][1:]) == 1
        and not getattr(norm, "frozen", False)
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
    raise loaded.error(("data", "batch_size"), message, remedy)


def has_running_statistics(net: nn.Module) -> bool:
    """Whether some batch normalisation keeps statistics, and is not frozen."""
    norms = [each for each in net.modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
    return any(each.track_running_stats and not getattr(each, "frozen", False) for each in norms)


def _smallest_part(size: int, parts: int) -> int:
    """Images in the last of the parts of a batch, which are cut as torch's `chunk` cuts."""
    each = math.ceil(size / parts)
    return size % each or each
