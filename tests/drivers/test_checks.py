"""``mig-api --check`` and ``mig doctor``: against real parts, and against what is wrong with them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.api.main import main as api
from mig_core.cli import main
from mig_core.testing.certificates import make_certificates
from mig_core.testing.store_samples import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mig_core.testing.api_site import ApiSite

PATIENT = ("--check", "--within", "120")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def settings(folder: Path, text: str) -> str:
    config = folder / "api.toml"
    config.write_text(f'state = "{folder}/state"\n{text}', encoding="utf-8")
    return str(config)


def test_a_sound_mig_api_says_what_it_found(
    tmp_path: Path, api_store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = make_certificates(tmp_path, days=30)
    config = settings(
        tmp_path,
        f'listen = "127.0.0.1:1, unix:{tmp_path}/s"\n[database]\nurl = "{api_store_url}"\n'
        f'[tls]\ncertificate_file = "{certificates}/server.pem"\nkey_file = "{certificates}/server.key"\n',
    )

    status = api(["-c", config, *PATIENT])

    out = capsys.readouterr().out
    assert status == 0, out
    for words in (
        "ok      settings: no ACL",
        "MiB are free below",
        "with the schema of this release",
        "agrees with the database's clock",
        "keys: there is no investigator yet",
        "server.pem is good for",
        "127.0.0.1:1 is free",
        f"unix:{tmp_path}/s will be made",
        "mig-api: all is well",
    ):
        assert words in out


def test_each_thing_that_is_wrong_with_a_mig_api_is_named(
    tmp_path: Path, scheduler_store_url: str, silent_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = make_certificates(tmp_path, days=-1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = settings(
            tmp_path,
            f'listen = "127.0.0.1:{other.getsockname()[1]}"\n[database]\nurl = "{scheduler_store_url}"\n'
            f'[tls]\ncertificate_file = "{ended}/server.pem"\nkey_file = "{ended}/server.key"\n',
        )
        other.close()
        status = api(["-c", config, *PATIENT])

    out = capsys.readouterr().out
    assert status == 1
    assert "WRONG   database: the login mig_test_scheduler is not in mig_api" in out
    assert "server.pem has ended" in out
    assert "next: mig-admin db create-login NAME --group mig_api" in out


def test_a_database_that_says_nothing_does_not_hold_the_check_up(tmp_path: Path, silent_port: int) -> None:
    config = settings(tmp_path, f'[database]\nurl = "postgresql://x@127.0.0.1:{silent_port}/mig"\n')
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    done = subprocess.run(
        [sys.executable, "-m", "mig_core.api.main", "-c", config, "--check", "--within", "1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 1
    assert "mig-api: database: no answer within 1 s" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture
def investigator(api_site: ApiSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApiSite:
    """Alice's own settings point to a platform that knows her."""
    api_site.first_investigator()
    config = tmp_path / "config.toml"
    config.write_text(
        f'api = "{api_site.url}"\nfingerprint = "{api_site.keys.alice.fingerprint}"\n'
        f'gnupg_home = "{api_site.keys.home}"\n'
    )
    monkeypatch.setenv("MIG_CONFIG", str(config))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return api_site


def test_the_doctor_finds_nothing_where_all_is_well(investigator: ApiSite, capsys: pytest.CaptureFixture[str]) -> None:
    status = main.main(["doctor", "--within", "120"])

    out = capsys.readouterr().out
    assert status == 0, out
    assert "Alice may agents, ask, investigators, log, propose, read" in out
    assert "0 of 0 agents are online" in out
    assert out.splitlines()[-1] == "mig: all is well"


def test_the_doctor_tells_a_clock_an_alarm_and_a_key_that_is_not_there(
    investigator: ApiSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    investigator.platform(lambda store: store.numbers.relay_is("amqp", "a memory alarm", NOW + timedelta(days=3650)))
    main.main(["doctor", "--within", "120", "--json"])
    alarmed = {one["subject"]: one for one in json.loads(capsys.readouterr().out)}

    monkeypatch.setenv("MIG_CLIENT_FINGERPRINT", "A" * 40)
    status = main.main(["doctor", "--within", "120"])
    out = capsys.readouterr().out

    assert "relay_amqp_in_trouble" in alarmed["login"]["wrong"][0]["problem"]
    assert status == 1
    assert f"mig: key: GnuPG has no secret key {'A' * 40}" in out


def test_the_doctor_names_a_platform_that_is_away(investigator: ApiSite, capsys: pytest.CaptureFixture[str]) -> None:
    investigator.stop()

    status = main.main(["doctor", "--within", "120"])

    out = capsys.readouterr().out
    assert status == 1
    assert f"mig: platform: {investigator.url}/healthz: cannot be reached" in out
    assert "next: is mig-api running" in out
