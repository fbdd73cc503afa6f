"""Everything that one training run needs, made from its run file."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Learning
from cnntrain.assemble.learn_from_images import learn_from_images
from cnntrain.assemble.make_parts import (
    make_criterion,
    make_groups,
    make_optimizer,
    make_recipe,
    make_task,
)
from cnntrain.assemble.make_penalties import make_penalties
from cnntrain.assemble.needed_memory import memory_errors, refuse_too_large
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.assemble.probe import with_features
from cnntrain.assemble.several import (
    has_running_statistics,
    refuse_for_several,
    refuse_small_batches,
    with_synchronised_norms,
)
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
    refuse_without_gpu,
)
from cnntrain.checkpoint import State, seed_randomness
from cnntrain.config.loaded import Loaded
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.config.rules import needs_validation
from cnntrain.config.schema import RunConfig
from cnntrain.core.errors import ConfigError
from cnntrain.core.seeding import derive_seed
from cnntrain.data.loaders import Data
from cnntrain.optim.groups import anchored_weights
from cnntrain.record.window import StepWindow
from cnntrain.runs.contents import weights_in
from cnntrain.runs.kept_targets import targets_in
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Task
from cnntrain.train import Ema, Learner, Recipe, load_weights, restore, snapshot
from cnntrain.train.compiled import Compiled
from cnntrain.train.precision import choose_precision, make_deterministic
from cnntrain.train.together import ALONE, Processes


@dataclass(frozen=True)
class Prepared:
    """The parts of a run, ready to train: nothing has been written yet.

    `loaded` has the preprocessing of the weights that the run starts from; `start` says what
    happened to those weights, and `learning` what may move. `window` has the steps that are not
    reported yet.
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
    window: StepWindow = field(default_factory=StepWindow)

    @cached_property
    def config_text(self) -> str:
        """The run file as it is obeyed; writing it out takes half as long as a small checkpoint."""
        return dump_yaml(resolved_tree(self.loaded.config))


def prepare(
    loaded: Loaded,
    *,
    resumed: State | None = None,
    plan: Plan | None = None,
    data: Data | None = None,
    processes: Processes = ALONE,
) -> Prepared:
    """Plan the network, open the data, and make the learner, its loss and its recipe.

    The process's random states (of torch, of Python's `random` and of numpy) are set from the run's
    seed: dropout draws from them, and so may plugins.

    Args:
        loaded: the run file.
        resumed: the checkpoint of this run that all weights will come from, so those of `finetune`
            are not read again.
        plan, data: of the network, and of the same section `data`, where they are there already.
        processes: that train together, each with such parts of its own.

    Raises:
        ConfigError: the run file cannot be obeyed, at its line.
        DataError: images are missing or unreadable.
        CheckpointError: the weights to start from are missing, damaged or of another network.
        MemoryExhaustedError: the memory does not suffice; says for what.
    """
    if loaded.config.finetune is not None and resumed is None:
        loaded = follow_weights(loaded)
    _set_up_process(loaded.config)
    device = choose_device(loaded.config.compute, loaded, processes=processes)
    refuse_without_gpu(loaded, device)
    plan = plan or plan_network(loaded)  # first: what cannot be trained is refused unread
    refuse_for_several(loaded, plan, processes=processes, device=device)
    refuse_too_large(loaded, plan, device=device)
    with memory_errors(loaded, plan, device=device):
        return _prepare(loaded, plan, device, resumed, data, processes)


def _prepare(
    loaded: Loaded,
    plan: Plan,
    device: torch.device,
    resumed: State | None,
    data: Data | None,
    processes: Processes,
) -> Prepared:
    config, wanted, finetune = loaded.config, loaded.train, loaded.config.finetune
    is_probe = finetune is not None and finetune.probe
    source = read_source(loaded) if finetune is not None and resumed is None else None
    data = data or open_run_data(loaded, device=device, in_order=is_probe, share=processes.share)
    if data.validation is None:
        _refuse_without_validation(loaded, data)
    if plan.description.facts.num_classes not in (0, len(data.classes)):
        plan = plan_network(loaded, num_classes=len(data.classes))
    net = make_network(plan, seed=config.seed)
    start = None
    if source is not None:
        start = start_from(source, net, loaded=loaded, plan=plan, classes=data.classes)
    place(net, compute=config.compute, device=device)
    if resumed is None:
        given = () if start is None else start.loaded
        learn_from_images(net, data.train, processes=processes, given=given)
    freezing = make_freezing(loaded, plan=plan, net=net)
    if start is not None:
        refuse_still(start, freezing, loaded=loaded)
    freezing.hold(net, epoch=None)  # the optimizer has all that ever learns
    if wanted.optimizer.groups:
        check_groups(loaded, net=net)
    refuse_small_batches(loaded, plan, net, images=data.train.size, share=processes.share)
    if wanted.recalibrate and not has_running_statistics(net):
        message = "the network has no batch normalisation to recalibrate"
        raise loaded.error(("train", "recalibrate"), message, "remove this")
    if is_probe:
        data = with_features(data, loaded=loaded, plan=plan, net=net, device=device)
    anchors = _anchors(start, resumed) if finetune is not None and finetune.l2_sp else ()
    task = make_task(loaded, data.targets if resumed is None else targets_in(resumed), plan=plan)
    learner = _make_learner(
        net, task, loaded=loaded, plan=plan, anchors=anchors, processes=processes
    )
    seed_randomness(derive_seed(config.seed, "training"))
    recipe = make_recipe(loaded, steps_per_epoch=data.train.batches_per_epoch)
    criterion = make_criterion(loaded, task=task, data=data, images=data.train.size, device=device)
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


def _set_up_process(config: RunConfig) -> None:
    apply_threads(config.compute)
    make_deterministic(config.compute.deterministic)
    seed_randomness(derive_seed(config.seed, "preparing"))


def whole_state(prepared: Prepared) -> State:
    """The learner's snapshot with the run file, its plugins' hashes, classes and preprocessing."""
    data = prepared.data
    return {
        **snapshot(prepared.learner),
        "window": prepared.window.state_dict(),
        "config": prepared.config_text,
        "plugins": prepared.loaded.plugin_hashes,
        "classes": list(data.classes),
        "targets": data.targets.as_plain(),
        "counts": list(data.counts["train"]),
        "fingerprint": dict(data.fingerprint),
        "transforms": {
            "train": [dict(step) for step in data.train_pipeline],
            "eval": [dict(step) for step in data.eval_pipeline],
        },
    }


def restore_whole(prepared: Prepared, state: State) -> None:
    """Put a training where `whole_state` was taken; raises CheckpointError as `restore` does."""
    restore(prepared.learner, state)
    window = state.get("window")  # older checkpoints have none: the next report begins here
    if isinstance(window, dict):
        prepared.window.load_state_dict(window)


def put_weights(net: nn.Module, state: State, path: Path) -> None:
    """Load the averaged weights where there are some, as in the evaluations of the run itself."""
    what, weights = weights_in(state, path=path)
    remedy = f"{path} does not fit its own architecture: was a plugin changed since?"
    load_weights(net, weights, what, remedy=remedy)


def network_of(prepared: Prepared, state: State | None) -> nn.Module:
    """A copy of the learner's network with the weights of another of its own states.

    Of several processes the first one has the state, and all get its weights.
    """
    net = copy.deepcopy(prepared.learner.model)
    if state is not None:
        put_weights(net, state, Path("the state"))
    prepared.learner.processes.copy_first(net.state_dict().values())
    return net


def _make_learner(
    net: Network,
    task: Task,
    *,
    loaded: Loaded,
    plan: Plan,
    anchors: Collection[str],
    processes: Processes,
) -> Learner:
    """The learner; weights named in `anchors` decay towards what they are now (L2-SP)."""
    config, wanted = loaded.config, loaded.train
    finetune = config.finetune
    rates = {} if finetune is None else make_rates(finetune, plan=plan, net=net)
    groups = make_groups(net, optimizer=wanted.optimizer, rates=rates, anchored=anchors)
    optimizer = make_optimizer(loaded, groups=groups)
    start = anchored_weights(optimizer)
    if finetune is not None and finetune.l2_sp and not start:
        message = "l2_sp has no effect: no loaded weight that would decay ever learns"
        raise loaded.error(("finetune", "l2_sp"), message, "remove it, or freeze less")
    with_synchronised_norms(net, loaded, processes=processes)
    part = plan.body.nodes[-1].name if finetune is not None and finetune.probe else ""
    trained = net.get_submodule(part)
    return Learner(
        net,
        optimizer,
        compiled=Compiled(trained) if config.compute.compile else None,
        ema=None if wanted.ema is None else Ema(net, decay=wanted.ema.decay),
        precision=choose_precision(config.compute.precision, next(net.parameters()).device),
        part=part,
        start=start,
        task=task,
        processes=processes,
        penalties=make_penalties(loaded, net, processes=processes),
    )


def _anchors(start: Start | None, resumed: State | None) -> tuple[str, ...]:
    """The weights that decay towards a starting point: those loaded, or as in the resumed run."""
    if start is not None:
        return start.loaded
    names = {} if resumed is None else resumed.get("start", {})
    return tuple(names) if isinstance(names, dict) else ()


def _refuse_without_validation(loaded: Loaded, data: Data) -> None:
    """What only the data can say: that there are no images for what needs them."""
    problems = list(needs_validation(loaded))
    if problems:
        data.close()
        raise ConfigError.of(problems)
