"""Every command of ``mig``, where it cannot do its work: one error that names the subject, the status, no traceback."""

from __future__ import annotations

import http.server
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import typer

from mig_core.cli import admin, exit_codes
from mig_core.cli.console import main as console
from mig_core.cli.main import main
from mig_core.cli.own_commands import OWN_COMMANDS
from mig_core.cli.root import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINGERPRINT = "A" * 40
ACTION = "0197f9f0-0000-7000-8000-000000000000"
ASK_THE_PLATFORM: dict[str, tuple[str, ...]] = {
    "agents": (),
    "agent show": ("web1",),
    "agent approve": ("web1",),
    "agent retire": ("web1", "--yes"),
    "agent renew-token": ("web1", "--yes"),
    "enrolment add": ("berlin",),
    "enrolment list": (),
    "enrolment revoke": ("berlin",),
    "enrolment pending": (),
    "logout": ("--everywhere",),
    "actions": (),
    "action show": (ACTION,),
    "action follow": (ACTION,),
    "action results": (ACTION,),
    "action repeat": (ACTION,),
    "action cancel": (ACTION,),
    "action approve": (ACTION,),
    "diff": (ACTION, ACTION),
    "history": ("web1",),
    "why": (ACTION, "web1"),
    "proposals": (),
    "proposal show": (ACTION,),
    "proposal sign": (ACTION,),
    "proposal reject": (ACTION,),
    "investigators": (),
    "investigator bootstrap": ("Ann", "--secret-file", "{folder}/secret"),
    "investigator add": ("Ann", "{folder}/secret"),
    "investigator show": (FINGERPRINT,),
    "investigator disable": (FINGERPRINT,),
    "investigator enable": (FINGERPRINT,),
    "investigator remove": (FINGERPRINT, "--yes"),
    "investigator permit": (FINGERPRINT, "--permissions", "read"),
    "log": (),
    "dashboard": (),
    "results": (ACTION,),
    "timeline": (ACTION,),
    "mcp": (),
    "ask": ("{folder}/action.json", "--yes"),
    "file": ("-path", "/etc", "-name", "^x$", "--yes"),
}
CASES: dict[str, tuple[str, ...]] = {
    "case add": ("none", ACTION),
    "case note": ("none", "text"),
    "case show": ("none",),
    "case export": ("none", "{folder}/case.zip"),
}
"""These begin with a case on this machine."""
ALONE = {
    *("plugins", "plugin list", "plugin new", "config init", "config show", "demo"),
    *("doctor", "cases", "case new", "case verify", "sign", "send"),
}
"""These ask no platform; each has a test of its own below."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "action.json").write_text(
        '{"syntaxversion": 3, "name": "x", "target": "all", "operations": [{"module": "file", "parameters": {}}]}'
    )
    monkeypatch.setenv("MIG_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "gnupg"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "gnupg").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody else gets and nobody listens at."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """What answers when the address is another server's: a page."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))  # who closes over unread bytes resets
        page = b"<html>\x1b[2JIt works!</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_POST = do_PATCH = do_GET  # noqa: N815  the names that http.server calls

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its own argument
        pass


@pytest.fixture
def other_server() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def settings(folder: Path, port: int) -> None:
    (folder / "config.toml").write_text(f'api = "http://127.0.0.1:{port}"\nfingerprint = "{FINGERPRINT}"\n')


def ran(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    words = [word.format(folder=folder) for word in ASK_THE_PLATFORM[command]]
    status = main([*command.split(), *words])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def leaves(command: Any, path: str = "") -> Iterator[str]:
    names = getattr(command, "list_commands", None)
    if names is None:
        yield path
        return
    for name in names(None):
        yield from leaves(command.get_command(None, name), f"{path} {name}".strip())


def test_every_command_has_its_error_path_here() -> None:
    found = set(leaves(typer.main.get_command(app)))
    ours = {name for name in found if name.split()[0] in OWN_COMMANDS}

    assert ours == (set(ASK_THE_PLATFORM) | set(CASES) | ALONE) - {"file"}
    assert "pkg" in found  # asked in the same way as file; what plugins bring besides is tested beside them


@pytest.mark.parametrize("command", sorted(CASES))
def test_a_case_that_there_is_not_is_named(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([*command.split(), *(word.format(folder=folder) for word in CASES[command])])

    err = capsys.readouterr().err
    assert status == exit_codes.ERROR
    assert "there is no case none" in err
    assert "mig case new" in err


def test_a_name_that_cannot_be_a_cases_and_a_file_that_is_no_case_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = [main(["case", "new", "../x"]), main(["case", "verify", f"{folder}/secret"]), main(["cases"])]

    err = capsys.readouterr().err
    assert statuses == [exit_codes.ERROR, exit_codes.ERROR, exit_codes.ALL_ANSWERED]
    assert "cannot be a case's name" in err
    assert "is no case file" in err


@pytest.mark.parametrize("command", sorted(ASK_THE_PLATFORM))
def test_without_settings_it_says_how_to_make_them(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = ran(command, folder, capsys)

    assert (status, out) == (exit_codes.ERROR, "")
    assert err.startswith("mig: ")
    assert "mig config init" in err


@pytest.mark.parametrize("command", sorted(ASK_THE_PLATFORM))
def test_a_platform_that_is_down_is_named(
    command: str, folder: Path, closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(folder, closed_port)

    status, out, err = ran(command, folder, capsys)

    assert (status, out) == (exit_codes.ERROR, "")
    assert any(line.startswith("mig: ") for line in err.splitlines())
    assert f"127.0.0.1:{closed_port}" in err or FINGERPRINT in err  # those that sign first have no key here


@pytest.mark.parametrize("command", sorted(ASK_THE_PLATFORM))
def test_another_server_at_the_address_is_told(
    command: str, folder: Path, other_server: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(folder, other_server)

    status, out, err = ran(command, folder, capsys)

    assert (status, out) == (exit_codes.ERROR, "")
    assert any(line.startswith("mig: ") for line in err.splitlines())
    assert "\x1b" not in err


@pytest.mark.parametrize(
    "words",
    [
        ("investigator", "add", "Ann", "{folder}/missing"),
        ("investigator", "bootstrap", "Ann", "--secret-file", "{folder}/missing"),
        ("ask", "{folder}/missing"),
        ("sign", "{folder}/missing"),
        ("send", "{folder}/missing"),
    ],
)
def test_a_file_that_is_not_there_is_named(
    words: tuple[str, ...], folder: Path, closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(folder, closed_port)

    status = main([word.format(folder=folder) for word in words])

    err = capsys.readouterr().err
    assert status == exit_codes.ERROR
    assert f"{folder}/missing" in err
    assert "No such file" in err


ADMIN: dict[str, tuple[str, ...]] = {
    "db upgrade": (),
    "db create-login": ("mig_api_1", "--group", "mig_api", "--password-file", "{folder}/secret"),
    "log forget": ("--before", "2026-01-01"),
    "set-aside list": (),
    "set-aside show": ("1",),
    "set-aside retry": (),
    "set-aside drop": ("1",),
}


def admin_ran(command: str, folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    words = [word.format(folder=folder) for word in ADMIN[command]]
    assert admin.main([*command.split(), *words, *more]) == exit_codes.ERROR
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_every_command_of_operators_has_its_error_path_here() -> None:
    assert set(leaves(typer.main.get_command(admin.app))) == set(ADMIN)


@pytest.mark.parametrize("command", sorted(ADMIN))
def test_without_a_database_an_operator_hears_how_to_name_it(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIG_OWNER_URL", raising=False)

    assert "give --url, or set MIG_OWNER_URL" in admin_ran(command, folder, capsys)


@pytest.mark.parametrize("command", sorted(ADMIN))
def test_a_database_that_does_not_answer_is_said(
    command: str, folder: Path, closed_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    err = admin_ran(command, folder, capsys, "--url", f"postgresql://x@127.0.0.1:{closed_port}/mig")

    assert err.startswith("mig-admin: ")
    assert str(closed_port) in err


@pytest.mark.parametrize("command", sorted(ADMIN))
def test_a_url_that_is_none_is_said_and_not_shown(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    err = admin_ran(command, folder, capsys, "--url", "secret password")

    assert "is no libpq URL" in err
    assert "secret" not in err


def test_a_password_that_is_no_text_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "secret").write_bytes(b"\xff")

    assert "is not UTF-8 text" in admin_ran("db create-login", folder, capsys, "--url", "postgresql://x@127.0.0.1:1/x")


def test_the_console_needs_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main([]) == exit_codes.ERROR
    assert "mig config init" in capsys.readouterr().err


def test_settings_that_are_there_are_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings(folder, 1)

    assert main(["config", "init", "--api", "https://x"]) == exit_codes.ERROR
    assert "--force" in capsys.readouterr().err


def test_settings_cannot_be_shown_before_they_are_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show"]) == exit_codes.ERROR
    assert "mig config init" in capsys.readouterr().err


def test_the_doctor_needs_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == exit_codes.ERROR
    assert "run: mig config init" in capsys.readouterr().err


def test_a_demo_where_a_file_lies_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--exit", "--state", str(folder / "secret")]) == exit_codes.ERROR
    assert str(folder / "secret") in capsys.readouterr().err


def test_a_plugin_is_not_written_over_what_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "new", "brandnew", "--folder", str(folder)]) == exit_codes.ERROR
    assert "exists already" in capsys.readouterr().err


def test_a_plugin_where_nothing_can_be_written_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = folder / "secret" / "plugin"

    assert main(["plugin", "new", "brandnew", "--folder", str(place)]) == exit_codes.ERROR
    assert str(folder / "secret") in capsys.readouterr().err


@pytest.mark.parametrize("words", [("plugins",), ("plugin", "list")])
def test_a_plugin_that_cannot_be_loaded_is_an_error_and_listed(
    words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    info = folder / "mig_plugin_broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mig-plugin-broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[mig.modules]\nbroken = no_such_module_anywhere:Broken\n")
    monkeypatch.syspath_prepend(str(folder))

    assert main([*words]) == exit_codes.ERROR
    assert "No module named 'no_such_module_anywhere'" in capsys.readouterr().out
