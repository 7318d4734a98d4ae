"""Whatever a name from elsewhere holds, it makes no line of its own: in logs, in errors, in notes to a person."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.cli.terminal import note, note_error
from mig_core.errors import ApiError, ConfigurationError, TargetError
from mig_core.logs import OneLineFormatter, start_logging
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


def test_a_level_that_is_none_is_a_setting_that_is_wrong() -> None:
    with pytest.raises(ConfigurationError, match="scheduler: log_level"):
        start_logging("scheduler", "LOUD")
