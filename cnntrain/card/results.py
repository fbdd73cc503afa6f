"""The sections of a card on how good the network is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from cnntrain.card.charts import Curve, Points, line_chart, reliability_diagram
from cnntrain.card.markup import code, paragraph, photos, scrolled, table
from cnntrain.card.subject import Subject
from cnntrain.core.escapes import escaped
from cnntrain.model.evaluate import Evaluated
from cnntrain.record.metrics_rows import MetricsRow
from cnntrain.show.page import text
from cnntrain.show.pixels import coloured, photographs
from cnntrain.show.words import counted, percent, shortened
from cnntrain.tasks.answers import parts_of
from cnntrain.tasks.calibration import calibration_error, reliability, scaled
from cnntrain.tasks.classification_report import (
    Classification,
    class_scores,
    mean_score,
    most_confused,
)
from cnntrain.tasks.intervals import share_interval
from cnntrain.tasks.protocol import Result, Task

MANY, WORST = 100, 30
"""With more classes than the first number, only so many of the worst are shown."""
MISTAKES, PAIRS = 12, 10
_LARGEST = 1e30
"""What is drawn is below it; a network that diverges may pass it."""


@dataclass(frozen=True)
class Score:
    """How many images of a split are right, and the error of naming one class always."""

    split: str
    images: int
    correct: int
    guessed: float | None

    def sentence(self) -> str:
        """The verdict."""
        inside = share_interval(self.correct, self.images)
        ends = f"{percent(1 - inside.high)} and {percent(1 - inside.low)}"
        kind, sure = self.split, f"with 95 % confidence between {ends} on other images of this kind"
        if self.split == "train":
            kind, sure = "training", "the network has learnt from them: on others it is unknown"
        error = percent(1 - self.correct / self.images)
        said = f"Wrong on {error} of {counted(self.images, f'{kind} image')} ({sure})"
        if self.guessed is None:
            return f"{said}."
        return f"{said}; always naming the most frequent class is wrong on {percent(self.guessed)}."


def score_of(subject: Subject) -> Score | None:
    """Of the evaluation, else of what the run has written down; None without a count."""
    if subject.evaluated is not None:
        result = subject.evaluated.metrics
        if not isinstance(result, Classification):
            return None
        guessed = 1 - result.largest_class / result.images
        return Score(subject.evaluated.split, result.images, result.correct, guessed)
    row = subject.recorded
    images, correct = row.get("images"), row.get("correct")
    if not isinstance(images, int) or not isinstance(correct, int) or not 0 <= correct <= images:
        return None
    if images == 0:
        return None
    return Score(str(row.get("split")), images, correct, None)


def curves(subject: Subject) -> Iterator[str]:
    """Loss, the task's first figure and the learning rate over the epochs."""
    epochs = [row for row in subject.rows if row.kind == "epoch"]
    if not epochs:
        return
    first = next(iter(subject.model.task.train_figures), "")
    form = _percent if first.rpartition(".")[2] == "error" else _short
    names = {"loss": _short, **({first: form} if first else {})}
    charts = [line_chart(_both(epochs, n), title=_titled(n), form=f) for n, f in names.items()]
    rate = [Curve("learning rate", _points(epochs, "lr"), "a")]
    charts.append(line_chart(rate, title="Learning rate", form=_short))
    yield f'<div class="charts">{"".join(charts)}</div>'
    best = subject.summary.get("best_epoch")
    said = "Training figures are means over an epoch, with augmentation and in training mode"
    chosen = f"; the weights after epoch {best} were kept" if best is not None else ""
    yield paragraph(f"{said}{chosen}.", "soft")


def _titled(figure: str) -> str:
    return figure.upper() if len(figure) <= 4 and figure != "loss" else figure.capitalize()


def _short(value: float) -> str:
    return f"{value:.3g}"


def _percent(share: float) -> str:
    """`12 %`, and `0.5 %` where that is too coarse."""
    return percent(share, places=0 if round(1000 * share) % 10 == 0 else 1)


def _both(epochs: Sequence[MetricsRow], name: str) -> list[Curve]:
    return [
        Curve("training", _points(epochs, f"train_{name}"), "a"),
        Curve("validation", _points(epochs, f"validation_{name}"), "b"),
    ]


def _points(rows: Sequence[MetricsRow], name: str) -> Points:
    """Where a figure is a number."""
    there = ((row.epoch, row.values.get(name)) for row in rows)
    return [(x, y) for x, y in there if isinstance(y, int | float) and abs(y) < _LARGEST > x]


def classes(evaluated: Evaluated) -> Iterator[str]:
    """Figures of each class, and which are taken for which; of several heads those of each."""
    parts = parts_of(evaluated.task, evaluated.metrics, evaluated.classes)
    for head, task, result, names in parts:
        yield f"<h3>{text(head)}</h3>" if head else ""
        yield from _of_task(task, result, names)


def _of_task(task: Task, result: Result, names: Sequence[str]) -> Iterator[str]:
    if not isinstance(result, Classification):
        yield code(task.report(result, names), "figures")
        yield from _given_back(getattr(result, "sample", None))
        return
    scores = class_scores(result.confusion)
    shown = sorted(range(len(names)), key=lambda i: (scores[i].f1, -scores[i].images))
    is_some = len(names) > MANY
    shown = shown[:WORST] if is_some else list(range(len(names)))
    if is_some:
        yield paragraph(f"The {WORST} of {len(names):,} classes with the lowest F1.", "note")
    rows = [["class", "images", "precision", "recall", "F1"]]
    for name, score in [*((names[i], scores[i]) for i in shown), ("mean", mean_score(scores))]:
        ratios = (percent(value) for value in (score.precision, score.recall, score.f1))
        rows.append([name, f"{score.images:,}", *ratios])
    rows[-1][0] = f"mean of {counted(len(names), 'class', 'classes')}"
    yield table(rows, label="Figures per class", bar=3, kind="sum")
    yield paragraph(
        "Precision: of the images that are taken for this class, those that are of it. Recall: of "
        "its images, those that are recognised. F1: the harmonic mean of both.",
        "soft",
    )
    yield "<h3>Confusion matrix</h3>"
    yield paragraph("Images; rows: true class, columns: predicted class.", "soft")
    yield _matrix(result.confusion, names, shown)
    if pairs := most_confused(result.confusion, PAIRS):
        words = (f"{names[true]} as {names[taken]} ({count:,})" for true, taken, count in pairs)
        yield paragraph(f"Most confused: {', '.join(words)}.")


def _matrix(confusion: Tensor, names: Sequence[str], shown: list[int]) -> str:
    """Rows are true classes; the colour is the share of the row, red ones up to the largest."""
    short = [text(shortened(names[i], 24, measure=len)) for i in shown]
    has_others = len(shown) < len(names)
    whole = confusion.sum(dim=1).tolist()
    counts = confusion[shown][:, shown].tolist()
    wrong = [
        count / max(1, whole[i])
        for i, row in zip(shown, counts, strict=True)
        for j, count in zip(shown, row, strict=True)
        if i != j
    ]
    worst = max(wrong, default=0.0) or 1.0
    head = "".join(f'<th scope="col" class="down">{name}</th>' for name in short)
    others = '<th scope="col" class="down">others</th>' * has_others
    lines = [f"<tr><td></td>{head}{others}</tr>"]
    for i, name, row in zip(shown, short, counts, strict=True):
        cells = []
        for j, count in zip(shown, row, strict=True):
            share = count / max(1, whole[i])
            depth = 0.55 * (share if i == j else (share / worst) ** 0.6)
            colour = f"rgb(var(--{'right' if i == j else 'wrong'}) / {depth:.2f})"
            cells.append(
                f'<td style="background:{colour}">{count:,}</td>' if count else "<td></td>"
            )
        cells += [f"<td>{whole[i] - sum(row):,}</td>"] * has_others
        lines.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return scrolled(f'<table class="confusion">{"".join(lines)}</table>', "Confusion matrix")


def _given_back(sample: Tensor | None) -> Iterator[str]:
    """Images and what the network makes of them, where a task keeps some: `(2, M, C, H, W)`."""
    if sample is None or sample.ndim != 5:
        return
    named = [(name, (name,)) for name in ("target", "output") for _ in sample[0]]
    yield photos(coloured(sample.flatten(0, 1)), named)


def mistakes(evaluated: Evaluated) -> Iterator[str]:
    """The images that are wrong and of which the network is most sure."""
    answers, images = evaluated.answers, evaluated.images
    if answers is None or images is None:
        return
    wrong = (~answers.right).nonzero().flatten()
    if not len(wrong):
        yield paragraph(f"All {images.described} are right.")
        return
    confidences, predicted = answers.confidences, answers.predicted.tolist()
    order = wrong[confidences[wrong].argsort(descending=True, stable=True)][:MISTAKES].tolist()
    some = f"; the {len(order)} of which the network is most sure" * (len(order) < len(wrong))
    yield paragraph(f"{len(wrong):,} of {images.described} are wrong{some}.")
    names, named = evaluated.classes, []
    for number in order:
        true, taken = names[int(answers.targets[number])], names[predicted[number]]
        sure = percent(float(confidences[number]), places=1)
        file = "/".join(images.label(number).split("/")[-2:])
        lines = (f"taken for {taken} ({sure})", f"is {true}", escaped(file))
        named.append((f"{true}, taken for {taken}", lines))
    yield photos(photographs(images.at(order), scaling=evaluated.model.scaling), named)
    yield paragraph("A wrong label, if there is one, is usually among these.", "soft")


def trust(evaluated: Evaluated) -> Iterator[str]:
    """Whether the probabilities mean what they say."""
    answers, temperature = evaluated.answers, evaluated.model.temperature
    if answers is None:
        return
    is_calibrated = temperature != 1.0
    plain = reliability(scaled(answers, 1 / temperature) if is_calibrated else answers)
    views = [("As trained" if is_calibrated else "Reliability", plain)]
    if is_calibrated:
        views.append((f"With temperature {temperature:.4g}", reliability(answers)))
    drawn = [
        reliability_diagram(
            bins,
            title=title,
            caption=f"calibration error {percent(calibration_error(bins))} (ECE, {len(bins)} bins)",
        )
        for title, bins in views
    ]
    yield f'<div class="charts">{"".join(drawn)}</div>'
    below = "Bars: how often the network is right where its most probable class has such a "
    below += "probability. Where they end below the dashed line, it is too sure"
    hint = "" if is_calibrated else "; `cnntrain calibrate` finds a temperature that corrects this"
    yield paragraph(f"{below}{hint}.", "soft")
