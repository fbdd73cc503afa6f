"""The reasoning as it is drawn: what leads to what, how sure it is, what refuted what."""

from __future__ import annotations

import re

from cnntrain.diagnose.diagnose import Diagnosis, conclude
from cnntrain.diagnose.reasoning import reasoning
from cnntrain.diagnose.report import Finding, Report, not_applicable


def finding(fault: str, *follows: str, is_certain: bool = True) -> Finding:
    return Finding(fault, f"{fault} <b>", f"numbers of {fault}", "do", is_certain, follows)


def drawn(diagnosis: Diagnosis) -> str:
    """As it is read without colours and frames."""
    words = re.sub(r"<[^>]+>", " ", "\n".join(reasoning(diagnosis)))
    return re.sub(r"\s+", " ", words)


def test_a_cause_stands_between_what_it_leads_to_and_its_evidence() -> None:
    cause = finding("rate_too_high", is_certain=False)
    reports = [
        Report("rate", "", (cause,)),
        Report("recipe", "", (finding("diverges", "rate_too_high"),)),
    ]
    said = drawn(conclude(reports))
    row = said[said.index("Evidence") :]
    parts = (
        "diverges &lt;b&gt;",
        "←",
        "1. rate_too_high &lt;b&gt;",
        "■□ suspected, borne out by what it leads to",
        "←",
        "rate ■□ suspected numbers of rate_too_high",
        "recipe ■■ certain numbers of diverges",
    )
    places = []
    for part in parts:
        places.append(row.index(part, places[-1] if places else 0))
    assert places == sorted(places)


def test_what_is_refuted_is_drawn_with_what_refutes_it() -> None:
    reports = [
        Report("gradients", "they vanish", (finding("vanishing_gradients"),)),
        Report("recipe", "the loss falls to 0.1", refutes=("vanishing_gradients",)),
    ]
    said = drawn(conclude(reports))
    assert "Found, and refuted" in said
    assert "vanishing_gradients , of gradients ✕ recipe saw the loss falls to 0.1" in said


def test_what_was_not_judged_is_there_with_the_reason_in_part_or_at_all() -> None:
    reports = [
        Report("data", "", unjudged=("whether labels fit",)),
        not_applicable("splits", "there is no other split"),
    ]
    diagnosis = conclude(reports)
    assert diagnosis.judging == ("data",)
    said = drawn(diagnosis)
    assert "Not judged, which does not mean that it is fine" in said
    assert "data : whether labels fit" in said
    assert "splits : there is no other split" in said


def test_nothing_is_drawn_where_nothing_is_to_be_concluded() -> None:
    assert drawn(conclude([Report("data", "")])) == ""
