"""Check `overfit`: can the network memorise a few images?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import SIZE, doubtful_images
from cnntrain.diagnose.faults import STOPS
from cnntrain.diagnose.modules import logits_of
from cnntrain.diagnose.report import Finding, Plot, Report, Table, not_applicable
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.tasks.answers import gives_probabilities
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.protocol import Task
from cnntrain.train.briefly import Method, steady_copy, train_briefly
from cnntrain.train.recipe import Recipe

RATES = (2e-3, 2e-4, 2e-2)
"""Learning rates of Adam, tried in turn until one learns all images."""

ROUND = 20
"""Steps between looks at the error."""


@dataclass(frozen=True)
class Attempt:
    """Errors after each round at one rate, outputs at the end, and `(N,)` what is wrong then."""

    rate: float
    errors: tuple[float, ...]
    outputs: Tensor
    missed: Tensor

    @property
    def wrong(self) -> float:
        """The error at the end."""
        return self.errors[-1]


@check("overfit", place=7)
def check_overfit(
    *,
    net: nn.Module,
    few: Batch,
    class_names: Sequence[str],
    task: Task = CLASSIFICATION,
    criterion: Criterion | None = None,
    overfit_steps: int = 400,
    seed: int = 0,
) -> Report:
    """Learn some images to zero error, and judge those same images.

    Augmentation, dropout, decay and label smoothing are off, and the optimizer is Adam with a rate
    that suits it, whatever the run has: only the network and the targets are judged.

    Args:
        net: the network; it is not changed.
        few: about 64 images, as evaluation prepares them.
        class_names: names of the classes.
        task: says which images are wrong.
        criterion: the run's loss, which is used where outputs are not a score for each class.
        overfit_steps: at most, at each of three rates.
        seed: seed of the random numbers of this check.
    """
    attempts: list[Attempt] = []
    missed = getattr(task, "missed", None)
    if missed is None:
        return not_applicable("overfit", "the task does not say which images are wrong (`missed`)")
    has_classes = few.targets.ndim == 1 and hasattr(task, "decisions")
    is_scored = has_classes and gives_probabilities(task)
    loss = CrossEntropy() if is_scored or criterion is None else criterion.plain()
    for rate in RATES:
        attempts.append(_attempt(net, few, missed, loss, rate=rate, steps=overfit_steps, seed=seed))
        if attempts[-1].wrong == 0.0:
            break
    best = min(attempts, key=lambda attempt: attempt.wrong)
    wrong = int(best.missed.sum())
    count, steps = len(few.targets), ROUND * len(best.errors)
    guessing = 1.0
    if has_classes:
        guessing -= float(torch.bincount(few.targets.cpu()).max()) / count
    findings = (_failed(wrong, count, guessing, attempts),) if wrong else ()
    done = f"all {count} images are memorised in {steps} steps"
    pictures = [Plot("a few images, memorised", _draw(attempts))]
    decide = getattr(task, "decisions", None)
    if wrong and has_classes and decide is not None:
        title = "images that would not be learnt (label, and what the network says)"
        bad = best.missed
        doubtful = few.images[bad], few.targets[bad], decide(best.outputs)[bad]
        pictures.append(Plot(title, doubtful_images(*doubtful, class_names)))
    return Report(
        "overfit",
        findings[0].headline if findings else done,
        findings,
        numbers={"images": count, "wrong": wrong, "steps": steps, "rate": best.rate},
        tables=(
            Table(
                "error after the last step, with Adam",
                ("rate", "steps", "error"),
                tuple((a.rate, ROUND * len(a.errors), a.wrong) for a in attempts),
            ),
        ),
        pictures=tuple(pictures),
    )


def _attempt(  # what is the same in all attempts, then what is not
    net: nn.Module,
    few: Batch,
    missed: Callable[[Tensor, Tensor], Tensor],
    loss: Criterion,
    *,
    rate: float,
    steps: int,
    seed: int,
) -> Attempt:
    moving, errors = steady_copy(net), []
    outputs = logits_of(moving, [few])[0]

    def enough(done: int) -> bool:
        nonlocal outputs
        if done % ROUND:
            return False
        outputs = logits_of(moving, [few])[0]
        errors.append(float(missed(outputs, few.targets).float().mean()))
        return errors[-1] == 0.0

    method = Method(
        lambda model: adamw(groups=parameter_groups(model)),
        loss,
        Recipe(epochs=1, lr=rate),
    )
    train_briefly(
        moving, [few], method=method, steps=steps, rate=lambda _: rate, seed=seed, enough=enough
    )
    return Attempt(rate, tuple(errors) or (1.0,), outputs, missed(outputs, few.targets))


def _failed(wrong: int, count: int, guessing: float, attempts: Sequence[Attempt]) -> Finding:
    errors = ", ".join(f"{a.wrong:.0%} at rate {a.rate:g}" for a in attempts)
    return Finding(
        "cannot_overfit",
        f"the network cannot memorise {wrong} of {count} images",
        f"error after {ROUND * len(attempts[0].errors)} steps of Adam without augmentation, "
        f"dropout and decay: {errors}; chance is {guessing:.0%}",
        "look at the images that are not learnt and their labels; if it is nearly all of them, at "
        "the gradients and the initial weights; else make the network larger",
        is_certain=wrong / count > 0.5 * guessing,
        follows=STOPS,
    )


def _draw(attempts: Sequence[Attempt]) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for place, attempt in enumerate(attempts):
        steps = [ROUND * (i + 1) for i in range(len(attempt.errors))]
        # Where curves are the same, the thinner ones lie on the thicker: all are seen.
        axes.plot(steps, attempt.errors, lw=6 - 2.2 * place, label=f"rate {attempt.rate:g}")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(left=0)
    axes.set_xlabel("step")
    axes.set_ylabel("error")
    axes.legend()
    return figure
