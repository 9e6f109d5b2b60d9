"""What only the embedded runtime does with Kafka: it reads the topic itself."""

import re
import shlex
import signal
import sys
from pathlib import Path

from tests.e2e.pages import ROOT, printed, still
from tests.e2e.service import clock, eventually
from tests.kafka.broker import Broker
from tests.kafka.rig import SETTINGS, Listening, listening

DRAIN = float(SETTINGS["drain"])


async def test_the_example_of_the_page(broker: Broker, tmp_path: Path):
    """The commands of `docs/bindings.md` give the answers of the page."""
    broker.start()
    broker.topic("user-messages")
    page = (ROOT / "docs" / "bindings.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"## Messages from Kafka\n.*?```console\n(.*?)```", page, re.DOTALL)
    shown = [each.partition("\n") for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    async with listening(broker, "user-messages", tmp_path, None) as listener:
        for command, _, answer in shown:
            words = shlex.split(command.replace("localhost:8000", listener.service.url[7:]))
            if words[0].endswith("python"):
                example = [str(ROOT / words[1]), *words[2:], "--brokers", broker.address]
                got = await printed([sys.executable, *example])
                await listener.heard("ada", words[3])
            else:
                got = await printed(words)
            assert still(got.strip()) == still(answer.strip())

    assert [command.split()[0] for command, _, _ in shown] == [".venv/bin/python", "curl"]


async def test_a_broker_that_is_away_holds_up_nobody(broker: Broker, tmp_path: Path):
    """The service starts, answers and stops without it; that is told once, and passes."""
    broker.start()
    broker.topic("away")
    broker.stop()
    async with listening(broker, "away", tmp_path, None) as listener:
        service = listener.service
        await told(listener, 1)
        assert await service.reply("ada", "without")
        broker.start()
        listener.say("ada", "with")
        await listener.heard("ada", "without", "with")
        broker.stop()
        await told(listener, 2)
        begun = clock.monotonic()
        service.send(signal.SIGTERM)

        assert await service.ended() == 0
        assert clock.monotonic() - begun < DRAIN + 1
        assert service.logged().count("is reading from Kafka") == 1
        assert "Traceback" not in service.logged()


async def told(listener: Listening, times: int) -> None:
    """Waits until the log says that often that the service waits."""
    await eventually(
        lambda: listener.service.logged().count("is waiting for Kafka") == times,
        f"that it waits is told {times} times",
    )


async def test_a_topic_that_is_made_later_is_read(broker: Broker, tmp_path: Path):
    """Until then it is told that it is not there; a start without it is no mistake."""
    broker.start()
    async with listening(broker, "later", tmp_path, None) as listener:
        await told(listener, 1)
        broker.topic("later")
        listener.say("ada", "Hello")

        await listener.heard("ada", "Hello")
