"""The diagnosis: its order, what refutes what, and the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from cnntrain.diagnose.diagnose import conclude
from cnntrain.diagnose.drawing import bars_by_layer
from cnntrain.diagnose.html_report import cell_text, html_page
from cnntrain.diagnose.report import Finding, Plot, Report, Table, not_applicable


def found(*faults: str, is_certain: bool = True) -> tuple[Finding, ...]:
    return tuple(Finding(f, f"{f} & <more>", "numbers", "do", is_certain) for f in faults)


def test_causes_come_before_what_follows_and_faults_before_suspicions() -> None:
    reports = [
        Report("one", "", found("cannot_overfit", "rate_too_high")),
        Report("two", "", found("labels_noisy", is_certain=False)),
        Report("three", "", found("wrong_gradient")),
        Report("four", "", found("zero_initialisation")),
    ]
    assert [finding.fault for finding in conclude(reports).findings] == [
        *("wrong_gradient", "zero_initialisation", "rate_too_high", "cannot_overfit"),
        "labels_noisy",
    ]


def finding(fault: str, *follows: str, is_certain: bool = True) -> Finding:
    return Finding(fault, fault, "numbers", "do", is_certain, follows)


@pytest.mark.parametrize("effect", ["vanishing_gradients", "vanishing_activations"])
def test_what_follows_is_told_with_its_cause_whichever_it_is(effect: str) -> None:
    pair = {"vanishing_gradients", "vanishing_activations"}
    (cause,) = pair - {effect}
    overfit = finding("cannot_overfit", effect)
    reports = [
        *(
            Report("one", "", (finding(effect, cause), overfit)),
            Report("two", "", (finding(cause),)),
        ),
        Report("three", "", (finding("labels_noisy"),)),
    ]
    first, labels = conclude(reports).findings  # labels come earlier, and explain nothing here
    assert (labels.fault, labels.effects) == ("labels_noisy", ())
    assert first.fault == cause
    assert {each.fault for each in first.effects} == {effect, "cannot_overfit"}


def test_a_suspicion_is_no_cause_of_a_fault() -> None:
    suspicion = finding("saturated_units", is_certain=False)
    reports = [Report("one", "", (suspicion, finding("rate_too_high", "saturated_units")))]
    assert [each.fault for each in conclude(reports).findings] == [
        *("rate_too_high", "saturated_units")
    ]


def test_a_symptom_bears_a_suspicion_out() -> None:
    suspicion = finding("large_initial_loss", is_certain=False)
    reports = [Report("one", "", (finding("diverges", "large_initial_loss"), suspicion))]
    (only,) = conclude(reports).findings
    assert (only.fault, only.verdict) == ("large_initial_loss", "fault")
    assert [each.fault for each in only.effects] == ["diverges"]


def test_what_two_checks_find_is_one_finding() -> None:
    reports = [Report("one", "", found("not_finite")), Report("two", "", found("not_finite"))]
    (only,) = conclude(reports).findings
    assert [each.fault for each in only.effects] == ["not_finite"]


def test_what_explains_more_symptoms_comes_first() -> None:
    """The leak comes earlier in the order of causes, and has nothing to do with the divergence."""
    reports = [
        Report("one", "", (finding("test_in_train"), finding("uneven_classes"))),
        Report("two", "", (finding("rate_too_high"), finding("diverges", "rate_too_high"))),
        Report("three", "", (finding("no_gradient", "dead_units"), finding("dead_units"))),
        Report("four", "", (finding("cannot_overfit", "dead_units"),)),
    ]
    assert [each.fault for each in conclude(reports).findings] == [
        *("dead_units", "rate_too_high", "test_in_train", "uneven_classes")
    ]


def test_two_that_follow_from_each_other_are_not_lost() -> None:
    mutual = finding("dead_units", "saturated_units"), finding("saturated_units", "dead_units")
    (only,) = conclude([Report("one", "", mutual)]).findings
    assert len(only.effects) == 1


def test_what_another_check_refutes_is_left_out() -> None:
    reports = [
        Report("one", "", found("vanishing_gradients", "wrong_gradient")),
        Report("two", "", refutes=("vanishing_gradients",)),
    ]
    diagnosis = conclude(reports)
    assert [finding.fault for finding in diagnosis.findings] == ["wrong_gradient"]
    assert [finding.fault for finding in diagnosis.refuted] == ["vanishing_gradients"]
    assert [each.fault for each in diagnosis.reports[0].findings] == ["wrong_gradient"]


def test_a_check_all_of_whose_findings_are_refuted_is_fine() -> None:
    reports = [
        Report("one", "they vanish", found("vanishing_gradients")),
        Report("two", "", refutes=("vanishing_gradients",)),
    ]
    first = conclude(reports).reports[0]
    assert (first.verdict, first.headline) == ("fine", "they vanish; but another check refutes it")


def test_verdicts() -> None:
    assert conclude([Report("a", "")]).verdict == "fine"
    assert conclude([Report("a", "", found("dead_units", is_certain=False))]).verdict == "suspect"
    assert conclude([Report("a", "", found("dead_units"))]).verdict == "fault"
    assert conclude([not_applicable("a", "why")]).verdict == "not applicable"


class Page(HTMLParser):
    """Open tags, their links, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside() -> None:
    picture = Plot("a <picture>", bars_by_layer([("x", 1.0), ("y", 0.0)], label="norm"))
    table = Table("numbers", ("name", "value"), (("a<b", 0.123456), ("c", None)))
    pair = (*found("rate_too_high"), finding("diverges", "rate_too_high"))
    report = Report("rate", "seen", pair, tables=(table,), pictures=(picture,))
    text = html_page(conclude([report]), subject="run & file.yaml").decode()
    page = Page(text)
    assert page.open == []
    assert all(re.match(r"#|data:image/png;base64,iVBOR", source) for source in page.sources)
    assert any(source.startswith("data:") for source in page.sources)
    assert "<more>" not in text
    assert "rate_too_high &amp; &lt;more&gt;" in text
    assert "<strong>So, too:</strong> diverges" in text
    assert "a&lt;b" in text
    assert "0.123" in text
    assert "rows: scroll" not in text


def test_a_table_that_is_cut_says_how_long_it_is() -> None:
    table = Table("numbers", ("value",), tuple((each,) for each in range(40)))
    report = Report("rate", "seen", found("rate_too_high"), tables=(table,))
    assert b"40 rows: scroll" in html_page(conclude([report]), subject="run.yaml")


def test_numbers_for_people() -> None:
    assert [cell_text(value) for value in (None, 12345, 0.0, 0.00012345, "a")] == [
        *("", "12,345", "0", "0.000123", "a")
    ]
