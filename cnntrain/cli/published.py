"""`cnntrain list weights`: torchvision's published weights that a run can start from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnntrain.cli import output
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import suggestion
from cnntrain.core.units import byte_size, short_count
from cnntrain.show.tables import columns
from cnntrain.show.words import counted, percent

if TYPE_CHECKING:
    from cnntrain.assemble.transfer.torchvision_weights import Published

HEAD = (
    "name", "parameters", "file", "top-1", "top-5", "input", "licence", "architecture", "here"
)  # fmt: skip


def list_weights(start: str | None, as_json: bool) -> None:
    """Those whose names begin with `start`, in a table.

    Raises:
        UsageError: there are none.
    """
    # Importing torchvision takes seconds.
    from cnntrain.assemble.transfer.torchvision_weights import known_models, published_for

    models = known_models()
    every = [published for model in models for published in published_for(model)]
    found = [published for published in every if published.name.startswith(start or "")]
    if not found:
        message = f"no weights whose names begin with '{start}' can be loaded"
        raise UsageError(message, remedy=suggestion(str(start), models))
    if as_json:
        output.result_json({"weights": [_as_data(published) for published in found]})
        return
    output.result(columns([HEAD, *map(_row, found)], right=range(1, 6), rules=[1]))
    output.note(
        f"{counted(len(found), 'set', 'sets')} of torchvision's weights, with their published "
        "accuracy on ImageNet; a run file names one by `arch: ARCHITECTURE` and "
        "`finetune: {weights: {torchvision: NAME}}`"
    )
    if any(published.arch is None for published in found):
        output.note("architecture -: that of a smaller one with other `vars`, see docs/transfer.md")
    if any(published.licence is None for published in found):
        output.note(
            "licence -: torchvision states none; weights may have terms that follow from the "
            "images they were trained on"
        )


def _row(published: Published) -> tuple[str, ...]:
    return (
        published.name,
        short_count(published.parameters),
        byte_size(published.size),
        percent(published.top1),
        percent(published.top5),
        str(published.crop),
        published.licence or "-",
        published.arch or "-",
        "yes" if published.path.is_file() else "-",
    )


def _as_data(published: Published) -> dict[str, Any]:
    return {
        "name": published.name,
        "parameters": published.parameters,
        "bytes": published.size,
        "top1": published.top1,
        "top5": published.top5,
        "input_size": published.crop,
        "licence": published.licence,
        "arch": published.arch,
        "url": published.url,
        "file": str(published.path),
        "is_here": published.path.is_file(),
    }
