"""From the `train` section to optimizer, schedule and plateau: plain objects of the rooms below."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn
from torch.optim import Optimizer

from cnntrain.config import optimizers as wanted
from cnntrain.config import schedules as courses
from cnntrain.config.train_section import Train
from cnntrain.optim.groups import GroupRule, ParameterGroup, parameter_groups
from cnntrain.optim.optimizers import adam, adamw, sgd
from cnntrain.optim.plateau import Plateau
from cnntrain.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    Polynomial,
    Schedule,
    Warmup,
)


def make_groups(
    net: nn.Module,
    *,
    optimizer: wanted.Optimizer,
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


def make_optimizer(
    net: nn.Module,
    *,
    optimizer: wanted.Optimizer,
    rates: Mapping[str, float] | None = None,
    anchored: Collection[str] = (),
) -> Optimizer:
    """The optimizer over the network's trainable parameters; arguments as those of `make_groups`.

    Raises:
        ConfigError: a group's pattern matches no parameter.
    """
    groups = make_groups(net, optimizer=optimizer, rates=rates, anchored=anchored)
    if isinstance(optimizer, wanted.Sgd):
        momentum, nesterov = optimizer.momentum, optimizer.nesterov
        return sgd(groups, lr=optimizer.lr, momentum=momentum, nesterov=nesterov)
    make = adam if isinstance(optimizer, wanted.Adam) else adamw
    return make(groups, lr=optimizer.lr, betas=optimizer.betas, eps=optimizer.epsilon)


def make_schedule(train: Train, *, steps_per_epoch: int) -> Schedule:
    """The learning rate's factor by step; epochs become steps, the warm-up included in them."""
    course = train.schedule
    warmup = round(course.warmup_epochs * steps_per_epoch)
    total = train.epochs * steps_per_epoch - warmup
    main: Schedule = Constant()
    match course:
        case courses.Step():
            # counted from the start of the run, so a warm-up does not move the drops
            drops = range(course.every, train.epochs + 1, course.every)
            steps = tuple(epoch * steps_per_epoch - warmup for epoch in drops)
            main = MultiStep(milestones=steps, gamma=course.factor)
        case courses.MultiStep():
            steps = tuple(round(e * steps_per_epoch) - warmup for e in course.milestones)
            main = MultiStep(milestones=steps, gamma=course.factor)
        case courses.Exponential():
            main = Exponential(gamma=course.factor, every=steps_per_epoch)
        case courses.Cosine():
            main = Cosine(total=total, floor=course.floor)
        case courses.Polynomial():
            main = Polynomial(total=total, power=course.power, floor=course.floor)
        case courses.Constant() | courses.Plateau():
            pass
    return Warmup(steps=warmup, then=main) if warmup else main


def make_plateau(train: Train) -> Plateau | None:
    """What divides the rate when the validation error settles, if the schedule is that one."""
    course = train.schedule
    if not isinstance(course, courses.Plateau):
        return None
    return Plateau(patience=course.patience, min_delta=course.min_delta, divide_by=course.divide_by)
