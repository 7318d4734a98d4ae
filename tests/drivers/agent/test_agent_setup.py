"""``mig-agent --check``, ``id``, ``enrol`` and ``log`` as a person uses them."""

from __future__ import annotations

from typing import Any

import pytest

Endpoint = Any
Platform = Any
"""They live in conftest.py, which cannot be imported under this import mode."""


def test_a_sound_installation_passes_except_for_what_it_says(endpoint: Endpoint, platform: Platform) -> None:
    done = endpoint.run("--check", "--within", "120")

    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 2
    assert "failing: all its investigators together weigh 1, it needs 2" in wrong[0]
    assert "broken:" in wrong[1]
    assert endpoint.id in done.stdout


def test_the_check_names_everything_that_is_missing(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.configure("", allow=["echo", "nosuch"])
    (endpoint.folder / "acl.json").write_text('{"default": {"minimumweight": 0, "investigators": {}}}')
    (endpoint.folder / "keys" / "irene.asc").write_text("no key")

    done = endpoint.run("--check", "--within", "120")

    assert done.returncode == 1
    for words in ("platform.api: is missing", "default.minimumweight", "nosuch is allowed but not installed"):
        assert words in done.stdout


@pytest.mark.parametrize("name", ["acl.json", "agent.toml", "keys", "keys/irene.asc"])
def test_what_the_agent_believes_and_others_may_write_keeps_it_from_starting(
    name: str, endpoint: Endpoint, platform: Platform
) -> None:
    path = endpoint.folder / name
    path.chmod(path.stat().st_mode | 0o022)

    done, checked = endpoint.run(), endpoint.run("--check", "--within", "120")

    assert done.returncode == 1
    assert f"{path}: others may write it" in done.stderr
    assert f"WRONG   files: {path}: others may write it" in checked.stdout


def test_a_misspelt_setting_is_named(endpoint: Endpoint, platform: Platform) -> None:
    endpoint.configure(platform.server.url, concurency=3)

    done = endpoint.run("--check", "--within", "120")

    assert done.returncode == 1
    assert "modules.concurency" in done.stderr
    assert "did you mean concurrency?" in done.stderr


def test_the_id_is_printed_and_stays_the_same(endpoint: Endpoint, platform: Platform) -> None:
    assert [endpoint.run("id").stdout for _ in range(2)] == [endpoint.id + "\n"] * 2


def test_enrolling_by_hand_says_how_the_agent_stands(endpoint: Endpoint, platform: Platform) -> None:
    platform.server.approval_pending = True
    assert endpoint.run("enrol").stdout == "pending\n"

    platform.server.approval_pending = False
    assert endpoint.run("enrol").stdout == "online\n"
    assert (endpoint.state / "relay.token").exists()


def test_a_tampered_ledger_is_noticed(endpoint: Endpoint, platform: Platform) -> None:
    command = endpoint.command(endpoint.action(("echo", {})))
    endpoint.start()
    platform.send(command)
    platform.answer_to(command.command)
    endpoint.stop()
    ledger = endpoint.state / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"success"', b'"refused"'))

    done = endpoint.run("log")

    assert done.returncode == 1
    assert "line 2" in done.stderr
