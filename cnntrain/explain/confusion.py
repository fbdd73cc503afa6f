"""Which classes are taken for which."""

from __future__ import annotations

from cnntrain.core.kinds import Split
from cnntrain.explain import picture
from cnntrain.model.model import Model
from cnntrain.show.image_table import Picture
from cnntrain.tasks.classification_report import Classification
from cnntrain.tasks.confusion_matrix import confusion_figure


@picture("confusion", forms=("classes",))
def confusion(
    *,
    model: Model,
    split: Split | None = None,
) -> Picture:
    """Which classes are taken for which."""
    evaluated = model.evaluate(split)
    metrics, classes = evaluated.metrics, evaluated.classes
    assert isinstance(metrics, Classification)
    figure = confusion_figure(metrics.confusion, classes=classes)
    facts = {
        "split": evaluated.split,
        "classes": list(classes),
        "confusion": metrics.confusion.tolist(),
    }
    text = f"{metrics.correct:,} of {metrics.images:,} {evaluated.split} images right"
    return Picture(figure, facts, text)
