"""Models that answer together: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnntrain.core.kinds import Split
from cnntrain.data.crops import Crops
from cnntrain.model.evaluate import Evaluated, evaluate
from cnntrain.model.inputs import Images
from cnntrain.model.model import Model
from cnntrain.model.predict import Prediction, predict


@dataclass(frozen=True)
class Ensemble:
    """Several models for the same classes, used as one of them is.

    Args:
        models: each with its own preprocessing; the data and the order of the classes are those of
            the first.
    """

    models: Sequence[Model]

    def predict(
        self, images: Images, *, top: int = 5, crops: Crops = "center", scales: Sequence[int] = ()
    ) -> list[Prediction]:
        """Classify images; see `cnntrain.model.predict.predict`."""
        return predict(self.models, images, top=top, crops=crops, scales=scales)

    def evaluate(
        self, split: Split | None = None, *, crops: Crops = "center", scales: Sequence[int] = ()
    ) -> Evaluated:
        """Classify a split of the first model's data; see `cnntrain.model.evaluate.evaluate`."""
        return evaluate(self.models, split=split, crops=crops, scales=scales)
