"""Prints the records of spar's topics as JSON, one a line, from the first to the last.

    pip install "confluent-kafka[avro,schemaregistry]"
    python consumer.py spar.preference-pairs --brokers 127.0.0.1:19092 --registry http://127.0.0.1:18081/apis/ccompat/v7
"""

import argparse
import base64
import json
from datetime import datetime, timezone

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def main() -> None:
    options = arguments()
    consumer = Consumer(
        {
            "bootstrap.servers": options.brokers,
            "group.id": "spar-example",
            "enable.auto.commit": False,
            # spar writes in transactions: what was undone is nobody's to read. It is librdkafka's default, too.
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": options.registry}))
    partitions = [
        TopicPartition(topic, partition, OFFSET_BEGINNING)
        for topic in options.topics
        for partition in consumer.list_topics(topic).topics[topic].partitions
    ]
    consumer.assign(partitions)
    at_end = 0
    while at_end < len(partitions):
        message = consumer.poll(10.0)
        if message is None:
            continue
        if message.error() is None:
            print(json.dumps(row(message, deserializer), default=as_json))
        elif message.error().code() == KafkaError._PARTITION_EOF:
            at_end += 1
        else:
            raise KafkaException(message.error())
    consumer.close()


def row(message: Message, deserializer: AvroDeserializer) -> dict:
    key = message.key()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "key": None if key is None else key.decode(),
        "headers": {name: text.decode() for name, text in message.headers() or []},
        "value": value(message, deserializer),
    }


def value(message: Message, deserializer: AvroDeserializer):
    """A record; only in `instructions` there may be plain JSON as well, and what is no record at all."""
    raw = message.value() or b""
    if raw[:1] == b"\0":
        return deserializer(raw, SerializationContext(message.topic(), MessageField.VALUE))
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def as_json(found):
    if isinstance(found, bytes):
        return base64.b64encode(found).decode()
    if isinstance(found, datetime):
        return round((found - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1000)
    raise TypeError(f"{type(found)} is no JSON")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Prints the records of topics as JSON.")
    parser.add_argument("topics", nargs="+", help="with the pipeline's name, such as spar.outcomes")
    parser.add_argument("--brokers", required=True, help="host:port, several with commas")
    parser.add_argument("--registry", required=True, help="up to where /subjects would follow")
    return parser.parse_args()


main()
