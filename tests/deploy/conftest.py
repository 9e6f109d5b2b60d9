"""What these tests need besides Python: kubectl, promtool and a collector."""

import os
from pathlib import Path

import pytest

from tests.deploy.observability import Program
from tools import observability_tools
from tools.observability_tools import OTELCOL, PROMTOOL, NotThere

FOLDER = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # Before `-m` selects.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Most tests read manifests, which needs kubectl; `make kubernetes` builds it."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker("real")


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of promtool and collector; without it tests are skipped, and fail in CI."""
    try:
        return observability_tools.find()
    except NotThere as reason:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(reason))


@pytest.fixture(scope="session")
def promtool(programs: Path) -> Program:
    return Program(programs / PROMTOOL)


@pytest.fixture(scope="session")
def otelcol(programs: Path) -> Program:
    return Program(programs / OTELCOL)
