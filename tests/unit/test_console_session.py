"""The console's lines: what is asked of the platform, what is remembered, what is printed, and how it says no."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.console.main import history_path, main
from mig_core.cli.console.session import COMMANDS, ConsoleSession
from mig_core.errors import ApiError, MigError

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "console.md").read_text(encoding="utf-8")
ACTION = "0197f9f0-5f5c-7a53-b1de-0b6fbd4f1f2c"
AGENT = {
    "id": "abcdefghijklmnopqrstuvwxyz234567",
    "name": "web1",
    "state": "online",
    "version": "0.1.0",
    "environment": {"ident": "Debian 12\x1b[31m"},
    "heartbeat": "2026-11-23T12:00:00Z",
}


class SmallPlatform:
    """The protocol the console asks, with one agent and one action."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    def dashboard(self) -> dict[str, Any]:
        return {"agents": {"online": 1, "idle": 0}, "counters": {}}

    def agents(self, *, target: str = "", limit: int | None = None) -> Iterator[dict[str, Any]]:
        self.targets.append(target)
        yield dict(AGENT)

    def agent(self, agent: str) -> dict[str, Any]:
        return dict(AGENT)

    def agent_id(self, text: str) -> str:
        if text not in (AGENT["id"], AGENT["name"]):
            raise ApiError(404, f"no such agent: {text}")
        return str(AGENT["id"])

    def actions(self, *, name: str = "", limit: int | None = None) -> Iterator[dict[str, Any]]:
        yield {
            "created": "2026-11-23T12:00:00Z",
            "id": ACTION,
            "state": "completed",
            "targeted": 2,
            "found": 1,
            "name": "x",
        }

    def action(self, action: str) -> dict[str, Any]:
        return {"id": ACTION, "name": "x", "operations": [{"module": "nothere"}], "envelope": {"payload": "SECRETLONG"}}

    def commands(self, action: str) -> Iterator[dict[str, Any]]:
        result = {"foundanything": True, "success": True, "elements": [1], "statistics": {}, "errors": []}
        done = {
            "agentname": "web1",
            "state": "success",
            "reason": "",
            "found": True,
            "finished": "now",
            "results": [result],
        }
        yield done
        yield {**done, "agentname": "web2", "finished": None, "found": False, "results": None}


@pytest.fixture
def platform() -> SmallPlatform:
    return SmallPlatform()


@pytest.fixture
def session(platform: SmallPlatform) -> ConsoleSession:
    return ConsoleSession(platform, {"mine": "name LIKE 'web%'"})


def test_help_names_every_command(session: ConsoleSession, capsys: pytest.CaptureFixture[str]) -> None:
    session.obey("help")

    printed = capsys.readouterr().out
    assert all(one.usage in printed for one in COMMANDS.values())


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_in_the_documentation(command: str) -> None:
    assert f"| `{COMMANDS[command].usage}` |".replace("|notfound|", "\\|notfound\\|") in PAGE


def test_the_dashboard_has_a_line_for_each_group(session: ConsoleSession, capsys: pytest.CaptureFixture[str]) -> None:
    session.obey("dashboard")

    assert capsys.readouterr().out == "agents: 0 idle, 1 online\ncounters: none\n"


def test_agents_are_asked_for_by_target_or_macro(session: ConsoleSession, platform: SmallPlatform) -> None:
    for line in ("agents", "agents mine", "agents name = \"'web1'\""):
        session.obey(line)

    assert platform.targets == ["", "(name LIKE 'web%')", "name = 'web1'"]


def test_control_characters_of_endpoints_do_not_reach_the_terminal(
    session: ConsoleSession, capsys: pytest.CaptureFixture[str]
) -> None:
    session.obey("agents")
    session.obey("agent web1")

    assert "\x1b" not in capsys.readouterr().out


def test_results_are_about_the_action_that_was_chosen(
    session: ConsoleSession, capsys: pytest.CaptureFixture[str]
) -> None:
    session.obey(f"action {ACTION}")
    session.obey("results all")

    printed = capsys.readouterr()
    assert "SECRETLONG" not in printed.out
    assert "web1 nothere: [1]" in printed.out
    assert "1 have not answered yet" in printed.err
    assert session.where == f"action {ACTION[-6:]}"


def test_exit_leaves_the_action_first_and_then_the_console(session: ConsoleSession) -> None:
    session.obey(f"action {ACTION}")

    session.obey("exit")
    assert (session.ended, session.where) == (False, "")
    session.obey("exit")
    assert session.ended


def test_history_shows_the_last_lines(session: ConsoleSession, capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("", "dashboard", "actions", "history 2"):
        session.obey(line)

    assert capsys.readouterr().out.endswith("    2  actions\n    3  history 2\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("results", "choose one first"),
        ("agent", "usage: agent ID"),
        ("agent web1 web2", "usage: agent ID"),
        ("agent nobody", "no such agent"),
        ("nonsense", "type help"),
        ("agent 'web1", "close the quotes"),
        ("agents name =", "target"),
        ("history many", "N is a number"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(session: ConsoleSession, line: str, said: str) -> None:
    with pytest.raises(MigError) as caught:
        session.obey(line)

    assert said in str(caught.value.diagnostics())


def test_what_was_seen_can_be_completed(platform: SmallPlatform) -> None:
    seen: list[str] = []
    session = ConsoleSession(platform, {}, completions=seen.extend)

    session.obey("agents")
    session.obey("actions")

    assert seen == [AGENT["name"], AGENT["id"], ACTION]


def test_the_history_file_is_where_state_belongs() -> None:
    assert history_path({"XDG_STATE_HOME": "/s"}) == Path("/s/mig/console-history")
    assert history_path({}) == Path.home() / ".local/state/mig/console-history"


def test_without_settings_the_error_says_how_to_make_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIG_CONFIG", "/nonexistent/config.toml")

    assert main([]) == exit_codes.ERROR
    assert "mig config init" in capsys.readouterr().err


def test_prompt_toolkit_is_not_imported_without_a_terminal() -> None:
    code = "import sys, mig_core.cli.console.main; print('prompt_toolkit' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_on_a_terminal_lines_are_kept_and_ctrl_d_ends(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from mig_core.cli.console.prompt import Prompt
prompt = Prompt(Path(sys.argv[1]) / "deep" / "history", ["help"])
for line in prompt.lines(lambda: "action 123"):
    print("GOT", line)
print("KEPT", list(prompt.history()))
"""
    main_end, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            # On a dumb terminal, and when it has given up asking where its cursor is, it prompts before it listens.
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        ) as process:
            os.close(terminal)
            try:
                seen = _until(main_end, b"action 123>")
                os.write(main_end, b"help\r")
                # Ctrl-D means the end to a prompt only: between two of them the terminal swallows it.
                seen += _until(main_end, b"GOT help", b"action 123>")
                os.write(main_end, b"\x04")
                seen += _until(main_end, b"KEPT")
                assert process.wait(60) == 0, seen
            finally:
                process.kill()
    finally:
        os.close(main_end)

    kept = tmp_path / "deep" / "history"
    assert b"+help" in kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600


def _until(descriptor: int, *wanted: bytes) -> bytes:
    """What comes until all of them came, one after the other; what is still to come within 30 s fails."""
    seen = rest = b""
    for text in wanted:
        while text not in rest:
            ready, _, _ = select.select([descriptor], [], [], 30)
            assert ready, seen
            piece = os.read(descriptor, 4096)
            seen, rest = seen + piece, rest + piece
        rest = rest.partition(text)[2]
    return seen
