"""Log lines."""

import logging

import orjson

from streams.process.logs import JsonFormatter, TextFormatter


def _record(**extra: object) -> logging.LogRecord:
    record = logging.LogRecord("query", logging.WARNING, "f.py", 1, "a node %s", ("went",), None)
    record.__dict__.update(extra)
    return record


def test_json_line_has_message_and_fields() -> None:
    """One object a line, with what the call gave beside the message."""
    line = orjson.loads(JsonFormatter().format(_record(node="a", shards=(1, 2), odd=object)))

    assert (line["level"], line["logger"], line["message"]) == ("warning", "query", "a node went")
    assert (line["node"], line["shards"]) == ("a", [1, 2])
    assert line["time"].endswith("Z")


def test_json_line_of_an_exception_has_its_trace() -> None:
    """A trace stays within the line."""
    record = _record()
    record.exc_info = (ValueError, ValueError("odd"), None)
    line = JsonFormatter().format(record)

    assert "\n" not in line
    assert "ValueError: odd" in orjson.loads(line)["exception"]


def test_text_line_has_fields_behind_the_message() -> None:
    """People read the message first."""
    assert TextFormatter().format(_record(node="a")).endswith("WARNING a node went node=a")
