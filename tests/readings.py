"""Metrics as Prometheus reads them."""

from collections.abc import Mapping
from typing import Any

import httpx2
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent_actors.observability.counters import Counters

PREFIX = "agent_actors_"
OF_THE_LIBRARY = ("process_", "python_")


class Readings:
    """One scrape of a process.

    Args:
        text: The body of the answer.
    """

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def of(self, name: str, **labels: str) -> float:
        """The sum of the samples that have these labels; 0 where there is none."""
        wanted = set(labels.items())
        return sum(
            value
            for (sample, given), value in self.samples.items()
            if sample == PREFIX + name and wanted <= given
        )

    @property
    def series(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        """Our own series."""
        return {key for key in self.samples if not key[0].startswith(OF_THE_LIBRARY)}


def counted(counters: Counters) -> Readings:
    """The counters, without an app."""
    return Readings(generate_latest(counters.registry).decode())


async def read(http: httpx2.AsyncClient) -> Readings:
    """The metrics of a service."""
    answer: Any = await http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return Readings(answer.text)
