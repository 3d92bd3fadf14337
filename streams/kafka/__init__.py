"""Shells around Kafka: the only aiokafka of the project, besides the Faust driver."""
