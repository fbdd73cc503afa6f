"""`cnntrain compare A B --representations`: how alike two trained networks' layers are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnntrain.cli import output
from cnntrain.cli.options import opened
from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Split


def compare_representations(  # noqa: PLR0913  # one parameter for each option
    names: Sequence[str],
    *,
    layers: str | None,
    split: Split | None,
    images: int,
    out: Path | None,
    force: bool,
    overrides: list[str] | None,
    plugins: list[Path] | None,
    as_json: bool,
) -> None:
    """Draw CKA and RSA between two networks' layers, and print them.

    Raises:
        UsageError: there are not two names, they are not of trained networks, or what is asked of
            them is not there.
    """
    if len(names) != 2:
        message = f"--representations needs two trained networks, not {len(names)}"
        raise UsageError(message, remedy="give two runs")
    patterns = [name.strip() for name in (layers or "").split(",") if name.strip()]
    if layers is not None and not patterns:
        raise UsageError("--layers names no layer", remedy="leave it out to compare all")
    for name in names:
        _refuse_architecture(name)
    from cnntrain.data.left_out import gathered, plain
    from cnntrain.explain.representations import compare_representations as compare
    from cnntrain.explain.representations import two_sides

    first, second = (opened(Path(n), overrides=overrides, plugins=plugins) for n in names)
    sides = two_sides((first, second), names=(names[0], names[1]), patterns=patterns)
    file = output.new_file(out, usual="representations.png", force=force)
    with gathered() as left_out:
        made = compare(sides, split=split, limit=images)
    facts = {**made.facts, "left_out": plain(left_out)}
    output.picture(replace(made, facts=facts), file, as_json=as_json)


def _refuse_architecture(name: str) -> None:
    from cnntrain.arch.description import is_architecture
    from cnntrain.core.document import read_document
    from cnntrain.runs.locate import run_file_at

    file = run_file_at(Path(name))
    if file is not None and is_architecture(read_document(file).data):
        raise UsageError(
            f"{name} is an architecture, which has no trained weights",
            remedy="give a run's folder, or leave --representations out to compare architectures",
        )
