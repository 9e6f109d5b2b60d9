"""Where real Dapr does something else: each row of `differences.md`, and no other."""

import ast
import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.errors import StartupError, Unavailable
from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import DeliveryResponse
from tests.conformance.differences import differences, differs
from tests.conformance.harness import PUBSUB, ROUTE, CallFailed, Harness
from tests.conformance.probe import Arm, Hold
from tests.fakes import eventually

DONE = DeliveryResponse(200, b'{"status":"SUCCESS"}')
LONG, SHORT = 20.0, 2.0
RAW = f"""
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {{name: raw}}
spec:
  pubsubname: {PUBSUB}
  topic: raw
  routes: {{default: {ROUTE}}}
  metadata: {{rawPayload: "true"}}
"""


async def happens(holds: Callable[[], bool], *, expected: bool, within: float = SHORT) -> bool:
    """Does it? What is expected gets its time; what is not has only that many seconds."""
    try:
        await eventually(holds, LONG if expected else within)
    except TimeoutError:
        return False
    return True


async def journal_has(runtime: Harness, what: str, times: int = 1) -> None:
    await eventually(lambda: len(runtime.journal.of(what)) >= times)


def hold(runtime: Harness, gate: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(runtime.call("a", "Hold", Hold(gate)))


async def save(runtime: Harness, actor: str, key: str, value: object) -> None:
    change = {"operation": "upsert", "request": {"key": key, "value": value}}
    await runtime.call(actor, "Save", json.dumps([change]))


def event(number: int) -> CloudEvent:
    return CloudEvent(str(number), "/chat", "Said", "ada", None)


def ids(runtime: Harness) -> list[str]:
    return [delivery.event["id"] for delivery in runtime.deliveries]


async def test_a_long_turn_is_not_cut(stopped: Harness):
    """A turn may be longer than the idle timeout (Dapr: it is cut, and the next runs beside it)."""
    await stopped.start(idle_timeout=1)
    different, journal = differs(stopped, "idle-clock"), stopped.journal
    first = hold(stopped, "first")
    await journal_has(stopped, "enter")
    cut = await happens(lambda: bool(journal.of("deactivate")), expected=different)
    journal.gates["second"].set()
    second = hold(stopped, "second")
    beside = await happens(lambda: bool(journal.of("leave")), expected=different)
    journal.gates["first"].set()
    answers = await asyncio.gather(first, second, return_exceptions=True)

    assert different == cut == beside == isinstance(answers[0], CallFailed)


async def test_the_lock_outlives_the_caller(runtime: Harness):
    """A turn whose caller has left still keeps others out (Dapr: it does not)."""
    different, journal = differs(runtime, "caller-leaves"), runtime.journal
    first = hold(runtime, "first")
    await journal_has(runtime, "enter")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    journal.gates["second"].set()
    second = hold(runtime, "second")
    beside = await happens(lambda: bool(journal.of("leave")), expected=different)
    journal.gates["first"].set()
    await second
    await journal_has(runtime, "leave", 2)

    left = [gate for _, _, gate in journal.of("leave")]
    assert different == beside
    assert left == (["second", "first"] if different else ["first", "second"])


async def test_missed_ticks_are_made_up_for_once(runtime: Harness):
    """After a pause a repeating reminder fires once for what it missed (Dapr: for each)."""
    await runtime.call("a", "Arm", Arm("beat", due=1, period=1))
    await runtime.stop()
    before = len(runtime.journal.of("fired"))
    await SystemClock().sleep(4.2)  # Everything is away: there is no condition to wait for.
    await runtime.start()
    await journal_has(runtime, "fired", before + 1)
    # In less than two periods: one for the missed ones, and two of the present.
    journal = runtime.journal
    each = await happens(lambda: len(journal.of("fired")) >= before + 4, expected=False, within=1.8)

    assert differs(runtime, "missed-ticks") == each


async def test_a_period_of_nothing_is_none(runtime: Harness):
    """A reminder with a period of zero fires once (Dapr: all the time)."""
    different, journal = differs(runtime, "period-of-nothing"), runtime.journal
    await runtime.call("a", "Arm", Arm("hot", due=0, period=0))
    await journal_has(runtime, "fired")
    hot = await happens(lambda: len(journal.of("fired")) >= 10, expected=different)
    await runtime.call("a", "Disarm", "hot")

    assert different == hot == (len(journal.of("fired")) > 1)


async def test_a_timer_does_not_keep_its_actor(stopped: Harness):
    """An idle actor is deactivated with its timers (Dapr: they keep it, or bring it back)."""
    await stopped.start(idle_timeout=1.5)
    different, journal = differs(stopped, "idle-timers"), stopped.journal
    for actor, period in (("kept", "500ms"), ("brought back", "2500ms")):
        await stopped.call(actor, "Echo", "here")
        await stopped.time(actor, "beat", dueTime=period, period=period)
    left = await happens(lambda: ("deactivate", "kept") in journal.entries, expected=not different)
    back = await happens(
        lambda: journal.entries.count(("activate", "brought back")) == 2, expected=different
    )

    assert different == back == (not left)
    assert ("ticked", "kept", "beat") in journal.entries
    for actor in ("kept", "brought back"):
        await stopped.untime(actor, "beat")


async def test_a_timer_is_stopped_by_its_own_callback(runtime: Harness):
    """After its first tick none comes (Dapr: they do, and nothing stops them)."""
    await runtime.call("a", "Echo", "here")
    await runtime.time("a", "self", dueTime="0s", period="500ms", data="unregister self", ttl="4s")
    different, journal = differs(runtime, "timer-ends-itself"), runtime.journal
    again = await happens(lambda: len(journal.of("ticked")) >= 3, expected=different)

    assert different == again == (len(journal.of("ticked")) > 1)


async def test_an_actor_that_is_not_active_has_no_timers(runtime: Harness):
    """Registering one is an error (Dapr: it ticks)."""
    refused = await runtime.refuses(runtime.time("nobody", "timer", dueTime="0s"))
    ticked = not refused and await happens(
        lambda: bool(runtime.journal.of("ticked")), expected=True
    )

    assert differs(runtime, "timer-of-nobody") == ticked


async def test_a_slow_callback_delays_no_other_timer(runtime: Harness):
    """Timers of several actors tick side by side (Dapr: one after the other)."""
    different, journal = differs(runtime, "timers-in-line"), runtime.journal
    for actor in ("slow", "other"):
        await runtime.call(actor, "Echo", "here")
    await runtime.time("slow", "slow", dueTime="0s", data="hold gate")
    await journal_has(runtime, "ticked")
    await runtime.time("other", "other", dueTime="0s")
    beside = await happens(lambda: len(journal.of("ticked")) == 2, expected=not different)
    journal.gates["gate"].set()
    await journal_has(runtime, "ticked", 2)

    assert different != beside


async def test_a_negative_time_is_refused(runtime: Harness):
    """A negative due time is an error, as is a negative period (Dapr: now, and all the time)."""
    different, refused = differs(runtime, "negative-times"), 0
    await runtime.call("a", "Echo", "here")
    for body in ({"dueTime": "-1s"}, {"dueTime": "0s", "period": "-1s", "ttl": "1s"}):
        for register in (runtime.remind, runtime.time):
            refused += await runtime.refuses(register("a", "odd", **body))

    assert refused == (0 if different else 4)


async def test_a_timer_each_month_is_refused(runtime: Harness):
    """Periods are lengths (Dapr: a timer's may be months and years)."""
    await runtime.call("a", "Echo", "here")
    refused = await runtime.refuses(runtime.time("a", "monthly", dueTime="1h", period="P1M"))

    assert differs(runtime, "calendar-periods") != refused


async def test_a_number_is_saved_exactly(runtime: Harness):
    """State keeps every digit (Dapr: six decimals, and integers up to 2^53)."""
    exact = {"large": 2**53 + 1, "small": 5e-8, "long": 3.14159265358979}
    rounded = {"large": 2**53, "small": 0, "long": 3.141593}
    kept = {"integer": 2**53 - 1, "fraction": 0.123456, "time": 1_763_739_051.123456}
    await save(runtime, "a", "numbers", exact | kept)

    saved = json.loads(await runtime.state("a", "numbers"))
    assert saved == (rounded if differs(runtime, "numbers") else exact) | kept


async def test_an_id_of_any_characters_is_an_actor(runtime: Harness):
    """An actor's id is any text (Dapr: some characters are refused, and escapes are resolved)."""
    odd = ["a/b", "a?b", "a#b", "a\\b", "a%20b"]
    runtime.journal.gates["gate"].set()
    for actor in odd:
        with suppress(CallFailed):
            await runtime.call(actor, "Hold", Hold("gate"))

    reached = [actor for _, actor, _ in runtime.journal.of("enter")]
    assert reached == (["a b"] if differs(runtime, "names") else odd)


async def test_a_key_may_be_empty(runtime: Harness):
    """The empty text is a key (Dapr: it is refused)."""
    refused = await runtime.refuses(save(runtime, "a", "", 1))

    assert differs(runtime, "empty-key") == (refused or await runtime.state("a", "") != b"1")


async def test_a_failing_event_is_overtaken(runtime: Harness):
    """Others are delivered while an event waits to be tried again (Dapr: they wait behind it)."""
    left = [DeliveryResponse(500, b"")] * 3

    async def answer(path: str, event: Any) -> DeliveryResponse:
        return left.pop() if event["id"] == "1" and left else DONE

    runtime.answer = answer
    for number in (1, 2, 3):
        await runtime.publish(event(number))
    await eventually(lambda: len(runtime.deliveries) == 6)

    in_order = ids(runtime) == ["1", "1", "1", "1", "2", "3"]
    assert differs(runtime, "overtaking") == in_order


async def test_waiting_events_are_not_kept(runtime: Harness):
    """What is not delivered at a stop is forgotten (Dapr: it is delivered after the start)."""
    different, gate = differs(runtime, "waiting-events"), asyncio.Event()

    async def answer(path: str, event: Any) -> DeliveryResponse:
        await gate.wait()
        return DONE

    runtime.answer = answer
    for number in (1, 2, 3):
        await runtime.publish(event(number))
    await eventually(lambda: ids(runtime) == ["1"])
    await runtime.stop()
    gate.set()
    runtime.deliveries.clear()
    await runtime.start()
    await runtime.publish(event(4))
    await eventually(lambda: "4" in ids(runtime))
    kept = await happens(lambda: {"1", "2", "3"} <= set(ids(runtime)), expected=different)

    assert different == kept
    assert kept or ids(runtime) == ["4"]
    assert all(delivery.path == ROUTE for delivery in runtime.deliveries)


async def test_a_changed_secret_is_seen(runtime: Harness, monkeypatch: pytest.MonkeyPatch):
    """Secrets are read when they are asked for (Dapr: when the sidecar starts)."""
    different = differs(runtime, "changed-secrets")
    runtime.keep_secrets({"key": "another"})
    monkeypatch.setenv("CONFORMANCE_LATE", "it was set later")
    changed = await runtime.secret("file", "key"), await runtime.secret("env", "CONFORMANCE_LATE")
    runtime.secrets.unlink()
    try:
        missed = await runtime.secret("file", "key") is None
    except Unavailable:
        missed = True

    assert changed == (("a secret", None) if different else ("another", "it was set later"))
    assert different != missed


async def test_a_secret_that_is_no_text(stopped: Harness):
    """A number or a truth is its JSON, and null is none (Dapr: a complaint of Go's formatting)."""
    stopped.keep_secrets({"number": 5432, "truth": True, "null": None})
    await stopped.start()
    found = [await stopped.secret("file", name) for name in ("number", "truth", "null")]

    go = ["%!s(float64=5432)", "%!s(bool=true)", "%!s(<nil>)"]
    assert found == (go if differs(stopped, "odd-secrets") else ["5432", "true", None])


async def test_a_subscription_to_raw_payload(stopped: Harness):
    """It stops the start (Dapr: each delivery is wrapped, under an id of its own)."""
    (stopped.components / "raw.yaml").write_text(RAW)
    if not differs(stopped, "raw-payload"):
        with pytest.raises(StartupError, match="rawPayload"):
            await stopped.start()
        return
    await stopped.start()
    await stopped.publish(event(1), "raw")
    await eventually(lambda: len(stopped.deliveries) == 1)
    wrapped = stopped.deliveries[0].event

    assert json.loads(base64.b64decode(wrapped["data_base64"]))["id"] == "1"
    assert wrapped["id"] != "1"


def test_the_table_and_the_tests_are_one():
    """Each row is asserted by the test it names, and says something in every column."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    asserted = {
        node.args[1].value: test.name
        for test in tree.body
        if isinstance(test, ast.AsyncFunctionDef)
        for node in ast.walk(test)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "differs"
        if isinstance(node.args[1], ast.Constant)
    }

    assert asserted == {name: each.test for name, each in differences().items()}
    assert all(len(each.said) == 4 and all(each.said) for each in differences().values())
