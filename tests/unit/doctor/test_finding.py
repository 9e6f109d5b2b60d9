"""What a line of `doctor` may have in it."""

import pytest

from agent_actors.doctor.finding import LONGEST, Report


@pytest.mark.parametrize("status", ["ok", "warn", "fail", "skip"])
def test_no_quoted_text_forges_a_line(status: str):
    """White space is collapsed; control characters and invisible ones are removed."""
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
    """The beginning, which is ours, stays."""
    (found,) = Report("service").fail(f"not ready: {'x' * 100_000}", "")

    assert found.found.startswith("not ready: xxx")
    assert found.found.endswith("x…")
    assert len(found.found) == LONGEST
