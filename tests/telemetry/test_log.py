"""Lines of the log: for people, and for programs."""

from __future__ import annotations

import io
import json
import logging
import re
import sys

import pytest

from ccengine.telemetry.log import JsonFormatter, configure_logging


@pytest.fixture
def root(monkeypatch):
    """Give the root logger back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def log(monkeypatch, style, level="info"):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(level, style)
    return stream


def test_text_is_one_line_with_time_level_and_room(monkeypatch, root):
    stream = log(monkeypatch, "text")
    logging.getLogger("ccengine.call").warning("call %s is lost", "c1")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} WARNING ccengine\.call: call c1 is lost\n", stream.getvalue()
    )


def test_json_is_one_object_a_line(monkeypatch, root):
    stream = log(monkeypatch, "json")
    logging.getLogger("ccengine.call").info("张伟\nrings")
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found["level"] == "info"
    assert found["room"] == "ccengine.call"
    assert found["message"] == "张伟\nrings"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", found["at"])
    assert "trace" not in found


def test_json_has_the_trace_of_a_flaw():
    try:
        raise KeyError("a flaw")
    except KeyError:
        record = logging.LogRecord("r", logging.ERROR, "f", 1, "oh", (), sys.exc_info())
    assert "KeyError: 'a flaw'" in json.loads(JsonFormatter().format(record))["trace"]


def test_the_level_counts(monkeypatch, root):
    stream = log(monkeypatch, "text", "warning")
    logging.getLogger("ccengine.call").info("not said")
    logging.getLogger("ccengine.call").error("said")
    assert "not said" not in stream.getvalue()
    assert "said" in stream.getvalue()
