"""Puts instructions into spar's stream, from another language than its own.

    pip install "confluent-kafka[avro,schemaregistry]"
    python producer.py instructions.jsonl --brokers 127.0.0.1:19092
    python producer.py instructions.jsonl --brokers 127.0.0.1:19092 --registry http://127.0.0.1:18081/apis/ccompat/v7

Each line of the file is a JSON object with `prompt` or `messages`, and with an `id` if it has one. With a registry
the records are Avro; without one the lines go into the stream as they are.
"""

import argparse
import json
import sys
from datetime import datetime, timezone

from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def main() -> None:
    options = arguments()
    producer = Producer(
        {
            "bootstrap.servers": options.brokers,
            # The partition that Kafka's own clients, and spar, choose for a key. librdkafka's default is another.
            "partitioner": options.partitioner,
            # A request that is sent again makes no second record.
            "enable.idempotence": True,
            "compression.type": options.compression,
        }
    )
    to_avro = avro(options.registry, options.topic) if options.registry else None
    failures = []
    with open(options.file, encoding="utf-8") as lines:
        for line in filter(str.strip, lines):
            instruction = json.loads(line)
            # The id: then everything about the instruction is in one partition, and a duplicate is found there.
            key = None if options.no_keys or "id" not in instruction else str(instruction["id"])
            producer.produce(
                options.topic,
                key=key,
                value=to_avro(instruction) if to_avro else line.strip(),
                headers={"iteration": options.iteration} if options.iteration else None,
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
            producer.poll(0)
    producer.flush()
    if failures:
        sys.exit(f"{len(failures)} records were not taken, the first because of: {failures[0]}")


def avro(registry: str, topic: str):
    """In the topic's own schema, which `spar topics apply` registered: a producer registers none."""
    serializer = AvroSerializer(
        SchemaRegistryClient({"url": registry}),
        conf={"auto.register.schemas": False, "use.latest.version": True},
    )

    read = ("id", "prompt", "messages")

    def to_avro(instruction: dict) -> bytes:
        record = {
            "id": str(instruction["id"]),
            "messages": instruction.get("messages")
            or [{"role": "user", "content": instruction["prompt"]}],
            "source": "producer.py",
            "extra": json.dumps({name: told for name, told in instruction.items() if name not in read}),
            "added_at": datetime.now(timezone.utc),
            # Every other field has a default.
        }
        return serializer(record, SerializationContext(topic, MessageField.VALUE))

    return to_avro


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Puts instructions into spar's stream.")
    parser.add_argument("file", help="one JSON object a line")
    parser.add_argument("--brokers", required=True, help="host:port, several with commas")
    parser.add_argument("--registry", help="write Avro, with the schema that is registered here")
    parser.add_argument("--topic", default="spar.instructions")
    parser.add_argument("--iteration", help="only for this one; without it, for every iteration")
    parser.add_argument("--compression", default="zstd", help="none, gzip, snappy, lz4 or zstd")
    parser.add_argument("--partitioner", default="murmur2_random")
    parser.add_argument("--no-keys", action="store_true", help="as many producers do")
    return parser.parse_args()


main()
