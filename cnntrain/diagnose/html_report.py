"""The diagnosis as one HTML file that needs nothing else: pictures are inside of it."""

from __future__ import annotations

from cnntrain.diagnose.diagnose import Diagnosis
from cnntrain.diagnose.reasoning import STYLE as REASONING
from cnntrain.diagnose.reasoning import reasoning
from cnntrain.diagnose.report import Cell, Finding, Plot, Report, Table
from cnntrain.show.page import page, picture, text

_STYLE = """
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #eee }
th:first-child, td:first-child { text-align: left }
table { overflow-wrap: normal } .number { white-space: nowrap }
.scroll { overflow: auto; max-height: 24rem;  /* a shadow where there is more to scroll to */
          background: linear-gradient(90deg, #fff 30%, #fff0) 0 0 / 3rem 100% no-repeat local,
                      linear-gradient(270deg, #fff 30%, #fff0) 100% 0 / 3rem 100% no-repeat local,
                      linear-gradient(90deg, #0005, #0000) 0 0 / 1rem 100% no-repeat scroll,
                      linear-gradient(270deg, #0005, #0000) 100% 0 / 1rem 100% no-repeat scroll }
.scroll td, .scroll th { white-space: nowrap }
@media (max-width: 40rem) { .checks, .checks tbody { display: block }
  .checks tr { display: flex; flex-wrap: wrap; border-bottom: 1px solid #ddd }
  .checks td { border: 0 } .checks td:nth-child(3) { order: 1; width: 100% }
  .checks .number { margin-left: auto } }
.finding { border-left: 5px solid #888; padding: .2rem 1rem; margin: 1rem 0; background: #f7f7f7 }
.fault { border-color: #c62828 } .suspect { border-color: #ef8f00 } .fine { border-color: #2e7d32 }
.mark { border-radius: .3rem; color: #fff; padding: .05rem .5rem; font-size: .8rem;
        background: #888; border: 0; white-space: nowrap }
.mark.fault { background: #c62828 } .mark.suspect { background: #b26a00 }
.mark.fine { background: #2e7d32 }
"""


_SEEN = 14
"""Rows of a table that are seen without scrolling."""


def html_page(diagnosis: Diagnosis, *, subject: str) -> bytes:
    """A page that opens in a browser without a network; `subject` is what was examined."""
    parts = [_finding(number, found) for number, found in enumerate(diagnosis.findings, start=1)]
    if diagnosis.verdict == "fine":
        looked = text(", ".join(diagnosis.judging))
        parts.append(f'<div class="finding fine"><p>Nothing wrong was found by {looked}.</p></div>')
    parts += [
        *reasoning(diagnosis),
        _overview(diagnosis.reports),
        *map(_section, diagnosis.reports),
    ]
    return page(f"cnntrain diagnose {subject}", parts, style=_STYLE + REASONING)


def cell_text(value: Cell) -> str:
    """A cell for people: three digits of a number, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "0" if value == 0 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def _finding(number: int, finding: Finding) -> str:
    return (
        f'<div class="finding {finding.verdict}"><h3>{number}. {text(finding.headline)} '
        f"{_mark(finding.verdict)} <code>{text(finding.fault)}</code></h3>"
        f"<p>{text(finding.evidence)}.</p>"
        f"<p><strong>What to do:</strong> {text(finding.remedy)}.</p>"
        + (f"<p><code>{text(finding.flags)}</code></p>" if finding.overrides else "")
        + "".join(
            f"<p><strong>So, too:</strong> {text(effect.headline)} "
            f"<code>{text(effect.fault)}</code>.</p>"
            for effect in finding.effects
        )
        + "</div>"
    )


def _mark(verdict: str) -> str:
    return f'<span class="mark {verdict}">{verdict}</span>'


def _overview(reports: tuple[Report, ...]) -> str:
    rows = "".join(
        f'<tr><td><a href="#{text(r.check)}">{text(r.check)}</a></td>'
        f'<td style="text-align:left">{_mark(r.verdict)}</td>'
        f'<td style="text-align:left">{text(r.headline)}</td>'
        f'<td class="number">{r.seconds:.1f} s</td></tr>'
        for r in reports
    )
    return f'<h2>Checks</h2><table class="checks">{rows}</table>'


def _section(report: Report) -> str:
    parts = [
        f'<h2 id="{text(report.check)}">{text(report.check)} {_mark(report.verdict)}</h2>',
        f"<p>{text(report.headline)}.</p>",
        *map(_picture, report.pictures),
        *(_table(table) for table in report.tables if table.rows),
    ]
    return "\n".join(parts)


def _picture(plot: Plot) -> str:
    return f"<h3>{text(plot.title)}</h3>{picture(plot.png(), alt=plot.title)}"


def _table(table: Table) -> str:
    head = "".join(f"<th>{text(column)}</th>" for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{text(cell_text(cell))}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    more = f'<p class="small">{len(table.rows)} rows: scroll</p>' * (len(table.rows) > _SEEN)
    return (
        f"<h3>{text(table.title)}</h3>{more}"
        f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'
    )
