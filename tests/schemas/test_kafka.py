"""How Kafka is reached: the password shows nowhere."""

from schemas.kafka import KafkaConfig


def test_password_is_in_no_text_form() -> None:
    """A log line or a traceback may hold the whole object."""
    config = KafkaConfig("kafka:9092", sasl_username="app", sasl_password="hunter2-hunter2")

    assert "hunter2" not in f"{config} {config!r}"
    assert config.sasl_password == "hunter2-hunter2"


def test_defaults_are_those_of_a_real_kafka() -> None:
    """Idempotence and transactions are given up only where somebody says so."""
    config = KafkaConfig("kafka:9092")

    assert (config.idempotence, config.transactions, config.replication_factor) == (True, True, 3)
