"""One picture or measurement of a trained network per file; plain tensors in, numbers out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cnntrain.core.choices import PICTURES
from cnntrain.core.entry import Entry
from cnntrain.core.errors import UsageError
from cnntrain.core.target_forms import IN_WORDS
from cnntrain.tasks.answers import gives_probabilities

if TYPE_CHECKING:
    from cnntrain.model.model import Model

Draw = TypeVar("Draw", bound=Callable[..., Any])


def picture(name: str, **options: object) -> Callable[[Draw], Draw]:
    """The decorator `@picture("cam")`: its function draws a Model, in `model.running()`.

    With `forms=("classes",)` it refuses a Model whose task learns something else, or classes
    without a score for each, such as their order.
    """
    register = PICTURES.register(name, **options)

    def keep(draw: Draw) -> Draw:
        @wraps(draw)
        def drawn(*, model: Model, **given: Any) -> Any:
            _refuse_other_tasks(model, name)
            with model.running():
                return draw(model=model, **given)

        return register(cast(Draw, drawn))

    return keep


def _refuse_other_tasks(model: Model, name: str) -> None:
    task = model.loaded.config.task
    drawn = PICTURES.entry(name)
    if _fits(model, drawn):
        return
    forms = drawn.options["forms"]
    assert isinstance(forms, tuple)
    needed = " or ".join(IN_WORDS[form] for form in forms)
    message = f"the picture '{name}' is of images that have {needed}, and the task '{task.name}' "
    if task.form in forms:
        message += "gives no probabilities of them"
    else:
        message += f"learns {IN_WORDS[task.form]}"
    others = [each.name for each in PICTURES.entries() if _fits(model, each)]
    raise UsageError(message, remedy=f"for it there are {', '.join(others)}")


def _fits(model: Model, entry: Entry) -> bool:
    forms = entry.options.get("forms")
    if not isinstance(forms, tuple):
        return True
    form = model.loaded.config.task.form
    return form in forms and (form != "classes" or gives_probabilities(model.task))
