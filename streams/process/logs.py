"""Log lines: JSON for machines, text for people.

What always holds: one object a line; what a call gave as ``extra`` stands beside the message, never in it. Who calls
it: the top of the process. It must not know: who logs.
"""

import logging
import sys
import time

import orjson

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


_LIBRARIES = {
    "aiokafka": logging.ERROR,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, message, then the fields of ``extra``."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class TextFormatter(logging.Formatter):
    """Formats a record for people: the fields of ``extra`` as ``name=value`` behind the message."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        text = super().format(record)
        fields = [f"{name}={value}" for name, value in record.__dict__.items() if name not in _OWN]
        return " ".join([text, *fields])


def set_up_logging(level: str, *, as_json: bool) -> None:
    """Send everything of at least ``level`` to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # These libraries tell of every request and retry that we log, or bear, ourselves.
    for library, least in _LIBRARIES.items():
        logging.getLogger(library).setLevel(least)
