"""Changes of a run file that may help a network to generalise, each ready to be trained briefly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from cnntrain.assemble.arch_edits import overriding
from cnntrain.assemble.prepare import Prepared, prepare
from cnntrain.assemble.trial_parts import first_batches, lightly, method_of
from cnntrain.assemble.withheld import withheld
from cnntrain.config.from_python import load_given
from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.core.errors import CnntrainError
from cnntrain.data.batch import Batch
from cnntrain.diagnose.learning_curve import judge_both
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.samples import open_both
from cnntrain.train.briefly import Method, set_steady, steady_copy, train_briefly
from cnntrain.train.evaluation import training_mode

SHIFT = 8
"""Images are shifted by up to this part of their side."""

DECAY = 10.0
"""Times as much weight decay; with none, `FIRST_DECAY`."""

FIRST_DECAY = 5e-4

EVALUATION = ".".join(map(str, (*TRANSFORMS_AT, "eval")))
"""Changes of this, and of what is in it, are seen on images that are prepared so, too."""


@dataclass(frozen=True)
class Trial:
    """What a short training starts from: a network, its batches, how it trains.

    `seen` are the images that judge it, where evaluation prepares them otherwise than the run's.
    """

    net: nn.Module
    batches: Sequence[Batch]
    method: Method
    seen: tuple[Sample, Sample] | None = None

    def trained(self, steps: int, *, seed: int, run_steps: int = 0) -> nn.Module:
        """A copy after so many steps, in the modes of `steady_copy`, with the run's views.

        Where `run_steps` is given, the rate goes through the whole schedule of so many steps, and
        layers are frozen when they would be: a run in miniature.
        """
        moving, recipe = steady_copy(self.net), self.method.recipe
        training_mode(moving)
        pace = max(1.0, run_steps / steps)

        def rate(step: int) -> float:
            return recipe.lr * recipe.schedule(int(step * pace))

        def hold(done: int) -> bool:
            if run_steps:
                epoch = 1 + int(done * pace * recipe.epochs / run_steps)
                recipe.freezing.hold(moving, epoch=min(epoch, recipe.epochs))
                training_mode(moving)
            return False

        hold(0)
        train_briefly(
            *(moving, self.batches),
            method=self.method,
            steps=steps,
            rate=rate,
            seed=seed,
            enough=hold,
        )
        set_steady(moving)
        moving.training &= recipe.evaluate_views == 1  # else without auxiliary heads
        return recipe.answering(moving)


@dataclass(frozen=True)
class Relief:
    """Overrides of a run file, in words, and what opens a trial with them.

    `open_trial` gives None where the run file does not allow them.
    """

    what: str
    overrides: tuple[str, ...]
    open_trial: Callable[[], Trial | None]


def variants_of(loaded: Loaded, opener: Opener, *, sides: Sequence[int]) -> tuple[Relief, ...]:
    """What may help, for images of `sides` pixels."""

    def trial(overrides: tuple[str, ...]) -> Trial | None:
        opened = opener(overrides)
        return None if opened is None else opened.trial()

    return tuple(
        Relief(what, overrides, partial(trial, overrides))
        for what, overrides in _changes(loaded, sides)
    )


@dataclass(frozen=True)
class OpenedVariant:
    """A run file with overrides, and its training batches."""

    prepared: Prepared
    batches: Callable[[], Sequence[Batch]]
    is_seen_otherwise: bool = False

    def trial(self) -> Trial:
        """What a training starts from."""
        net, seen = self.prepared.learner.model, self.samples() if self.is_seen_otherwise else None
        return Trial(net, self.batches(), method_of(self.prepared), seen)

    def samples(self) -> tuple[Sample, Sample] | None:
        """Images of training and of the split that measures, as evaluation prepares them."""
        train, other = open_both(self.prepared.loaded, self.prepared.data)
        return None if other is None else (train, other)


Opener = Callable[[tuple[str, ...]], OpenedVariant | None]


def opener_of(
    prepared: Prepared,
    batches: Callable[[], Sequence[Batch]],
    *,
    steps: int,
    size_of: Callable[[int], int],
) -> Opener:
    """What opens a run file with overrides; None where it does not go with them.

    Args:
        prepared: the run file as it is; `lightly`.
        batches: gives its training batches, which are those of all overrides but of its data.
        steps: how many batches to make of other data.
        size_of: how many images of these, for a run with batches of so many.
    """
    loaded = prepared.loaded
    text, is_probe = dump_yaml(resolved_tree(loaded.config)), prepared.learner.part != ""

    def opened(overrides: tuple[str, ...]) -> OpenedVariant | None:
        is_same = not is_probe and not any(each.startswith("data.") for each in overrides)
        try:
            changed = lightly(load_given(text, overrides))
            found = prepare(changed, data=prepared.data if is_same else None)
        except CnntrainError:
            return None
        size = size_of(found.loaded.config.data.batch)
        own = partial(first_batches, found.data.train, count=steps, size=size)
        is_otherwise = any(each.startswith(EVALUATION) for each in overrides)
        return OpenedVariant(found, batches if is_same else own, is_otherwise)

    return opened


def name_of(step: Any) -> str:
    """Of a transform, as it stands in a run file."""
    return step if isinstance(step, str) else str(next(iter(step)))


def _changes(loaded: Loaded, sides: Sequence[int]) -> Iterator[tuple[str, tuple[str, ...]]]:
    tree: dict[str, Any] = resolved_tree(loaded.config)
    kept = withheld(loaded)
    if kept.key:
        yield f"train on more of the images than {kept.key} leaves", kept.overrides
    for what, changed in (
        ("images shifted at random", shifted(loaded, sides)),
        ("images mirrored at random", _with_step(loaded, "horizontal_flip", ("horizontal_flip",))),
    ):
        if changed:
            yield what, changed
    decay = tree["train"]["optimizer"].get("weight_decay")
    if decay is not None:
        more = DECAY * decay or FIRST_DECAY
        yield "more weight decay", (f"train.optimizer.weight_decay={more:g}",)


def shifted(loaded: Loaded, sides: Sequence[int]) -> tuple[str, ...]:
    """Images of `sides` pixels shifted at random; none where training does such a thing already."""
    crop = {"random_crop": {"size": list(sides), "padding": max(1, min(sides) // SHIFT)}}
    return _with_step(loaded, crop, ("random_crop", "random_resized_crop", "affine"))


def _with_step(loaded: Loaded, step: Any, others: Sequence[str]) -> tuple[str, ...]:
    """One more transform of training, before `normalize`; none where one of `others` is there."""
    steps = list(resolved_tree(loaded.config)["data"]["transforms"]["train"])
    names = [name_of(step) for step in steps]
    if set(names) & set(others):
        return ()
    place = names.index("normalize") if "normalize" in names else len(steps)
    return (overriding((*TRANSFORMS_AT, "train"), [*steps[:place], step, *steps[place:]]),)


@dataclass(frozen=True)
class Helped:
    """A variant (None: as the run file says), and what was wrong after a short training."""

    variant: Relief | None
    train: float
    other: float


def tried(  # what is trained, and what judges it
    own: Trial,
    variants: Sequence[Relief],
    train: Sample,
    other: Sample,
    *,
    steps: int,
    seed: int,
) -> list[Helped]:
    """A short training as the run file says, then one with each variant that it allows."""
    found = []
    for variant in (None, *variants):
        trial = own if variant is None else variant.open_trial()
        if trial is not None:
            judged = judge_both(trial.trained(steps, seed=seed), train, other)
            found.append(Helped(variant, judged.train, judged.other))
    return found
