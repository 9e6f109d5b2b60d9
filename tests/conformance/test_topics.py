"""Topics: delivery, redelivery, order, and dead letters."""

from typing import Any

from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import DeliveryResponse
from tests.conformance.harness import (
    DEAD_ROUTE,
    PUBSUB,
    ROUTE,
    TOPIC,
    TRIES,
    Answer,
    Harness,
)
from tests.fakes import eventually


def event(number: int = 1, subject: str = "ada", data: Any = None) -> CloudEvent:
    return CloudEvent(f"{subject}-{number}", "/chat", "Said", subject, data)


def answers(*bodies: bytes | int) -> Answer:
    """A route that answers in turn: a status, or 200 with that body; then SUCCESS."""
    left = list(bodies)

    async def answer(path: str, event: Any) -> DeliveryResponse:
        if path != ROUTE or not left:
            return DeliveryResponse(200, b'{"status":"SUCCESS"}')
        body = left.pop(0)
        return DeliveryResponse(body, b"") if isinstance(body, int) else DeliveryResponse(200, body)

    return answer


async def delivered(runtime: Harness, count: int) -> None:
    await eventually(lambda: len(runtime.deliveries) >= count)


async def test_an_event_arrives_as_it_was_published(runtime: Harness):
    """The envelope is a CloudEvent 1.0 with the data as JSON, exactly."""
    data = {"text": "10m", "day": "2024-01-05 standup", "none": None, "n": 1.5, "e": "👩‍👧"}
    await runtime.publish(event(data=data))
    await delivered(runtime, 1)

    (delivery,) = runtime.deliveries
    envelope = delivery.event

    assert delivery.path == ROUTE
    assert envelope["data"] == data
    assert (envelope["id"], envelope["source"], envelope["type"]) == ("ada-1", "/chat", "Said")
    assert (envelope["specversion"], envelope["subject"]) == ("1.0", "ada")
    assert (envelope["topic"], envelope["pubsubname"]) == (TOPIC, PUBSUB)
    assert envelope["datacontenttype"].startswith("application/json")


async def test_data_is_any_json(runtime: Harness):
    """What an event carries comes back exactly, of whatever JSON type it is."""
    values = [None, True, 5, 2**53 + 1, 5e-08, "", "{}", "text", [], [None], {}, {"é": {"n": 1.0}}]
    for number, value in enumerate(values):
        await runtime.publish(event(number, data=value))
    await delivered(runtime, len(values))

    assert [each.event["data"] for each in runtime.deliveries] == values


VERDICTS: dict[str, tuple[int | bytes, list[str]]] = {
    "taken": (b'{"status":"SUCCESS"}', [ROUTE]),
    "no status": (b'{"said":"done"}', [ROUTE]),
    "empty status": (b'{"status":""}', [ROUTE]),
    "null status": (b'{"status":null}', [ROUTE]),
    "a number": (b'{"status":1}', [ROUTE]),
    "no object": (b"[]", [ROUTE]),
    "a word": (b'"RETRY"', [ROUTE]),
    "no JSON": (b"fine", [ROUTE]),
    "created": (201, [ROUTE]),
    "no content": (204, [ROUTE]),
    "gone": (404, [ROUTE, DEAD_ROUTE]),
    "lower case": (b'{"status":"success"}', [ROUTE, ROUTE]),
    "the lesson's (B6)": (b'{"status":"Event processed"}', [ROUTE, ROUTE]),
    "RETRY": (b'{"status":"RETRY"}', [ROUTE, ROUTE]),
    "empty": (b"", [ROUTE]),
    "moved": (302, [ROUTE, ROUTE]),
    "refused": (400, [ROUTE, ROUTE]),
    "failed": (500, [ROUTE, ROUTE]),
    "away": (503, [ROUTE, ROUTE]),
}
"""A first answer, and where the event goes; a second answer is SUCCESS."""


async def test_an_answer_decides_where_an_event_goes(runtime: Harness):
    """404 gives an event up, other errors and unknown words bring it back, silence settles it."""
    left = {name: answers(answer) for name, (answer, _) in VERDICTS.items()}
    runtime.answer = lambda path, event: left[event["subject"]](path, event)
    for name in VERDICTS:
        await runtime.publish(event(subject=name))
    await delivered(runtime, sum(len(paths) for _, paths in VERDICTS.values()))
    await runtime.publish(event(subject="taken"))
    await eventually(lambda: runtime.deliveries[-1].event["subject"] == "taken")

    went: dict[str, list[str]] = {name: [] for name in VERDICTS}
    for delivery in runtime.deliveries[:-1]:
        went[delivery.event["subject"]].append(delivery.path)

    assert went == {name: paths for name, (_, paths) in VERDICTS.items()}


async def test_a_dropped_event_goes_to_the_dead_letter_topic(runtime: Harness):
    """An event answered DROP is not tried again and reaches the dead-letter route."""
    runtime.answer = answers(b'{"status":"DROP"}')
    await runtime.publish(event(data={"text": "10m"}))
    await delivered(runtime, 2)

    assert [each.path for each in runtime.deliveries] == [ROUTE, DEAD_ROUTE]
    assert runtime.deliveries[1].event["id"] == "ada-1"
    assert runtime.deliveries[1].event["data"] == {"text": "10m"}


async def test_an_event_that_never_works_goes_to_the_dead_letter_topic(runtime: Harness):
    """Redelivery ends, and the dead-letter route gets the event."""
    runtime.answer = answers(*[b'{"status":"RETRY"}'] * 100)
    await runtime.publish(event())
    await eventually(lambda: bool(runtime.deliveries) and runtime.deliveries[-1].path == DEAD_ROUTE)

    assert [each.path for each in runtime.deliveries] == [ROUTE] * TRIES + [DEAD_ROUTE]
    assert runtime.deliveries[-1].event == runtime.deliveries[0].event


async def test_events_of_one_publisher_come_in_order(runtime: Harness):
    """Each once, those of one source and subject in the order in which they were published."""
    for number in range(20):
        await runtime.publish(event(number, subject=f"user{number % 2}"))
    await delivered(runtime, 20)

    assert len(runtime.deliveries) == 20

    for subject in ("user0", "user1"):
        ids = [each.event["id"] for each in runtime.deliveries if each.event["subject"] == subject]
        assert ids == sorted(ids, key=lambda name: int(name.partition("-")[2]))
