"""A head of a network with several: its task, and where its outputs and targets are.

The network gives all outputs in one row `(N, F)`, in the order of the heads' names; targets are
columns `(N, K)`, see `cnntrain.tasks.targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

from torch import Tensor

from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import LOSSES, TASKS, ChoiceError
from cnntrain.core.kinds import ClassWeights
from cnntrain.core.problems import suggestion
from cnntrain.core.target_forms import form_of
from cnntrain.tasks.criterion import Criterion, MeanLoss, positive_tensor
from cnntrain.tasks.losses.weighted_sum import Term
from cnntrain.tasks.protocol import Task
from cnntrain.tasks.targets import Targets

Shapes = Mapping[str, tuple[int, ...]]
IMAGE = "input"
"""Under this name the shapes have that of the image."""


@dataclass(frozen=True, eq=False)
class Head:
    """One of several.

    Args:
        name: as in the architecture.
        task: what it learns.
        targets: what the training images say of that.
        loss: as the task applies it.
        weight: factor of the loss.
        shape: of its output for one image, `()` while that is unknown.
        start: its first column in a row of outputs.
        places: of what it learns among the names of its part of the targets; None: all.
        image: shape of the image.
    """

    name: str
    task: Task
    targets: Targets
    loss: Criterion
    weight: float
    shape: tuple[int, ...] = ()
    start: int = 0
    places: tuple[int, ...] | None = None
    image: tuple[int, ...] = ()

    @property
    def columns(self) -> slice:
        """Of its outputs."""
        return slice(self.start, self.start + prod(self.shape))

    def output(self, row: Tensor) -> Tensor:
        """`(N, *shape)` of outputs `(N, F)`."""
        own = row[:, self.columns]
        return own if len(self.shape) == 1 else own.reshape(len(row), *self.shape)

    def term(self, whole: Targets) -> Term:
        """Its part of the loss."""
        return Term(self.weight, self.loss, self.pair(whole))

    def pair(self, whole: Targets) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """What takes its outputs and targets out of those of all heads."""

        def of(row: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            return self.output(row), self.target(targets, whole)

        return of

    def target(self, targets: Tensor, whole: Targets) -> Tensor:
        """Its targets in their own form, of columns `(N, K)`."""
        found = next(own for part, own in whole.divided(targets) if part.form == self.targets.form)
        if self.targets.form == "image":
            return found.reshape(len(targets), *self.image)
        return found if self.places is None else found[:, self.places]


def make_heads(given: Mapping[str, Any], targets: Targets, outputs: Shapes) -> dict[str, Head]:
    """The heads in the order of their names.

    Args:
        given: what they learn, see `cnntrain.config.task_section.HeadSection.as_given`.
        targets: of all of them; without parts before the images are read.
        outputs: shapes of what the network's layers give; empty before they are known.
    """
    heads: dict[str, Head] = {}
    start = 0
    for name in sorted(given):
        form, head = form_of(TASKS.entry(given[name]["task"]["name"])), given[name]
        part = next((each for each in targets.parts if each.form == form), Targets(form))
        places = _places(name, head["names"], part) if head["names"] and part.names else None
        if places is not None:
            part = _some(part, places)
        task: Task = _made(TASKS, head["task"], targets=part, outputs={})
        positive = partial(positive_tensor, labels=part.names)
        try:
            loss = _made(LOSSES, head["loss"], weigh=_unweighted, weigh_positive=positive)
        except ChoiceError as error:
            raise ChoiceError("heads", f"the head '{name}': {error}") from error
        loss = loss if hasattr(loss, "weight") else MeanLoss(loss)
        apply = getattr(task, "criterion", None)
        loss = loss if apply is None else apply(loss)
        shape = outputs.get(name, ())
        image = outputs.get(IMAGE, ())
        heads[name] = Head(name, task, part, loss, head["weight"], shape, start, places, image)
        start += prod(shape)
    return heads


def _made(catalogue: Catalogue, given: Mapping[str, Any], **filled: Any) -> Any:
    own = {key: value for key, value in given.items() if key != "name"}
    asked = {key: filled[key] for key in catalogue.entry(given["name"]).filled}
    return catalogue.load(given["name"])(**own, **asked)


def _unweighted(wanted: ClassWeights) -> None:
    """The weights of classes: a run file that asks for some is refused, see `config.head_rules`."""
    del wanted


def _places(head: str, names: Sequence[str], part: Targets) -> tuple[int, ...]:
    for name in names:
        if name not in part.names:
            message = f"the head '{head}' is to learn '{name}', which no image has"
            raise ChoiceError("heads", f"{message}; {suggestion(name, part.names)}")
    return tuple(part.names.index(name) for name in names)


def _some(part: Targets, places: Sequence[int]) -> Targets:
    def of(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[place] for place in places) if values else ()

    return replace(part, names=of(part.names), mean=of(part.mean), std=of(part.std))
