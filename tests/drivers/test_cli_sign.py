"""``mig sign``: two people and a USB stick, with real keys and no platform."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.main import main
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Action, Operation
from mig_core.domain.envelope import read_envelope
from mig_core.domain.ids import ActionId, uuid7
from mig_core.testing.keys import InvestigatorKeys, sign_action

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
ASKED = Action(
    ActionId(uuid7(NOW, b"y" * 10)), "both", "all", NOW, NOW + timedelta(hours=1), (Operation("memory", {"a": 1}),)
)


@pytest.fixture
def question(tmp_path: Path, investigator_keys: InvestigatorKeys, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that Alice signed, on Bob's machine."""
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'api = "http://127.0.0.1:1"\nfingerprint = "{investigator_keys.bob.fingerprint}"\n'
        f'gnupg_home = "{investigator_keys.home}"\n'
    )
    monkeypatch.setenv("MIG_CONFIG", str(settings))
    file = tmp_path / "question.json"
    file.write_text(json.dumps(sign_action(ASKED, investigator_keys.alice).to_json(), indent=2))
    return file


def test_a_second_signature_is_added_without_a_platform(
    question: Path, investigator_keys: InvestigatorKeys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["sign", str(question), "--yes"])

    signed = read_envelope(question.read_bytes(), expected_type=envelopes.ACTION)
    keyring = investigator_keys.keyring(tmp_path / "keyring")
    signers = {keyring.verify(signed.signed_bytes(), one) for one in signed.signatures}
    printed = capsys.readouterr()
    assert status == exit_codes.ALL_ANSWERED
    assert signers == {investigator_keys.alice.fingerprint, investigator_keys.bob.fingerprint}
    assert signed.payload == ASKED.to_payload()
    assert f"signed by {investigator_keys.alice.fingerprint}: checked" in printed.err
    assert json.loads(printed.out)["operations"] == [{"module": "memory", "parameters": {"a": 1}}]


def test_nobody_signs_twice_and_nobody_unasked(question: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = question.read_bytes()

    unasked = main(["sign", str(question)])
    untouched = question.read_bytes()
    main(["sign", str(question), "-y"])
    twice = main(["sign", str(question), "-y"])

    assert (unasked, twice) == (exit_codes.ERROR, exit_codes.ERROR)
    assert untouched == before
    assert "has your signature" in capsys.readouterr().err


def test_a_file_whose_signature_is_not_good_is_not_signed(question: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody changed what Alice had signed."""
    document = json.loads(question.read_text())
    payload = base64.b64decode(document["payload"]).replace(b'"all"', b'"web"')
    question.write_text(json.dumps({**document, "payload": base64.b64encode(payload).decode()}))
    before = question.read_bytes()

    status = main(["sign", str(question), "--yes"])

    assert status == exit_codes.ERROR
    assert "the signature in the file is not good" in capsys.readouterr().err
    assert question.read_bytes() == before


@pytest.mark.parametrize("text", ["", "{}", '{"syntaxversion": 3}', "[" * 100_000])
def test_what_is_no_signed_action_is_refused(question: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    question.write_text(text)

    statuses = [main(["sign", str(question), "-y"]), main(["send", str(question)])]

    assert statuses == [exit_codes.ERROR, exit_codes.ERROR]
    assert "mig: " in capsys.readouterr().err
