"""One picture or measurement of a trained network per file; plain tensors in, numbers out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cnntrain.core.choices import PICTURES
from cnntrain.core.errors import UsageError
from cnntrain.core.target_forms import IN_WORDS

if TYPE_CHECKING:
    from cnntrain.model.model import Model

Draw = TypeVar("Draw", bound=Callable[..., Any])


def picture(name: str, **options: object) -> Callable[[Draw], Draw]:
    """The decorator `@picture("cam")`: its function draws a Model, in `model.running()`.

    With `forms=("classes",)` it refuses a Model whose task learns something else.
    """
    register = PICTURES.register(name, **options)
    forms = options.get("forms")

    def keep(draw: Draw) -> Draw:
        @wraps(draw)
        def drawn(*, model: Model, **given: Any) -> Any:
            task = model.loaded.config.task
            if isinstance(forms, tuple) and task.form not in forms:
                needed = " or ".join(IN_WORDS[form] for form in forms)
                found = f"'{task.name}' learns {IN_WORDS[task.form]}"
                others = [
                    each.name
                    for each in PICTURES.entries()
                    if task.form in each.options.get("forms", (task.form,))
                ]
                raise UsageError(
                    f"the picture '{name}' is of images that have {needed}, and the task {found}",
                    remedy=f"for it there are {', '.join(others)}",
                )
            with model.running():
                return draw(model=model, **given)

        return register(cast(Draw, drawn))

    return keep
