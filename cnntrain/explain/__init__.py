"""One picture or measurement of a trained network per file; plain tensors in, numbers out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cnntrain.core.choices import PICTURES

if TYPE_CHECKING:
    from cnntrain.model.model import Model

Draw = TypeVar("Draw", bound=Callable[..., Any])


def picture(name: str, **options: object) -> Callable[[Draw], Draw]:
    """The decorator `@picture("cam")`: its function draws a Model, in `model.running()`."""
    register = PICTURES.register(name, **options)

    def keep(draw: Draw) -> Draw:
        @wraps(draw)
        def drawn(*, model: Model, **given: Any) -> Any:
            with model.running():
                return draw(model=model, **given)

        return register(cast(Draw, drawn))

    return keep
