"""Whatever a name from elsewhere holds, it makes no line of its own: in logs, in errors, in notes to a person."""

from __future__ import annotations

import io
import json
import logging
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.cli.terminal import note, note_error
from mig_core.errors import ApiError, ConfigurationError, TargetError
from mig_core.logs import JOURNAL, JournalHandler, JsonFormatter, OneLineFormatter, named_fields, start_logging
from mig_core.text import excerpt, printable, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGED = "web1\n2026-11-23 20:00:00 ERROR mig_core: the key was stolen\r\x1b[2J\u2028\u202e"


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(OneLineFormatter())
    logger = logging.getLogger("mig_core.tests.one_line")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, written
    logger.removeHandler(handler)


@given(st.text())
def test_what_is_printable_is_one_line_and_what_is_visible_is_that_too(text: str) -> None:
    assert len(printable(text).splitlines()) <= 1
    assert visible(text).isprintable()
    assert visible(printable(text)) == printable(visible(text)) or not text.isprintable()


@given(st.text(), st.integers(2, 30))
def test_an_excerpt_is_bounded_and_says_that_there_was_more(text: str, length: int) -> None:
    shown = excerpt(text, length)

    assert len(shown) <= length
    assert shown.isprintable()
    assert shown == visible(text.strip()) or shown.endswith("…")


def test_a_name_forges_no_line_of_a_log(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log

    logger.warning("agent %s is not known", FORGED)

    [line] = written.getvalue().splitlines()
    assert "agent web1\\x0a2026-11-23 20:00:00 ERROR" in line
    assert "\x1b" not in line


def test_nor_does_an_exceptions_text_in_a_traceback(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log

    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("it broke")

    first, *others = written.getvalue().splitlines()
    assert first.endswith("it broke")
    assert all(line.startswith("    ") for line in others)
    assert any("ERROR mig_core: the key was stolen" in line for line in others)


def test_nor_a_line_of_an_error_or_of_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    note(f"{FORGED} is admitted")
    note_error(ApiError(400, FORGED, next_step=FORGED), "mig: ")

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("web1\\n2026")
    assert lines[1].startswith("mig: ")
    assert lines[2].startswith("  web1\\n")
    assert all(line.isprintable() for line in lines)


def test_the_caret_stands_under_the_fault_whatever_stands_before_it() -> None:
    error = TargetError("name='\x1b' AND ?", 13, "is not expected")

    _problem, around, caret = error.diagnostics().lines()

    assert around[caret.index("^")] == "?"


def record(message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("mig_core.agent", logging.WARNING, "x.py", 1, message, values, info)


def test_a_line_of_json_has_what_a_message_names_as_fields() -> None:
    line = JsonFormatter("agent").format(
        record("action=%s command=%s ended: %d%% in %.1f s, state=%s", "a1", FORGED, 50, 2.25, "success")
    )

    event = json.loads(line)
    assert line.isascii()
    assert "\n" not in line
    assert event["fields"] == {"action": "a1", "command": FORGED, "state": "success"}
    assert event["message"].endswith("ended: 50% in 2.2 s, state=success")
    assert (event["level"], event["part"], event["logger"]) == ("WARNING", "agent", "mig_core.agent")
    assert event["time"].endswith("Z")


@pytest.mark.parametrize("message", [record("no=%s values"), record("a=%(b)s", {"b": 1}), record("100%"), record("x")])
def test_a_message_whose_values_do_not_fit_has_no_fields(message: logging.LogRecord) -> None:
    assert named_fields(message) == {}


def test_the_journal_gets_fields_and_a_traceback_of_several_lines(tmp_path: Path) -> None:
    place = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(place))
        handler = JournalHandler("agent", str(place))

        handler.emit(record("command=%s is lost", f"c1\nMESSAGE=forged{FORGED}"))
        handler.emit(record("it broke", error=ValueError(FORGED)))
        handler.emit(record("%s", "x" * 1_000_000))
        plain, broken, long = (journal.recv(1 << 20) for _ in range(3))
        handler.close()

    assert plain.splitlines()[0].startswith(rb"MESSAGE=command=c1\x0aMESSAGE=forged")
    assert plain.count(b"\nMESSAGE=") == 1  # the raw field: its length stands before it
    name, _, rest = plain.partition(b"MIG_COMMAND\n")
    (length,) = struct.unpack("<Q", rest[:8])
    assert b"PRIORITY=4\nSYSLOG_IDENTIFIER=mig-agent\nLOGGER=mig_core.agent\n" in name
    assert rest[8 + length :] == b"\n"
    assert broken.startswith(b"MESSAGE\n")
    assert b"    ValueError: web1" in broken
    assert len(long) < 60_000


def test_a_form_of_log_that_is_none_and_a_journal_that_is_not_there_are_settings_that_are_wrong() -> None:
    with pytest.raises(ConfigurationError, match="log_format: must be one of text, json, journal"):
        start_logging("scheduler", "INFO", "xml")
    if not Path(JOURNAL).exists():
        with pytest.raises(ConfigurationError, match="there is no journal"):
            start_logging("scheduler", "INFO", "journal")


def test_a_level_that_is_none_is_a_setting_that_is_wrong() -> None:
    with pytest.raises(ConfigurationError, match="scheduler: log_level"):
        start_logging("scheduler", "LOUD")


def test_an_agent_whose_broker_is_away_says_so_in_its_own_words() -> None:
    """pika has eight lines at ERROR for each attempt, at every endpoint: errors are for what somebody must act on."""
    code = (
        "import asyncio, types\n"
        "from mig_core.agent.main import _start_logging\n"
        "from mig_core.errors import RelayUnavailable\n"
        "from mig_core.relay.amqp_broker import Broker\n"
        "from mig_core.relay.amqp_connection import AmqpConnection\n"
        "_start_logging(types.SimpleNamespace(log_level='INFO', log_format='text'))\n"
        "try:\n"
        "    asyncio.run(AmqpConnection.open(Broker.from_url('amqp://a:b@127.0.0.1:1/mig')))\n"
        "except RelayUnavailable as error:\n"
        "    print(error)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert "127.0.0.1:1" in ran.stdout
    assert ran.stderr == ""
