"""Log lines with fields, through the standard library's logging.

A `Log` is a logger with fields bound to it: `log.info("listening", port=7420)`. `configure` chooses how
lines look; without it they go wherever the application's logging sends them.
"""

import logging
import sys
from typing import Any, TextIO

import msgspec

from denizen.core import clock

_ROOT = "denizen"


class Log:
    """A logger with fields."""

    __slots__ = ("_fields", "_logger")

    def __init__(self, logger: logging.Logger, fields: dict[str, Any]) -> None:
        self._logger = logger
        self._fields = fields

    def bind(self, **fields: Any) -> "Log":
        """The same logger with more fields."""
        return Log(self._logger, {**self._fields, **fields})

    def debug(self, message: str, **fields: Any) -> None:
        self._write(logging.DEBUG, message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write(logging.ERROR, message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, message, fields, exc_info=True)

    def _write(
        self, level: int, message: str, fields: dict[str, Any], exc_info: bool = False
    ) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"fields": {**self._fields, **fields}}
            self._logger.log(level, message, extra=extra, exc_info=exc_info, stacklevel=3)


def get(room: str, **fields: Any) -> Log:
    """The log of a room, e.g. `get("host")`."""
    return Log(logging.getLogger(f"{_ROOT}.{room}"), fields)


class _Lines(logging.Formatter):
    """`time LEVEL room: message key=value …` for people."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        told = "".join(f" {name}={value}" for name, value in fields.items())
        at = clock.utc().strftime("%H:%M:%S.%f")[:-3]
        room = record.name.removeprefix(f"{_ROOT}.")
        line = f"{at} {record.levelname:<7} {room}: {record.getMessage()}{told}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonLines(logging.Formatter):
    """One JSON object a line for machines."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": clock.utc().isoformat(),
            "level": record.levelname.lower(),
            "room": record.name.removeprefix(f"{_ROOT}."),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=repr).decode()


def configure(*, level: int = logging.INFO, json: bool = False, to: TextIO | None = None) -> None:
    """Send the project's lines to `to` (default: standard error)."""
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(_JsonLines() if json else _Lines())
    root = logging.getLogger(_ROOT)
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
