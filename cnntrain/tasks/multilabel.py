"""Any number of labels for each image: which of them it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.show.words import percent, shape_text
from cnntrain.tasks import task
from cnntrain.tasks.answers import Labels
from cnntrain.tasks.classification import sum_dtype
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.multilabel_report import Multilabel, as_data, judge, report
from cnntrain.tasks.protocol import Result
from cnntrain.tasks.targets import Targets


@task(
    "multilabel",
    form="labels",
    loss="binary_cross_entropy",
    selects=("map", "loss", "macro_f1", "micro_f1", "error"),
)
class FindLabels:
    """Each image has any number of labels; the sigmoid of an output is a label's probability.

    While training a label is said above a probability of 0.5; of a trained network above the one
    with the largest F1 on the validation images, label by label.
    """

    figures: Sequence[str] = ("map", "macro_f1", "micro_f1", "error")
    headline: Sequence[str] = ("map", "macro_f1")
    train_figures: Sequence[str] = ("error",)

    def __init__(self, *, targets: Targets) -> None:
        self.names = targets.names
        self.thresholds = targets.thresholds or (0.5,) * len(targets.names)

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """One output per label is right."""
        if shape == (classes,):
            return None
        if len(shape) == 1:
            message = f"gives {shape[0]} outputs, but there are {classes} labels"
            return message, "end with `- linear: {out: $num_classes}`, the number of labels"
        message = f"ends in {shape_text(shape)}, not in one output per label"
        return message, "end with `- flatten` and `- linear: {out: $num_classes}`"

    def answers(self, outputs: Tensor) -> Tensor:
        """Probabilities."""
        return outputs.sigmoid()

    def judged(self, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Result:
        """The result of mean probabilities; their loss is the criterion's of their log-odds."""
        loss = float(criterion(answers.logit(eps=1e-7), targets))
        return self._judged(answers, targets, loss)

    def _judged(self, answers: Tensor, targets: Tensor, loss: float) -> Multilabel:
        found = answers.cpu(), targets.cpu()
        return judge(*found, loss=loss, names=self.names, thresholds=self.thresholds)

    def decisions(self, answers: Tensor) -> Tensor:
        """`(N, labels)` bool."""
        return answers > torch.tensor(self.thresholds, device=answers.device)

    def missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Those with a label too many, or too few."""
        return ((outputs > 0) != (targets > 0.5)).any(dim=1)

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[Labels]:
        """The labels above their thresholds, the most probable first, and all probabilities."""
        del top  # there may be any number of them
        limits = dict(zip(self.names, self.thresholds, strict=True))
        return [
            Labels(tuple(zip(names, row, strict=True)), tuple(limits[name] for name in names))
            for row in answers.tolist()
        ]

    def sums(self, outputs: Tensor) -> LabelSums:
        """For outputs `(N, labels)`."""
        return LabelSums(self._judged, outputs[:0])

    def epoch_sums(self, device: torch.device) -> WrongSums:
        """Wrong decisions, in training mode, augmentation and all."""
        return WrongSums(device)

    def cost(self, result: Result, select: str) -> float:
        """The loss or the share of wrong decisions; of the others what is missing to 1."""
        assert isinstance(result, Multilabel)
        if select == "loss":
            return result.loss
        value = result.figures[select] or 0.0
        return value if select == "error" else 1.0 - value

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        return cost if select in ("error", "loss") else 1.0 - cost

    def summary(self, result: Result) -> Mapping[str, str]:
        """mAP, both F1 and the loss."""
        assert isinstance(result, Multilabel)
        names = {"mAP": "map", "macro F1": "macro_f1", "micro F1": "micro_f1"}
        texts = {name: self.text(key, result.figures[key]) for name, key in names.items()}
        return {**texts, "loss": f"{result.loss:.4f}"}

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """The means, and the figures of each label."""
        assert isinstance(result, Multilabel)
        return report(result)

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """Average precision and F1 of each label, as bars."""
        # here, not above: it imports matplotlib
        from cnntrain.tasks.label_bars import draw_bars

        assert isinstance(result, Multilabel)
        draw_bars(result, path=path)

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """The means and, with names, the figures of each label."""
        assert isinstance(result, Multilabel)
        return as_data(result, classes)

    def guessed(self, result: Result) -> str | None:
        """That probabilities drawn by chance rank as well: their mAP is the labels' frequency."""
        assert isinstance(result, Multilabel)
        shares = [each.images / result.images for each in result.labels if each.images]
        chance, found = sum(shares) / max(1, len(shares)), result.mean_average_precision
        if found is None or found > chance:
            return None
        return f"mAP is {percent(found)}: chance has {percent(chance)}"

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """How labels are made of the outputs."""
        return {
            "labels": list(names),
            "label_where": "sigmoid(output) > threshold",
            "thresholds": list(self.thresholds),
        }

    def text(self, figure: str, value: float | None) -> str:
        """Shares in percent."""
        if figure == "loss":
            return "-" if value is None else f"{value:.4g}"
        return percent(value)


class WrongSums:
    """Decisions about labels that are wrong in an epoch, counted on the device.

    Args:
        device: where the outputs are.
    """

    def __init__(self, device: torch.device) -> None:
        self._wrong = torch.zeros((), dtype=sum_dtype(device), device=device)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs and targets `(N, labels)`; of blended labels the larger share counts."""
        self._wrong += ((outputs > 0) != (targets > 0.5)).float().mean(dim=1).sum()

    def figures(self, images: int) -> dict[str, float]:
        """The share of wrong decisions."""
        return {"error": float(self._wrong) / images if images else float("nan")}

    def tensors(self) -> dict[str, Tensor]:
        """The sum over images of the share of their labels, 0-d."""
        return {"wrong": self._wrong}


class LabelSums:
    """The probabilities of all images, on the device: 4 bytes per image and label.

    An average precision is a matter of ranks, so there is no sum that would do: each of several
    processes gets the probabilities of all.

    Args:
        judge: makes a result of probabilities, targets and loss.
        none: outputs of no image, `(0, labels)`.
    """

    def __init__(self, judge: Callable[[Tensor, Tensor, float], Multilabel], none: Tensor) -> None:
        self._judge = judge
        self._scores, self._targets = [none.float()], [none.float()]
        self._loss = torch.zeros((), dtype=sum_dtype(none.device), device=none.device)
        self._weight = torch.zeros_like(self._loss)

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Keep a batch."""
        self._scores.append(outputs.sigmoid())
        self._targets.append(targets.float())
        self._loss += loss.to(self._loss.dtype) * weight
        self._weight += weight

    def gather(self, gathered: Callable[[Tensor], Tensor]) -> None:
        """Have the images of all processes."""
        self._scores = [gathered(torch.cat(self._scores))]
        self._targets = [gathered(torch.cat(self._targets))]
        self._loss, self._weight = gathered(torch.stack([self._loss, self._weight])[None]).sum(0)

    def compute(self) -> Multilabel:
        """The result; the one place that waits for the device."""
        scores = torch.cat(self._scores)
        if not len(scores):
            raise DataError("no images to evaluate", remedy="the split is empty")
        return self._judge(scores, torch.cat(self._targets), float(self._loss / self._weight))
