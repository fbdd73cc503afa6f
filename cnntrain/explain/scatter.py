"""What the network says of numbers, over what is true."""

from __future__ import annotations

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Split
from cnntrain.explain import picture
from cnntrain.model.model import Model
from cnntrain.show.image_table import Picture
from cnntrain.tasks.regression_report import Regression
from cnntrain.tasks.scatter import scatter_figure


@picture("scatter", forms=("numbers",))
def scatter(
    *,
    model: Model,
    split: Split | None = None,
) -> Picture:
    """What is predicted over what is true, a point for each image."""
    evaluated = model.evaluate(split)
    if not isinstance(evaluated.metrics, Regression):
        message = f"the task '{model.loaded.config.task.name}' keeps no numbers to be drawn"
        raise UsageError(
            message, remedy="`cnntrain eval RUN --confusion FILE.png` draws what it has"
        )
    figure = scatter_figure(evaluated.metrics, names=evaluated.classes)
    facts = {"split": evaluated.split, **model.task.data(evaluated.metrics, evaluated.classes)}
    figures = ((name, model.task.text(name, evaluated.metrics.figures[name]))
               for name in model.task.headline)  # fmt: skip
    said = "  ".join(f"{name} {text}" for name, text in figures)
    return Picture(
        figure, facts, f"{said} on {evaluated.metrics.images:,} {evaluated.split} images"
    )
