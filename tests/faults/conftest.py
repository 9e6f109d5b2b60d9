"""What the fault tests share: the table of recoveries."""

import pytest

from tests.faults import report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report.write(terminalreporter)
