"""Standard output and logging of a running application, each line marked with its object. (edge)"""

from __future__ import annotations

import contextlib
import datetime
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from perdure._base.current import current_label
from perdure._cli.output import json_line, paint

LEVEL_STYLES = {"DEBUG": "dim", "INFO": "cyan", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}


def has_colour(stream: TextIO) -> bool:
    """Tell whether a stream takes colours: a terminal, unless NO_COLOR says otherwise (no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


class MarkedStream(io.TextIOBase):
    """
    A text stream whose lines begin with the object that wrote them: `[Counter(home)] text`.

    What is written outside of objects passes unchanged. An unfinished line of one object is ended before
    another writes, so that no line has two authors.
    """

    def __init__(self, stream: TextIO, mark: Callable[[str, str], str]) -> None:
        self.raw_stream = stream
        self._mark = mark
        self._open: str | None = None
        """Whose line is unfinished."""

    def write(self, text: str, /) -> int:
        label = current_label()
        if not text:
            return 0
        pieces = []
        if self._open is not None and self._open != label:
            pieces.append("\n")
            self._open = None
        for line in text.splitlines(keepends=True):
            pieces.append(line if self._open is not None or not label else self._mark(label, line))
            self._open = None if line.endswith("\n") else label
        self.raw_stream.write("".join(pieces))
        return len(text)

    def flush(self) -> None:
        self.raw_stream.flush()

    def isatty(self) -> bool:
        return self.raw_stream.isatty()

    def fileno(self) -> int:
        return self.raw_stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.raw_stream.encoding

    def __getattr__(self, name: str) -> Any:  # `buffer`, `reconfigure`
        return getattr(self.raw_stream, name)


class JsonStream(io.TextIOBase):
    """A text stream that writes each finished line as a JSON record."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self.raw_stream = stream
        self._name = name
        self._parts: dict[str, str] = {}
        """Unfinished line of each object."""

    def write(self, text: str, /) -> int:
        label = current_label()
        *lines, rest = (self._parts.pop(label, "") + text).split("\n")
        if rest:
            self._parts[label] = rest
        for line in lines:
            record = {"time": now(), "level": "info", "stream": self._name, "object": label, "message": line}
            self.raw_stream.write(json_line(record) + "\n")
        return len(text)

    def flush(self) -> None:
        self.raw_stream.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.raw_stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.raw_stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw_stream, name)


class TextFormatter(logging.Formatter):
    """`[Counter(home)] warning app: text`."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        label = getattr(record, "object", "")
        level = paint(
            record.levelname.lower(), LEVEL_STYLES.get(record.levelname, "dim"), colour=self._colour
        )
        mark = f"{paint(f'[{label}]', 'blue', colour=self._colour)} " if label else ""
        text = f"{mark}{level} {record.name}: {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            text += "\n" + self.formatStack(record.stack_info)
        return text


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        return json_line(
            {
                "time": now(record.created),
                "level": record.levelname.lower(),
                "logger": record.name,
                "object": getattr(record, "object", ""),
                "message": record.getMessage(),
                "exception": self.formatException(record.exc_info) if record.exc_info else None,
            }
        )


def label_record(record: logging.LogRecord) -> bool:
    """Note the object on a record, for formatters of the application too; a filter that lets all pass."""
    record.object = current_label()
    return True


def now(at_s: float | None = None) -> str:
    """Return a time as it stands in records: UTC, milliseconds."""
    at = (
        datetime.datetime.now(datetime.UTC)
        if at_s is None
        else datetime.datetime.fromtimestamp(at_s, datetime.UTC)
    )
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def prepare_streams() -> None:
    """Let lines leave at once, also into a pipe, and let no character stop a line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


@contextlib.contextmanager
def marked_output(*, log_level: str = "info", log_format: str = "text") -> Iterator[None]:
    """Mark what is printed and logged while the application is imported and run."""
    out, err = sys.stdout, sys.stderr

    def marker(stream: TextIO) -> Callable[[str, str], str]:
        colour = has_colour(stream)
        return lambda label, line: f"{paint(f'[{label}]', 'blue', colour=colour)} {line}"

    handler = logging.StreamHandler(err)
    handler.addFilter(label_record)
    if log_format == "json":
        sys.stdout, sys.stderr = JsonStream(out, "stdout"), JsonStream(err, "stderr")
        handler.setFormatter(JsonFormatter())
    else:
        sys.stdout, sys.stderr = MarkedStream(out, marker(out)), MarkedStream(err, marker(err))
        handler.setFormatter(TextFormatter(has_colour(err)))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(log_level.upper())
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(before)
        root.removeHandler(handler)
        sys.stdout, sys.stderr = out, err
