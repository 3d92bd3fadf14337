"""Tests of the Kafka clients."""
