"""`cnntrain diagnose`: why does it not learn?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Plugins, tell_notes
from cnntrain.core.errors import UsageError
from cnntrain.show.tables import columns
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.diagnose.diagnose import Diagnosis
    from cnntrain.diagnose.report import Finding, Report, Table
    from cnntrain.diagnose.tries import TriedRemedy


def diagnose(  # noqa: PLR0913  # one parameter for each option
    name: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_RUN", help="A run file, a shipped one's name, a run or a checkpoint."
        ),
    ],
    checks: Annotated[
        list[str] | None,
        typer.Option(
            "--check", metavar="NAME", help="Run only this check and print its tables. Repeatable."
        ),
    ] = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write a page with all tables and pictures."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write it all for TensorBoard, into this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the page.")] = False,
    tries: Annotated[
        bool,
        typer.Option(
            "--try",
            help="Train a copy without and with the first remedy that is a change of the run file.",
        ),
    ] = False,
    try_epochs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Epochs of each of both; else as many as take half a minute."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find out why a network does not learn. Causes first.

    Checks gradients, initial weights, rate and recipe on copies and a few images, in minutes;
    nothing of the run is changed. Reports what is wrong, on which evidence, and what to do next.
    """
    if try_epochs is not None and not tries:
        raise UsageError("--try-epochs is for --try", remedy="add --try, or leave --try-epochs out")
    if html is not None:
        output.refuse_existing(html, force=force, option="--html")
        output.refuse_no_folder(html)
    from cnntrain.core.atomic import write_output

    diagnosis, stop = _examined(
        name, checks=checks or (), overrides=overrides or [], plugins=plugins or []
    )
    tell_notes(diagnosis.notes)
    if html is not None:
        from cnntrain.diagnose.html_report import html_page

        write_output(html, html_page(diagnosis, subject=name))
        output.note(f"page: {html}")
    if tensorboard is not None:
        from cnntrain.diagnose.board import write_board

        write_board(diagnosis, tensorboard, subject=name)
        output.note(f"event files: {tensorboard}")
    tried = _tried(diagnosis, epochs=try_epochs) if tries and stop is None else None
    if as_json:
        output.result_json(_as_data(diagnosis, name) | _tried_data(tried))
    else:
        output.result(_as_text(diagnosis, shows_tables=bool(checks)))
        if tried is not None:
            output.result(f"\n{_tried_text(tried)}")
    if stop is not None:
        raise stop


def _examined(
    name: str, *, checks: Sequence[str], **given: Any
) -> tuple[Diagnosis, KeyboardInterrupt | None]:
    """What is found; where somebody stops it, until then, and what is to be raised at the end."""
    from cnntrain.diagnose.diagnose import conclude, examine
    from cnntrain.diagnose.faults import check_names
    from cnntrain.diagnose.report import not_applicable

    made: list[Report] = []

    def tell(report: Report) -> None:
        made.append(report)
        _tell(report)

    try:
        return examine(name, checks=checks, **given, tell=tell), None
    except KeyboardInterrupt as stop:
        if not made:
            raise
        left = (checks or check_names())[len(made) :]
        rest = [not_applicable(check, f"the diagnosis was {stop or 'stopped'}") for check in left]
        return conclude([*made, *rest]), stop


def _tried(diagnosis: Diagnosis, *, epochs: int | None) -> TriedRemedy | None:
    """The first remedy that is a change of the run file, tried; None where there is none."""
    from cnntrain.diagnose.tries import try_remedy, with_overrides

    finding = with_overrides(diagnosis.findings)
    if finding is None or diagnosis.tries is None:
        what = (
            "no remedy is a change of the run file" if diagnosis.findings else "nothing was found"
        )
        output.note(f"nothing to try: {what}")
        return None
    return try_remedy(finding, diagnosis.tries, epochs=epochs, tell=output.note)


def _tried_text(tried: TriedRemedy) -> str:
    epochs = f"{tried.epochs} of {tried.of} epochs"
    said = "it helped" if tried.helped else "it did not help"
    return f"tried: {tried.before.said}, with the remedy {tried.after.said} ({epochs}): {said}"


def _tried_data(tried: TriedRemedy | None) -> dict[str, Any]:
    if tried is None:
        return {}
    sides = {"before": tried.before, "after": tried.after}
    return {
        "tried": {
            "overrides": list(tried.overrides),
            "epochs": tried.epochs,
            **{
                name: {"figure": side.name, "value": side.value, "failed": side.failed}
                for name, side in sides.items()
            },
            "helped": tried.helped,
        }
    }


def _tell(report: Report) -> None:
    found = f": {report.headline}" if report.findings else ""
    output.note(f"{report.check}: {report.verdict} ({report.seconds:.1f} s){found}")


def _as_text(diagnosis: Diagnosis, *, shows_tables: bool) -> str:
    rows = [["check", "verdict", "seconds", "what was seen"]]
    for report in diagnosis.reports:
        rows.append([report.check, report.verdict, f"{report.seconds:.1f}", report.headline])
    parts = [columns(rows, right=[2])]
    if shows_tables:
        parts += [_table(table) for r in diagnosis.reports for table in r.tables if table.rows]
    parts += [_finding(*each) for each in enumerate(diagnosis.findings, start=1)]
    if diagnosis.judging and not diagnosis.findings:
        made = counted(len(diagnosis.judging), "check")
        parts.append(f"nothing wrong found by {made}: {', '.join(diagnosis.judging)}")
    if diagnosis.open_questions:
        lines = [f"   {check}: {why}" for check, why in diagnosis.open_questions]
        parts.append(
            "\n".join(["could not be judged, which does not mean that it is fine:", *lines])
        )
    return "\n\n".join(parts)


def _finding(number: int, finding: Finding) -> str:
    lines = [
        f"{number}. {finding.headline} ({finding.verdict}: {finding.fault})",
        f"   evidence: {finding.evidence}",
        f"   what to do: {finding.remedy}",
        *([f"   as overrides: {finding.flags}"] if finding.overrides else []),
        *(f"   so, too: {effect.headline} ({effect.fault})" for effect in finding.effects),
    ]
    return "\n".join(lines)


def _table(table: Table) -> str:
    from cnntrain.diagnose.html_report import cell_text

    rows = [list(table.columns), *([cell_text(cell) for cell in row] for row in table.rows)]
    columns_of = enumerate(zip(*table.rows, strict=True))
    right = [i for i, cells in columns_of if not any(isinstance(cell, str) for cell in cells)]
    return f"{table.title}\n{columns(rows, right=right)}"


def _as_data(diagnosis: Diagnosis, name: str) -> dict[str, Any]:
    return {
        "subject": name,
        "verdict": diagnosis.verdict,
        "findings": [_finding_data(finding) for finding in diagnosis.findings],
        "refuted": [_finding_data(finding) for finding in diagnosis.refuted],
        "not_judged": [{"check": check, "why": why} for check, why in diagnosis.open_questions],
        "checks": [
            {
                "check": report.check,
                "verdict": report.verdict,
                "headline": report.headline,
                "seconds": report.seconds,
                "numbers": dict(report.numbers),
                "tables": [
                    {
                        "title": table.title,
                        "rows": [dict(zip(table.columns, row, strict=True)) for row in table.rows],
                    }
                    for table in report.tables
                ],
            }
            for report in diagnosis.reports
        ],
    }


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "fault": finding.fault,
        "check": finding.check,
        "verdict": finding.verdict,
        "headline": finding.headline,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "overrides": list(finding.overrides),
        "effects": [_finding_data(effect) for effect in finding.effects],
    }
