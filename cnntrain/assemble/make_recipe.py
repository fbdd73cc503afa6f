"""From the `train` section to optimizer and recipe: plain objects of the rooms below."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn
from torch.optim import Optimizer

from cnntrain.assemble.make_choice import make_choice
from cnntrain.config import train_section
from cnntrain.config.load import Loaded
from cnntrain.core.errors import ConfigError
from cnntrain.optim import GroupRule, ParameterGroup, Warmup, parameter_groups
from cnntrain.optim.guarded import GuardedOptimizer
from cnntrain.train import EarlyStop, Recipe

OPTIMIZER = ("train", "optimizer")
SCHEDULE = ("train", "schedule")


def make_groups(
    net: nn.Module,
    *,
    optimizer: train_section.OptimizerSection,
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
        ConfigError: it cannot be made with what the run file says, at its line.
    """
    given = {"groups": groups}
    made = make_choice(loaded.train.optimizer, loaded=loaded, path=OPTIMIZER, given=given)
    if isinstance(made, Optimizer) and _can_be_called_off(made):
        return made
    name = loaded.train.optimizer.name
    message = f"'{name}' makes a {type(made).__name__} that would step at a loss that is not finite"
    remedy = "give torch's optimizer fused=True, or derive yours from GuardedOptimizer"
    raise ConfigError.of([loaded.problem((*OPTIMIZER, "name"), message, remedy)])


def _can_be_called_off(optimizer: Optimizer) -> bool:
    """Whether its step changes nothing while the flag `found_inf` is 1."""
    fused = all(group.get("fused") for group in optimizer.param_groups)
    return isinstance(optimizer, GuardedOptimizer) or fused


def make_recipe(loaded: Loaded, *, steps_per_epoch: int) -> Recipe:
    """The numbers of the training, in steps; epochs become steps, the warm-up included in them."""
    train = loaded.train
    early = train.early_stop
    warmup = round(train.schedule.warmup_epochs * steps_per_epoch)
    steps = {
        "steps_per_epoch": steps_per_epoch,
        "total_steps": train.epochs * steps_per_epoch - warmup,
        "warmup_steps": warmup,
    }
    main = make_choice(train.schedule, loaded=loaded, path=SCHEDULE, given=steps)
    return Recipe(
        epochs=train.epochs,
        lr=train.optimizer.lr,
        schedule=Warmup(steps=warmup, then=main) if warmup else main,
        plateau=main if train.schedule.reads_validation else None,
        accumulate=train.accumulate,
        l1=train.l1,
        l2_sp=0.0 if loaded.config.finetune is None else loaded.config.finetune.l2_sp,
        clip_norm=train.clip_norm,
        early_stop=EarlyStop(patience=early.patience, min_delta=early.min_delta)
        if early is not None
        else None,
        evaluate_every=train.evaluate_every,
        select=train.select or loaded.config.task.selects[0],
        norm_every=loaded.config.record.every,
        check_every=loaded.config.record.every,
    )
