"""The service with a real sidecar, against the lesson and against a floor of bare exchanges.

Each app has its own Redis, namespace and sidecar; placement and scheduler are shared.
"""

import sys
from collections.abc import Iterator

from agent_actors.engine import binaries
from agent_actors.errors import StartupError
from bench.load import client
from bench.on_dapr import events, killed, lone, long, models, parked, turns, workflow
from bench.on_dapr.cluster import plane
from bench.table import Row


def measure(quick: bool) -> Iterator[Row]:
    """All measurements on Dapr; none, with a note, if its servers are missing."""
    try:
        found = binaries.find()
    except StartupError as error:
        print(f"skipped: {error}", file=sys.stderr)
        return
    with plane(found) as dapr, client() as load:
        for each in (turns, models, events, long, lone, parked, killed, workflow):
            print(f"  {each.__name__} …", file=sys.stderr, flush=True)
            yield from each.measure(dapr, load, quick)
