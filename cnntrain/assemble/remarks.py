"""What is to be said of a run file in which nothing is wrong: see `cnntrain.core.remark`."""

from __future__ import annotations

from cnntrain.arch.plan import Plan
from cnntrain.assemble.amount_rules import amounts
from cnntrain.assemble.horizon_rules import TrainImages, horizons
from cnntrain.assemble.image_rules import image_remarks
from cnntrain.assemble.sight_rules import sight
from cnntrain.config.loaded import Loaded
from cnntrain.core.remark import Remark
from cnntrain.core.target_forms import has_image


def network_remarks(loaded: Loaded, plan: Plan) -> list[Remark]:
    """On what crops leave, and what the network can see and say."""
    task, train = loaded.config.task, loaded.config.train
    classes = plan.description.facts.num_classes if task.form == "classes" else 0
    return [
        *image_remarks(loaded),
        *sight(
            plan,
            classes=classes or 0,
            applies="" if train is None else train.loss.applies,
            is_image=has_image(task.wanted),
        ),
    ]


def recipe_remarks(loaded: Loaded, plan: Plan, counted: TrainImages | None = None) -> list[Remark]:
    """On the numbers of the recipe; `counted` is None before the images are there."""
    if loaded.config.train is None:
        return []
    return [*horizons(loaded, plan, counted), *amounts(loaded, plan, counted)]
