"""`cnntrain bench`: how fast does it train here, and what would be faster?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Plugins, RunFile, checked_run_file
from cnntrain.config import shipped
from cnntrain.core.errors import UsageError

if TYPE_CHECKING:
    from cnntrain.bench.measured import Bench


def bench(
    file: RunFile,
    overrides: Overrides = None,
    plugins: Plugins = None,
    seconds: Annotated[
        float, typer.Option(min=1, help="How long to measure, about; large networks take longer.")
    ] = 60.0,
    compiles: Annotated[
        bool, typer.Option("--compile", help="Also compile the network, which takes a minute.")
    ] = False,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply",
            help="Write what is recommended into FILE; of a shipped one, into a copy in this "
            "folder.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure how fast a run file trains on this machine.

    The loader, the network, both, the wait for images, the share of what the machine can do, and
    what another precision, layout, batch size or number of workers comes to.
    """
    source = shipped.resolve(file)
    target = _target(file, source) if apply else None
    checked = checked_run_file(file, list(overrides or []), plugins=plugins or [])
    from cnntrain.bench.bench import bench as measure
    from cnntrain.bench.wording import as_data, as_text

    found = measure(checked.loaded, seconds=seconds, compiles=compiles, tell=output.note)
    output.answer(
        found,
        as_json,
        data=lambda it: as_data(it, subject=file),
        text=lambda it: as_text(it, subject=file),
    )
    if target is not None:
        _apply(found, source, target)


def _target(name: str, source: Path) -> Path:
    """The file to write.

    Raises:
        UsageError: a copy of a shipped file would overwrite another one.
    """
    home = shipped.folder()
    if home is None or not source.resolve().is_relative_to(home.resolve()):
        return source
    copy = Path(source.name)
    if copy.exists() and not copy.samefile(source):
        remedy = f"name that one, or remove it: `cnntrain bench {copy} --apply`"
        raise UsageError(f"a copy of '{name}' would overwrite {copy}", remedy=remedy)
    return copy


def _apply(found: Bench, source: Path, target: Path) -> None:
    from cnntrain.config.edited import edited
    from cnntrain.core.atomic import write_text_atomically

    if not found.recommended:
        output.note("nothing is recommended, so nothing is written")
        return
    text = found.loaded.document.text
    values = {change.key: change.value for change in found.recommended}
    write_text_atomically(target, edited(text, values))
    output.note(f"written to {target}: {', '.join(map(str, found.recommended))}")
