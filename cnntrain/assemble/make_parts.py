"""From what a run file chooses to objects of the rooms below: task, loss, optimizer, recipe."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from cnntrain.arch.items import INPUT
from cnntrain.arch.plan import Plan
from cnntrain.config.loaded import Loaded
from cnntrain.config.section import Chosen
from cnntrain.config.task_section import KEEP_LAST, LossSection
from cnntrain.config.train_section import OptimizerSection
from cnntrain.core.choices import ChoiceError
from cnntrain.core.complaints import dotted
from cnntrain.core.document import KeyPath
from cnntrain.core.errors import CnntrainError
from cnntrain.core.plugins import plugin_place
from cnntrain.core.problems import halves
from cnntrain.optim import GroupRule, ParameterGroup, Warmup, parameter_groups
from cnntrain.optim.guarded import GuardedOptimizer
from cnntrain.tasks.criterion import Criterion, MeanLoss, positive_tensor, weights_tensor
from cnntrain.tasks.protocol import Task
from cnntrain.tasks.targets import Targets
from cnntrain.train import EarlyStop, Recipe

OPTIMIZER = ("train", "optimizer")


class Counted(Protocol):
    """Images whose classes are known and counted."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names."""

    @property
    def counts(self) -> Mapping[str, tuple[int, ...]]:
        """Images per class of each split."""


def make_choice(choice: Chosen, *, loaded: Loaded, path: KeyPath, given: Mapping[str, Any]) -> Any:
    """Make what was chosen, with its own keys and what follows from the run.

    Args:
        choice: a section that chooses, or an item of a list of calls.
        loaded: the run file.
        path: where the section is in it.
        given: what may be filled in; what of it is asked for is.

    Raises:
        ConfigError: it cannot be made so, at its line.
    """
    make = choice.catalogue.load(choice.name)
    filled = {name: given[name] for name in choice.entry.filled}
    try:
        return make(**choice.parameters, **filled)
    except CnntrainError:
        raise
    except ValueError as error:
        at = (*path, error.parameter) if isinstance(error, ChoiceError) else path
        raised = plugin_place(error)
        usual = f"see {raised.file}:{raised.line}" if raised else f"change {dotted('', path)}"
        raise loaded.error(at, *halves(error, usual)) from error


def make_task(loaded: Loaded, targets: Targets | None = None, *, plan: Plan | None = None) -> Task:
    """What the run file's network is for.

    Args:
        loaded: the run file.
        targets: what the training images say of them; None before they are read.
        plan: of the network; None before it is made.

    Raises:
        ConfigError: the task cannot be made with its parameters.
    """
    section = loaded.config.task
    shapes = {} if plan is None else {INPUT: plan.body.in_shape}
    shapes |= {} if plan is None else {node.name: node.out_shape for node in plan.body.nodes}
    given = {"targets": targets or Targets(section.form), "outputs": shapes}
    made: Task = make_choice(section, loaded=loaded, path=("task",), given=given)
    return made


def make_criterion(
    loaded: Loaded, *, task: Task, data: Counted, images: int, device: torch.device
) -> Criterion:
    """The loss as the task applies it, its weights on the device; `images` are those of training.

    Where nothing is trained it is the task's usual one.

    Raises:
        ConfigError: it cannot be made for these classes, at its line.
    """
    train = loaded.config.train
    usual = loaded.config.task.usual_loss
    loss = LossSection(name=usual, parameters={}) if train is None else train.loss
    counts = data.counts["train"]
    weigh = partial(weights_tensor, classes=data.classes, class_counts=counts, device=device)
    positive = partial(positive_tensor, labels=data.classes, counts=counts, device=device)
    given = {"weigh": weigh, "weigh_positive": partial(positive, images=images)}
    made = make_choice(loss, loaded=loaded, path=("train", "loss"), given=given)
    criterion = made if hasattr(made, "weight") else MeanLoss(made)
    apply = getattr(task, "criterion", None)
    return criterion if apply is None else apply(criterion)


def make_groups(
    net: nn.Module,
    *,
    optimizer: OptimizerSection,
    rates: Mapping[str, float] | None = None,
    anchored: Collection[str] = (),
) -> list[ParameterGroup]:
    """The network's trainable parameters in groups; see `parameter_groups`.

    Raises:
        ConfigError: a group's pattern matches no parameter.
    """
    return parameter_groups(
        net,
        weight_decay=optimizer.weight_decay,
        rules=[GroupRule(**group.model_dump()) for group in optimizer.groups],
        decay_norm_and_bias=optimizer.decay_norm_and_bias,
        rates=rates,
        anchored=anchored,
    )


def make_optimizer(loaded: Loaded, *, groups: Collection[ParameterGroup]) -> Optimizer:
    """The run file's optimizer over the parameters in groups; the loop sets its learning rate.

    Raises:
        ConfigError: it cannot be made with what the run file says, at its line; or its step would
            change something while the flag `found_inf` is 1.
    """
    section = loaded.train.optimizer
    made = make_choice(section, loaded=loaded, path=OPTIMIZER, given={"groups": groups})
    if isinstance(made, GuardedOptimizer) or (
        isinstance(made, Optimizer) and all(group.get("fused") for group in made.param_groups)
    ):
        return made
    raise loaded.error(
        (*OPTIMIZER, "name"),
        f"'{section.name}' makes a {type(made).__name__} that would step at a loss that is not "
        "finite",
        "give torch's optimizer fused=True, or derive yours from GuardedOptimizer",
    )


def make_recipe(loaded: Loaded, *, steps_per_epoch: int) -> Recipe:
    """The numbers of the training, in steps; epochs become steps, the warm-up included in them."""
    train, record, finetune = loaded.train, loaded.config.record, loaded.config.finetune
    early = train.early_stop
    warmup = round(train.schedule.warmup_epochs * steps_per_epoch)
    steps = {
        "steps_per_epoch": steps_per_epoch,
        "total_steps": train.epochs * steps_per_epoch - warmup,
        "warmup_steps": warmup,
    }
    main = make_choice(train.schedule, loaded=loaded, path=("train", "schedule"), given=steps)
    return Recipe(
        epochs=train.epochs,
        lr=train.optimizer.rate * loaded.lr_scale,
        lr_scale=loaded.lr_scale,
        schedule=Warmup(steps=warmup, then=main) if warmup else main,
        plateau=main if train.schedule.reads_validation else None,
        accumulate=train.accumulate,
        l1=train.l1,
        l2_sp=0.0 if finetune is None else finetune.l2_sp,
        clip_norm=train.clip_norm,
        early_stop=None if early is None else EarlyStop(**early.model_dump()),
        evaluate_every=train.evaluate_every,
        evaluate_views=train.evaluate_views,
        select=loaded.config.task.selecting(train.select),
        keeps_last=train.select == KEEP_LAST,
        norm_every=record.every,
        check_every=record.every,
        on_divergence=train.on_divergence,
        cuda_graphs=loaded.config.compute.cuda_graphs,
        seed=loaded.config.seed,
    )
