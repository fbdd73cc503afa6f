"""The training loop.

A generator: it trains, and reports what happened as events. Whoever iterates decides what to do
with them (print, log, save); whoever wants it to stop raises the stop request, or stops iterating.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

from cnntrain.core.errors import ConfigError, DataError, DivergedError
from cnntrain.data.batch import Batch, Loader
from cnntrain.optim import set_learning_rate
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Result
from cnntrain.train.divergence import explain_divergence
from cnntrain.train.evaluation import evaluate, training_mode
from cnntrain.train.events import (
    EpochDone,
    EvalDone,
    Event,
    Reason,
    RunDone,
    RunStarted,
    StepDone,
    StopRequest,
)
from cnntrain.train.graphed import GraphedSteps
from cnntrain.train.learner import Learner
from cnntrain.train.recipe import Recipe
from cnntrain.train.skipping import Guarded, gives_up, keep_good, roll_back, skipped_in
from cnntrain.train.state import TrainState
from cnntrain.train.step import BatchResult, take_step


def train(
    learner: Learner,
    *,
    recipe: Recipe,
    criterion: Criterion,
    loader: Loader,
    validation: Loader | None = None,
    stop: StopRequest | None = None,
) -> Iterator[Event]:
    """Train from where `learner.state` stands until the recipe's last epoch.

    Args:
        learner: the network and all else that changes; new, or restored from a checkpoint.
        recipe: how to train.
        criterion: the loss.
        loader: the training split.
        validation: the split that selects the best weights; never the test set.
        stop: raised by someone who wants training to stop after the batch in work.

    Yields:
        RunStarted; for each batch StepDone; for each epoch EvalDone (where due) and EpochDone; and
        RunDone. Setback where something was not finite, and training continues. At each of them the
        state is complete: it may be saved and resumed from there.

    Raises:
        DivergedError: the loss, a gradient, a weight or an evaluation's outputs were not finite.
        DataError: images were not.
    """
    state, stop = learner.state.started(), stop or StopRequest(learner.processes)
    take = GraphedSteps(learner) if recipe.cuda_graphs else take_step
    _check_feasible(recipe, loader, validation)
    yield RunStarted(
        recipe.epochs,
        loader.batches_per_epoch,
        state.epoch,
        state.step,
        task=learner.task,
        select=recipe.select,
        keeps_last=recipe.keeps_last,
        so_far=state.so_far,
    )

    while _reason_to_end(recipe, state) is None and not stop.requested:
        if recipe.goes_back and (state.batch == 0 or learner.good is None):
            keep_good(learner)
        try:
            yield from _steps(learner, recipe=recipe, criterion=criterion, loader=loader, stop=stop,
                              take=take)  # fmt: skip
            if stop.requested:
                break
            metrics = None
            if validation is not None and recipe.evaluates(state.epoch + 1):
                mark = perf_counter()
                metrics = evaluate(
                    recipe.answering(learner.evaluated),
                    validation,
                    criterion=criterion,
                    precision=learner.precision,
                    stop=stop,
                    task=learner.task,
                    whole="the validation images",
                )
                if metrics is None:  # stopped: a resumed run begins with this evaluation
                    break
                seconds = perf_counter() - mark
                yield EvalDone(state.epoch + 1, state.step, "validation", metrics, seconds)
        except DivergedError as error:
            if not recipe.goes_back:
                raise
            yield roll_back(learner, error)
        else:
            yield _end_epoch(recipe, state, metrics)

    reason = _reason_to_end(recipe, state) or "stopped"
    yield RunDone(
        reason=reason,
        epoch=state.epoch,
        step=state.step,
        best_epoch=state.best_epoch,
        best_value=state.best_value(recipe.select),
        seconds=state.run_seconds(),
    )


def _steps(
    learner: Learner,
    *,
    recipe: Recipe,
    criterion: Criterion,
    loader: Loader,
    stop: StopRequest,
    take: Callable[..., BatchResult],
) -> Iterator[Event]:
    """What is left of an epoch's steps; fewer where a stop is requested."""
    state, steps, processes = learner.state, loader.batches_per_epoch, learner.processes
    epoch = state.epoch + 1
    explain = partial(explain_divergence, learner, loader, criterion=criterion, recipe=recipe)
    check_every = 1 if learner.device.type == "cpu" else recipe.check_every
    recipe.freezing.hold(learner.model, epoch=epoch)
    training_mode(learner.net)
    learner.share_gradients()
    mark = perf_counter()
    for batch, waited in _timed(stop.steps(loader.batches(epoch, start=state.batch))):
        state.lr = recipe.learning_rate(state.step, state.plateau) * state.rate_factor
        set_learning_rate(learner.optimizer, state.lr)
        processes.seed_step(recipe.seed, state.step)
        guarded = Guarded.of(learner) if recipe.skips else None
        images = len(batch.targets) if processes.is_alone else loader.images_in(state.batch)
        done = take(learner, batch, criterion=criterion, recipe=recipe, images=images)
        if learner.ema is not None:
            learner.ema.update(step=state.step + 1)
        state.count(done.loss, weight=done.weight, outputs=done.outputs, targets=batch.targets,
                    images=images, skips=recipe.skips)  # fmt: skip
        skipped = None if guarded is None else guarded.keep_or_undo()
        if state.step % check_every == 0 and gives_up(learner, recipe, steps_per_epoch=steps):
            raise explain()
        now = perf_counter()
        seconds, mark = now - mark, now
        state.seconds += seconds
        state.data_seconds += waited
        yield StepDone(
            epoch=epoch,
            step=state.step,
            batch=state.batch,
            images=images,
            lr=state.lr,
            loss=done.loss,
            grad_norm=done.norm,
            data_seconds=waited,
            seconds=seconds,
            skipped=skipped,
        )
    if gives_up(learner, recipe, steps_per_epoch=steps):
        raise explain()
    if not learner.is_finite():
        raise explain(by_update=True)
    if recipe.skips and not stop.requested and (setback := skipped_in(state)) is not None:
        yield setback


def _check_feasible(recipe: Recipe, loader: Loader, validation: Loader | None) -> None:
    if loader.batches_per_epoch < 1:
        raise DataError(
            "the training split yields no batches",
            remedy="use a smaller batch_size, or more images",
        )
    for name in ("plateau", "early_stop"):
        if validation is None and getattr(recipe, name) is not None:
            raise ConfigError(
                f"{name} needs a validation split",
                remedy="hold some out with -s data.split.validation=0.2, or remove it",
            )


def _reason_to_end(recipe: Recipe, state: TrainState) -> Reason | None:
    if state.epoch >= recipe.epochs:
        return "finished"
    if recipe.early_stop is not None and recipe.early_stop.reached(state.early_stop):
        return "early stop"
    return None


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """Each batch with the seconds that it was waited for."""
    began = perf_counter()
    for batch in batches:
        yield batch, perf_counter() - began
        began = perf_counter()


def _end_epoch(recipe: Recipe, state: TrainState, metrics: Result | None) -> EpochDone:
    """Note the epoch's result, apply the rules that read it, and set the state to the next one."""
    is_best = False
    if metrics is not None:
        cost = state.task.cost(metrics, recipe.select)
        is_best = state.take_best(
            state.epoch + 1, cost=cost, loss=metrics.loss, anyway=recipe.keeps_last
        )
        if recipe.plateau is not None:
            state.plateau = recipe.plateau.after(state.plateau, cost)
        if recipe.early_stop is not None:
            state.early_stop = recipe.early_stop.after(state.early_stop, cost)
    done = EpochDone(
        epoch=state.epoch + 1,
        step=state.step,
        train_loss=state.train_loss(),
        train_figures=state.train_figures(),
        lr=state.lr,
        validation=metrics,
        is_best=is_best,
        images=state.images,
        seconds=state.seconds,
        data_seconds=state.data_seconds,
    )
    state.so_far = done.added_to(state.so_far, task=state.task)
    state.begin_next_epoch()
    return done
