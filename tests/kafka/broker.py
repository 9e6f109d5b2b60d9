"""A real Kafka broker for tests: one node, on loopback, with its data in a folder."""

import subprocess
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, free_port
from tools.kafka_broker import find

CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"
WITHIN = 30.0
# The default for the log cleaner alone is more memory than all the rest takes.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{loopback}:{controller}
listeners=PLAINTEXT://{loopback}:{port},CONTROLLER://{loopback}:{controller}
advertised.listeners=PLAINTEXT://{loopback}:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=2097152
"""
JAVA = ["-Xms64m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class Broker(Child):
    """The broker; a restart keeps its port and its data.

    Args:
        folder: For its data, its settings and its log.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._java, jars = find()
        self._classes = f"{jars}/*"
        self._settings = folder / "server.properties"
        super().__init__(
            [self._java, *JAVA, QUIET, "-cp", self._classes, "kafka.Kafka", self._settings],
            log=folder / "broker.log",
            cwd=folder,
        )

    @property
    def address(self) -> str:
        """Host and port, as a component file has them."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Starts the broker, and waits until it answers."""
        if not self._settings.exists():
            self._format()
        super().start()
        self.wait_until(self._answers, WITHIN)

    def stop(self) -> None:
        """Ends the broker in order."""
        self.terminate()

    def topic(self, name: str, partitions: int = 1) -> None:
        """Makes a topic."""
        made = self._admin.create_topics([NewTopic(name, partitions, 1)])
        made[name].result(WITHIN)

    def send(self, topic: str, value: bytes | None, *, partition: int = 0, **record: Any) -> int:
        """Appends a record (`key`, `headers`, `timestamp`); its offset."""
        where: list[int] = []

        def told(error: object, message: Any) -> None:
            assert error is None, error
            where.append(message.offset())

        producer = self._producer
        producer.produce(topic, value, partition=partition, on_delivery=told, **record)
        assert producer.flush(WITHIN) == 0
        return where[0]

    def committed(self, group: str, topic: str, partition: int = 0) -> int:
        """Up to which offset a group has taken a partition; below 0: it has taken nothing."""
        config = {"bootstrap.servers": self.address, "group.id": group}
        with closing(Consumer(config)) as consumer:
            (found,) = consumer.committed([TopicPartition(topic, partition)], WITHIN)
            return int(found.offset)

    def end(self, topic: str, partition: int = 0) -> int:
        """The offset that the next record of a partition will have."""
        config = {"bootstrap.servers": self.address, "group.id": "nobody"}
        with closing(Consumer(config)) as consumer:
            _, last = consumer.get_watermark_offsets(TopicPartition(topic, partition), WITHIN)
            return int(last)

    def rewind(self, group: str, topic: str, offset: int = 0, partition: int = 0) -> None:
        """Sets a group that nobody is in back to an offset."""
        to = [TopicPartition(topic, partition, offset)]
        changed = self._admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, to)]
        )
        changed[group].result(WITHIN)

    def _format(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        given = {"loopback": LOOPBACK, "port": self.port, "controller": free_port()}
        self._settings.write_text(PROPERTIES.format(data=self._folder / "data", **given))
        tool = [*JAVA, "-cp", self._classes, "kafka.tools.StorageTool", "format"]
        command = [str(self._java), *tool, "-t", CLUSTER, "-c", str(self._settings)]
        subprocess.run(command, check=True, capture_output=True, timeout=WITHIN)

    def _answers(self) -> bool:
        try:
            return bool(self._admin.list_topics(timeout=0.5).brokers)
        except KafkaException:
            return False

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    @cached_property
    def _producer(self) -> Producer:
        return Producer({"bootstrap.servers": self.address, "log_level": 0})
