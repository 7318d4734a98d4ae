"""``mig config init``: finds the key in a real GnuPG home and writes settings that work."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.main import main
from mig_core.config.client import ClientSettings
from mig_core.config.loader import load_settings
from mig_core.pgp.gnupg import generate_key, stop_agent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

API = "https://mig.example.net"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "gnupg"
    yield folder
    stop_agent(folder)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config" / "config.toml"
    monkeypatch.setenv("MIG_CONFIG", str(path))
    return path


def test_the_only_key_is_taken_and_the_settings_can_be_read_back(home: Path, settings: Path) -> None:
    key = generate_key(home, "Somebody", "somebody@example.invalid")

    status = main(["config", "init", "--api", API, "--gnupg-home", str(home)])

    written = load_settings(ClientSettings, role="client", path=settings, environment={})
    assert status == exit_codes.ALL_ANSWERED
    assert (written.api, written.fingerprint, written.gnupg_home) == (API, key.fingerprint, home)
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600


def test_of_several_keys_one_is_chosen_by_the_end_of_its_fingerprint(home: Path, settings: Path) -> None:
    keys = [generate_key(home, name, f"{name}@example.invalid") for name in ("First", "Second")]

    main(["config", "init", "--api", API, "--gnupg-home", str(home), "--key", keys[1].fingerprint[-16:]])

    written = load_settings(ClientSettings, role="client", path=settings, environment={})
    assert written.fingerprint == keys[1].fingerprint


def test_without_a_key_it_says_how_to_make_one(home: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["config", "init", "--api", API, "--gnupg-home", str(home)])

    assert status == exit_codes.ERROR
    assert "gpg --quick-generate-key" in capsys.readouterr().err
    assert not settings.exists()


def test_settings_that_are_there_are_not_overwritten(
    home: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.parent.mkdir()
    settings.write_text("# mine\n", encoding="utf-8")

    status = main(["config", "init", "--api", API, "--gnupg-home", str(home)])

    assert status == exit_codes.ERROR
    assert "--force" in capsys.readouterr().err
    assert settings.read_text(encoding="utf-8") == "# mine\n"


def test_without_a_terminal_nothing_is_asked(home: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate_key(home, "Somebody", "somebody@example.invalid")

    status = main(["config", "init", "--gnupg-home", str(home)])

    assert status == exit_codes.ERROR
    assert "--api" in capsys.readouterr().err
