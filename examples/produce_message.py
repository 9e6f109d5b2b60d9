"""Sends a message to an agent by Kafka; how the service reads it: docs/bindings.md.

    python examples/produce_message.py ada "Hello, agent!"
    curl 127.0.0.1:8000/chat/ada/history

It needs a Kafka client, and the topic.
"""

import argparse
import json
import sys
from typing import Any

try:
    from confluent_kafka import Producer
except ImportError:
    sys.exit("It needs a Kafka client: .venv/bin/pip install -e '.[kafka]'")

WITHIN = 10
"""Seconds that the broker has to take it."""


def main() -> None:
    """Sends it, and says where it is once the broker has it."""
    parser = argparse.ArgumentParser(description="Send a message to an agent by Kafka.")
    parser.add_argument("actor_id")
    parser.add_argument("content")
    parser.add_argument("--brokers", default="localhost:9092")
    parser.add_argument("--topic", default="user-messages")
    parser.add_argument("--message-id", help="The same id is the same message, however often sent.")
    given = parser.parse_args()

    message = {"role": "user", "content": given.content}
    value: dict[str, Any] = {"actor_id": given.actor_id, "message": message}
    if given.message_id:
        value["message_id"] = given.message_id
    sys.stdout.write(send(given.brokers, given.topic, given.actor_id, json.dumps(value)) + "\n")


def send(brokers: str, topic: str, key: str, value: str) -> str:
    """Where the record is."""
    settings = {
        "bootstrap.servers": brokers,
        "enable.idempotence": True,  # What is sent again, for want of an answer, is there once.
        "message.timeout.ms": WITHIN * 1000,
        "log_level": 0,  # It would log every try to connect.
    }
    told: list[tuple[Any, Any]] = []
    producer = Producer(settings)
    # Records with one key are in one partition, and so the messages of an actor stay in order.
    producer.produce(topic, value, key=key, on_delivery=lambda *answer: told.append(answer))
    producer.flush(WITHIN + 1)
    error, record = told[0] if told else ("no answer in time", None)
    if error is not None:
        sys.exit(f"{brokers} did not take the message (is it there, has it the topic?): {error}")
    return f"Sent: {record.topic()}, partition {record.partition()}, offset {record.offset()}."


if __name__ == "__main__":
    main()
