"""What is counted beside a real sidecar and its broker."""

from tests.e2e.dapr import DaprService
from tests.e2e.service import becomes, eventually
from tests.readings import read

PATIENCE = 60.0
"""A failing event is tried seven times, half a second apart, before it is a dead letter."""


async def test_a_turn_beside_a_sidecar(service: DaprService):
    """Its calls pass through the sidecar, and its event through the broker: all are counted."""
    await service.reply("ada", "hello")

    async def applied() -> float:
        return (await read(service.http)).of("events_total", topic="user-chat", result="applied")

    await becomes(applied, 1)
    readings = await read(service.http)

    assert readings.of("turns_total", kind="message", outcome="done") == 1
    assert readings.of("event_lag_seconds_count") == 1
    assert 0 < readings.of("event_lag_seconds_sum") < PATIENCE
    assert readings.of("active_actors", type="ChatAgent") >= 1  # The watch has one of its own.
    assert readings.of("info", runtime="dapr", model="scripted") == 1
    for operation in ("save", "invoke", "publish"):
        assert readings.of("call_seconds_count", operation=operation) >= 1, operation
        assert readings.of("call_seconds_sum", operation=operation) > 0, operation


async def test_an_event_that_fails_until_it_is_a_dead_letter(service: DaprService):
    """Each time that it was asked for again and came is a redelivery; in the end it is kept."""
    later = {"version": 99, "seq": 1, "event_id": "later", "user_id": "ada"}
    path = service.beside("publish/daca-pubsub/user-chat?metadata.cloudevent.id=later")
    assert (await service.http.post(path, json=later)).status_code == 204

    async def kept() -> bool:
        return (await read(service.http)).of("dead_letters_total", topic="user-chat") >= 1

    await eventually(kept, "the event is a dead letter", PATIENCE)
    readings = await read(service.http)

    retried = readings.of("events_total", topic="user-chat", result="retry")
    assert retried >= 2
    assert readings.of("event_redeliveries_total", topic="user-chat") == retried - 1
    assert readings.of("dead_letters_total") == 1
    assert readings.of("events_total", result="applied") == 0
