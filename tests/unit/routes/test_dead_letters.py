"""`/events/dead`: listing and requeuing, for operators."""

from agent_actors.protocol.codec import encode
from tests.conftest import Serve
from tests.unit.routes.edge.access import ADA, ROOT, STRANGER, TOKENS, bearer
from tests.unit.routes.sidecar.lessons import letters
from tests.unit.routes.sidecar.test_events import ours


async def test_dead_letters_are_for_this_machine_or_the_token(serve: Serve):
    """A stranger can neither read nor requeue users' messages."""
    async with serve(caller=STRANGER) as served:
        assert (await served.http.get("/events/dead")).status_code == 403
        assert (await served.http.post("/events/dead/x/requeue")).status_code == 403
        assert (await served.http.get("/events/dead", headers=served.token)).status_code == 200


async def test_with_access_control_dead_letters_are_for_admins(serve: Serve):
    """Being on this machine is not enough then: a proxy may be on it."""
    async with serve(access_tokens=TOKENS) as served:
        for headers, status in (({}, 401), (bearer(ADA), 403), (bearer(ROOT), 200)):
            for forwarded in ({}, {"x-forwarded-for": STRANGER}):
                answer = await served.http.get("/events/dead", headers=headers | forwarded)
                assert answer.status_code == status


async def test_a_header_does_not_make_a_caller_local(serve: Serve):
    """A proxy on this machine forwards requests of strangers."""
    async with serve() as served:
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            answer = await served.http.get("/events/dead", headers={name: "127.0.0.1"})

            assert answer.status_code == 403


async def test_an_event_that_is_given_up_becomes_a_dead_letter(serve: Serve):
    """An event of another service that was dropped; requeued, it fails again with 409."""
    async with serve() as served:
        envelope = encode({"id": "x", "pubsubname": "daca-pubsub", "data": {}})
        await served.services.dead_letters.keep(
            topic="user-chat", event=envelope, reason="r", tries=5
        )
        (letter,) = await letters(served)
        answer = await served.http.post(f"/events/dead/{letter['id']}/requeue")

        assert answer.status_code == 409
        assert len(await letters(served)) == 1


async def test_a_letter_that_works_now_is_forgotten(serve: Serve):
    """A letter from `/subscribe/dead` is delivered to `/subscribe`, and is one no more."""
    async with serve() as served:
        await served.deliver(ours(2), "/subscribe/dead")
        await served.deliver(ours(1))
        (letter,) = await letters(served)
        answer = await served.http.post(f"/events/dead/{letter['id']}/requeue")

        assert (answer.status_code, answer.json()) == (200, {"status": "SUCCESS"})
        assert await letters(served) == []
        assert await served.services.reader.mark("ada", "ada") == 2
