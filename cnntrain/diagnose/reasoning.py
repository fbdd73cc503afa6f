"""How a diagnosis was concluded, drawn as HTML: symptoms, causes, evidence, what refuted what.

Words, frames and arrows say everything; colours only repeat it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnntrain.diagnose.diagnose import Diagnosis
from cnntrain.diagnose.report import Finding
from cnntrain.show.page import text

STYLE = """
.reasoning { display: grid; grid-template-columns: 1fr 1.4rem 1.15fr 1.4rem 1.3fr; gap: .6rem 0;
             align-items: center; margin: 1rem 0; font-size: .88rem }
.reasoning .heads { display: contents; font-weight: 600 }
.reasoning .arrow { text-align: center; font-size: 1.2rem }
.reasoning .stack { display: grid; gap: .4rem }
.box { border: 2px solid #444; border-radius: .3rem; padding: .25rem .6rem; background: #fff }
.box.suspect { border-style: dashed } .box.refuted, .box.unjudged { border: 2px dotted #777 }
.box.cause { border-width: 3px } .box.cause.fault { border-color: #c62828 }
.box.cause.suspect { border-color: #ef8f00 } .box p { margin: .1rem 0 } .box .small { margin: 0 }
.box.refuted s { text-decoration-color: #777 }
.rule { grid-column: 1 / -1; border-top: 1px solid #ddd }
@media (max-width: 40rem) { .reasoning { grid-template-columns: 1fr }
  .reasoning .heads { display: none } .reasoning .arrow { transform: rotate(90deg) } }
"""

STRENGTHS = {"fault": "■■ certain", "suspect": "■□ suspected"}


def reasoning(diagnosis: Diagnosis) -> Iterator[str]:
    """The drawing, with its heading; nothing where there is nothing to be concluded."""
    if not diagnosis.findings and not diagnosis.refuted and not diagnosis.open_questions:
        return
    yield "<h2>How this was concluded</h2>"
    yield (
        '<p class="small">From right to left: what checks saw, the cause that explains it, and '
        "what it leads to. A solid frame is certain, a dashed one suspected, a dotted one refuted "
        "or not judged. The cause that explains most symptoms comes first, then the one that comes "
        "first on the way from images to steps.</p>"
    )
    yield '<div class="reasoning">'
    if diagnosis.findings:
        yield _row("What it leads to", "Cause", "Evidence", arrows=("", ""), kind="heads")
    for number, finding in enumerate(diagnosis.findings, start=1):
        yield '<div class="rule"></div>'
        yield _cause(number, finding, diagnosis)
    yield "</div>"
    if diagnosis.refuted:
        yield "<h3>Found, and refuted</h3>"
        yield '<div class="reasoning">'
        yield from (_refuted(finding, diagnosis) for finding in diagnosis.refuted)
        yield "</div>"
    if diagnosis.open_questions:
        yield "<h3>Not judged, which does not mean that it is fine</h3>"
        boxes = (
            _box(f"<p><strong>{text(check)}</strong>: {text(why)}</p>", "unjudged")
            for check, why in diagnosis.open_questions
        )
        yield f'<div class="stack" style="display: grid; gap: .4rem">{"".join(boxes)}</div>'


def _cause(number: int, finding: Finding, diagnosis: Diagnosis) -> str:
    """One cause with its effects on the left, and on the right all that speaks for it."""
    same = [effect for effect in finding.effects if effect.fault == finding.fault]
    effects = [effect for effect in finding.effects if effect.fault != finding.fault]
    left = [_box(_named(each), each.verdict) for each in effects]
    own = _found(finding, diagnosis)
    strength = STRENGTHS[own.verdict]
    if finding.verdict != own.verdict:
        strength += ", borne out by what it leads to"
    middle = f"<p>{number}. {text(finding.headline)}</p>"
    middle += f'<p class="small"><code>{text(finding.fault)}</code> {strength}</p>'
    right = [_evidence(each, diagnosis) for each in (finding, *same, *effects)]
    return _row(
        _stack(left) or '<span class="small">nothing else that was found</span>',
        _box(middle, f"cause {finding.verdict}"),
        _stack(right),
        arrows=("←" if left else "", "←"),
    )


def _evidence(finding: Finding, diagnosis: Diagnosis) -> str:
    own = _found(finding, diagnosis)
    said = (
        f"<p><strong>{text(finding.check)}</strong> {STRENGTHS[own.verdict]}</p>"
        if finding.check
        else ""
    )
    return _box(f'{said}<p class="small">{text(finding.evidence)}</p>', own.verdict)


def _found(finding: Finding, diagnosis: Diagnosis) -> Finding:
    """As its check found it, before what it leads to bore it out."""
    every = (each for report in diagnosis.reports for each in report.findings)
    alike = (e for e in every if (e.fault, e.headline) == (finding.fault, finding.headline))
    return next(alike, finding)


def _refuted(finding: Finding, diagnosis: Diagnosis) -> str:
    by = [report for report in diagnosis.reports if finding.fault in report.refutes]
    seen = [
        _box(
            f"<p><strong>{text(report.check)}</strong> saw</p>"
            f'<p class="small">{text(report.headline)}</p>',
            "fault",
        )
        for report in by
    ]
    said = f"<p><s>{text(finding.headline)}</s></p>"
    said += f'<p class="small"><code>{text(finding.fault)}</code>, of {text(finding.check)}</p>'
    return _row("", _box(said, "refuted"), _stack(seen), arrows=("", "✕"))


def _named(finding: Finding) -> str:
    named = f"<p>{text(finding.headline)}</p>"
    return f'{named}<p class="small"><code>{text(finding.fault)}</code></p>'


def _box(content: str, kind: str) -> str:
    return f'<div class="box {kind}">{content}</div>'


def _stack(boxes: Sequence[str]) -> str:
    return f'<div class="stack">{"".join(boxes)}</div>' if boxes else ""


def _row(left: str, middle: str, right: str, *, arrows: tuple[str, str], kind: str = "") -> str:
    cells = (left, arrows[0], middle, arrows[1], right)
    kinds = ("", "arrow", "", "arrow", "")
    row = "".join(
        f'<div class="{of}">{cell}</div>' if of else f"<div>{cell}</div>"
        for cell, of in zip(cells, kinds, strict=True)
    )
    return f'<div class="{kind}">{row}</div>' if kind else row
