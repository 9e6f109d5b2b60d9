"""What a line of `doctor` may have in it."""

import pytest

from agent_actors.doctor.finding import LONGEST, Finding, Report


@pytest.mark.parametrize("status", ["ok", "warn", "fail", "skip"])
def test_nobody_else_writes_a_line(status: str):
    """White space of any kind is one space; what a terminal obeys, or nobody sees, is left out."""
    forged = "x\x1b[2J\x1b]0;t\x07\r\n\nok \u2028 broker\x85all\u00a0fine\u202e\u200b\ud800"
    report = Report("service")
    told = {"ok": lambda: report.ok(forged), "skip": lambda: report.skip(forged)}
    told |= {
        "warn": lambda: report.warn("x", forged),
        "fail": lambda: report.fail(forged, forged),
    }
    (found,) = told[status]()
    texts = {found.found, found.advice} - {"", "x"}

    assert texts == {"x[2J]0;t ok broker all fine"}


def test_a_long_text_is_cut():
    """Its beginning is ours."""
    (found,) = Report("service").fail(f"not ready: {'x' * 100_000}", "")

    assert found.found.startswith("not ready: xxx")
    assert found.found.endswith("x…")
    assert len(found.found) == LONGEST


def test_a_text_that_is_made_without_a_report_is_a_line_too():
    """It is the finding that sees to it."""
    assert Finding("broker", "skip", "a\nb", "c\td").found == "a b"
    assert Finding("broker", "skip", "a\nb", "c\td").advice == "c d"
