"""Several tasks at once, each of a head of the network: a sum of their losses, figures by head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.kinds import Heads
from cnntrain.tasks import task
from cnntrain.tasks.answers import SaidOfImage, answers_of, judged, said, together
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.head import Shapes, make_heads
from cnntrain.tasks.losses.weighted_sum import WeightedSum
from cnntrain.tasks.multitask_sums import Multitasked, MultitaskEpochSums, MultitaskSums
from cnntrain.tasks.protocol import Result, Task
from cnntrain.tasks.targets import Targets


@dataclass(frozen=True)
class SaidByHeads:
    """What several heads say of one image."""

    parts: Mapping[str, SaidOfImage]

    def cells(self) -> dict[str, str]:
        """Those of each, with its name in front."""
        return {f"{h} {k}": v for h, part in self.parts.items() for k, v in part.cells().items()}

    def values(self) -> dict[str, str]:
        """In the same way."""
        return {f"{h}.{k}": v for h, part in self.parts.items() for k, v in part.values().items()}

    @property
    def pixels(self) -> Tensor | None:
        """Of the first head that gives an image."""
        given = (getattr(part, "pixels", None) for part in self.parts.values())
        return next((pixels for pixels in given if pixels is not None), None)

    def data(self) -> dict[str, Any]:
        """By head."""
        return {"heads": {head: part.data() for head, part in self.parts.items()}}


@task("multitask", form="several", loss="weighted_sum", selects=("loss",))
class Multitask:
    """Several tasks at once, each of a head of the network by the same name, over one trunk.

    What is minimised is the sum of the heads' losses, each times its weight. Figures are those of
    the heads' tasks, `HEAD.FIGURE`; each of them may select the best weights. Caruana, "Multitask
    Learning", 1997.

    Args:
        heads: by name what each learns: task, loss, weight, names; see docs/tasks.md.
    """

    def __init__(self, *, heads: Heads, targets: Targets, outputs: Shapes) -> None:
        self.heads = make_heads(heads, targets, outputs)
        self.tasks: Mapping[str, Task] = {name: head.task for name, head in self.heads.items()}
        self._targets = targets
        each = self.tasks.items()
        self.figures: Sequence[str] = [
            f"{name}.{figure}" for name, one in each for figure in ("loss", *one.figures)
        ]
        self.headline: Sequence[str] = [
            f"{name}.{figure}" for name, one in each for figure in one.headline[:1]
        ]
        self.train_figures: Sequence[str] = [
            f"{name}.{figure}" for name, one in each for figure in one.train_figures
        ]
        can_miss = any(hasattr(one, "missed") for one in self.tasks.values())
        self.missed = self._missed if can_miss else None
        can_draw = any(hasattr(one, "draw") for one in self.tasks.values())
        self.draw = self._draw if can_draw else None

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """The heads' tasks are asked, each for its own; here nothing can be said."""
        del shape, classes
        return None

    def criterion(self, loss: Criterion) -> Criterion:
        """A weighted sum with the heads' losses in it; another loss as it is."""
        if not isinstance(loss, WeightedSum):
            return loss
        return WeightedSum(tuple(head.term(self._targets) for head in self.heads.values()))

    def answers(self, outputs: Tensor) -> Tensor:
        """Those of each head, in one row again."""
        each = ((head, head.output(outputs)) for head in self.heads.values())
        return _row([answers_of(head.task, own) for head, own in each])

    def together(self, answers: Sequence[Tensor]) -> Tensor:
        """The mean of each head's answers, as its task takes it."""
        each = self.heads.values()
        return _row([together(head.task, [head.output(row) for row in answers]) for head in each])

    def judged(self, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Multitasked:
        """The results of the heads' mean answers; the loss is the weighted sum of theirs."""
        del criterion
        parts = {}
        for name, head in self.heads.items():
            own, wanted = head.pair(self._targets)(answers, targets)
            parts[name] = judged(head.task, own, wanted, criterion=head.loss)
        loss = sum(head.weight * parts[name].loss for name, head in self.heads.items())
        return Multitasked(len(targets), loss, parts)

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[SaidByHeads]:
        """What each head says."""
        del names  # of all of them
        each = {
            name: said(head.task, head.output(answers), head.targets.names, top=top)
            for name, head in self.heads.items()
        }
        return [
            SaidByHeads(dict(zip(each, row, strict=True)))
            for row in zip(*each.values(), strict=True)
        ]

    def _missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The images that a head has not learnt: of those that decide something, if there are any.

        A picture that passes through a few numbers is not meant to come back exactly.
        """
        judging = [head for head in self.heads.values() if hasattr(head.task, "missed")]
        deciding = [head for head in judging if hasattr(head.task, "decisions")]
        found = torch.zeros(len(outputs), dtype=torch.bool, device=outputs.device)
        for head in deciding or judging:
            missed: Callable[[Tensor, Tensor], Tensor] = getattr(head.task, "missed")  # noqa: B009
            found |= missed(*head.pair(self._targets)(outputs, targets))
        return found

    def sums(self, outputs: Tensor) -> MultitaskSums:
        """For outputs of all heads `(N, F)`."""
        return MultitaskSums(self.heads, self._targets, outputs)

    def epoch_sums(self, device: torch.device) -> MultitaskEpochSums:
        """Those of each head."""
        return MultitaskEpochSums(self.heads, self._targets, device)

    def cost(self, result: Result, select: str) -> float:
        """The loss, or what a head's task says."""
        head, _, figure = select.partition(".")
        if not figure:
            return result.loss
        return self.tasks[head].cost(_parts(result)[head], figure)

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        head, _, figure = select.partition(".")
        return self.tasks[head].selected(figure, cost) if figure else cost

    def summary(self, result: Result) -> Mapping[str, str]:
        """The loss, and what each head's task has."""
        found = {"loss": f"{result.loss:.4f}"}
        for head, one in self.tasks.items():
            texts = one.summary(_parts(result)[head])
            found |= {f"{head} {name}": text for name, text in texts.items()}
        return found

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """The loss, then the reports of the heads."""
        texts = [f"loss {result.loss:.4f}  ({result.images:,} images)"]
        for name, one, part, names in self.parts(result, classes):
            texts.append(f"{name} (weight {self.heads[name].weight:g})\n{one.report(part, names)}")
        return "\n\n".join(texts)

    def _draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """The pictures of the heads, one below the other, of those that have one."""
        # here, not above: it imports matplotlib's and Pillow's parts
        from cnntrain.tasks.stacked_pictures import draw_stacked

        draw_stacked(self.parts(result, classes), path=path)

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """The loss, and what each head's task has; all of it with the classes' names."""
        heads = {
            name: one.data(part, names if classes else ())
            for name, one, part, names in self.parts(result, classes)
        }
        return {"images": result.images, "loss": result.loss, "heads": heads}

    def guessed(self, result: Result) -> str | None:
        """Of the first head that is no better than guessing."""
        for name, one, part, _ in self.parts(result, ()):
            ask = getattr(one, "guessed", None)
            if ask is not None and (found := ask(part)) is not None:
                return f"{name}: {found}"
        return None

    def parts(
        self, result: Result, classes: Sequence[str]
    ) -> Iterator[tuple[str, Task, Result, Sequence[str]]]:
        """Of each head: name, task, result, and the names of what it learns."""
        del classes
        for name, head in self.heads.items():
            yield name, head.task, _parts(result)[name], head.targets.names

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """Which columns are whose, and what they mean."""
        del names
        heads = {}
        for name, head in self.heads.items():
            ask, known = getattr(head.task, "about", None), head.targets.names
            own = {"classes": list(known)} if ask is None else ask(known)
            where = {"columns": [head.start, head.columns.stop], "shape": ["N", *head.shape]}
            heads[name] = {**where, **own}
        return {"heads": heads}

    def text(self, figure: str, value: float | None) -> str:
        """As the head's task writes it."""
        head, _, name = figure.partition(".")
        if not name or name == "loss":
            return "-" if value is None else f"{value:.4g}"
        return self.tasks[head].text(name, value)


def _row(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.flatten(1) for part in parts], dim=1)


def _parts(result: Result) -> Mapping[str, Result]:
    assert isinstance(result, Multitasked)
    return result.parts
