"""Case files of people who mean harm: the manifest is good, because they sign it; what is in the file is not."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.client.cases import layout
from mig_core.client.cases.folder import Case
from mig_core.client.cases.verify import CaseFile, Finding
from mig_core.client.compose import compose_action
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Operation
from mig_core.domain.command import CommandState
from mig_core.domain.document import dump
from mig_core.domain.envelope import Envelope
from mig_core.domain.ids import ActionId, CommandId
from mig_core.domain.result import Answer, Coverage, ModuleResult
from mig_core.domain.times import format_time
from mig_core.identity import AgentKey
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.testing.keys import InvestigatorKeys

Members = dict[str, bytes]
NOW = datetime.now(UTC)
ACTION = compose_action([Operation("file", {"path": "/"})], name="who", target="all", expiry=timedelta(minutes=5))
OTHER = "0197f9f0-5f5c-7a53-b1de-0b6fbd4f1f2c"
AGENT = AgentKey(bytes(32))
QUESTION, ANSWERS = layout.question(ACTION.id), layout.answers(ACTION.id)


def answer_line(key: AgentKey = AGENT, action: str = ACTION.id) -> dict[str, Any]:
    """A command's document, as the platform gives it with its proof."""
    result = ModuleResult(True, True, [], None, (), Coverage(True, {}, ()))
    answer = Answer(
        CommandId("0197f9f0-5f5c-7a53-b1de-0b6fbd4f1f2d"),
        ActionId(action),
        key.agent_id,
        CommandState.SUCCESS,
        "",
        (result,),
        NOW,
        NOW,
    )
    return {
        "id": answer.command,
        "action": action,
        "agent": key.agent_id,
        "agentname": "web1",
        "state": "success",
        "reason": "",
        "found": True,
        "complete": True,
        "results": [result.to_json()],
        "proof": {
            "envelope": key.sign(envelopes.RESULT, answer.to_payload()).to_json(),
            "publickey": base64.b64encode(key.public_key).decode(),
        },
    }


@pytest.fixture
def parts(investigator_keys: InvestigatorKeys, tmp_path: Path) -> Members:
    """An honest case of one question and one answer."""
    alice = investigator_keys.alice
    question = {
        **json.loads(ACTION.to_payload()),
        "creator": alice.fingerprint,
        "signers": [alice.fingerprint],
        "targeted": 1,
        "envelope": sign_action(ACTION, alice).to_json(),
    }
    return {
        layout.CASE: json.dumps(Case(tmp_path, "intruder-7", format_time(NOW), (ACTION.id,)).to_json()).encode(),
        layout.key(alice.fingerprint): alice.public_key(),
        QUESTION: json.dumps(question).encode(),
        ANSWERS: json.dumps(answer_line()).encode() + b"\n",
    }


@pytest.fixture
def write(investigator_keys: InvestigatorKeys, tmp_path: Path) -> Callable[[Members], Path]:
    """Makes the file, with a good manifest."""

    def made(parts: Members) -> Path:
        listed = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
        manifest = dump({"format": layout.FORMAT, "exported": format_time(NOW), "sha256": {**listed}})
        signed = investigator_keys.alice.sign(Envelope(envelopes.CASE, manifest))
        file = tmp_path / "case.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {**parts, layout.MANIFEST: signed.to_bytes()}.items():
                archive.writestr(name, content)
        return file

    return made


def findings(file: Path) -> list[Finding]:
    """All that is said about a file."""
    with CaseFile(file) as opened:
        return list(opened.findings())


def changed(parts: Members, name: str, **change: object) -> Members:
    """With other members of one document."""
    return {**parts, name: json.dumps({**json.loads(parts[name]), **change}).encode()}


def test_an_honest_one_is_good_and_its_key_is_called_one_in_the_file(
    parts: Members, write: Callable[[Members], Path]
) -> None:
    said = findings(write(parts))

    assert [one.verdict for one in said] == ["good"] * 3
    assert "with a key in the file" in said[0].text


@pytest.mark.parametrize(
    ("hostile", "what"),
    [
        (lambda parts: changed(parts, ANSWERS, proof=None, results=None, found=False), "no signed document"),
        (lambda parts: changed(parts, ANSWERS, proof=None, results=[], state="failed"), "no signed document"),
        (lambda parts: {**parts, ANSWERS: json.dumps(answer_line(action=OTHER)).encode()}, "another question"),
        (lambda parts: {**parts, ANSWERS: parts[ANSWERS] * 2}, "there twice"),
        (lambda parts: {**parts, ANSWERS: b'{"found":false,' + parts[ANSWERS][1:]}, "found"),
        (lambda parts: {**parts, ANSWERS: b"[" * 100_000}, "nested"),
        (lambda parts: {**parts, ANSWERS: b"[[],[]]"}, "no object"),
        (lambda parts: {**parts, QUESTION: b"[]"}, "no object"),
        (lambda parts: changed(parts, QUESTION, envelope=[1]), "object"),
        (lambda parts: changed(parts, QUESTION, expireafter="2099-01-01T00:00:00Z"), "another end"),
        (lambda parts: changed(parts, QUESTION, signers=["A" * 40, "B" * 40]), "more signers"),
        (lambda parts: changed(parts, QUESTION, targeted=None), "how many agents"),
        (lambda parts: changed(parts, layout.CASE, actions=[]), "not in the case"),
        (lambda parts: {**parts, layout.rows(OTHER): b"agent\nweb1\n"}, "not in the case"),
    ],
    ids=[
        "found taken away",
        "shown as failed",
        "of another question",
        "twice",
        "two verdicts in one document",
        "deep",
        "a list as answer",
        "a list as question",
        "a list as envelope",
        "another window",
        "more signers",
        "nobody asked",
        "question left out",
        "rows of no question",
    ],
)
def test_what_nobody_signed_is_wrong_under_a_good_manifest(
    hostile: Callable[[Members], Members], what: str, parts: Members, write: Callable[[Members], Path]
) -> None:
    said = findings(write(hostile(parts)))

    assert any(one.verdict == "WRONG" and what in one.text for one in said), said


def test_a_signature_that_nobody_can_check_is_not_called_a_signature(
    parts: Members, write: Callable[[Members], Path]
) -> None:
    envelope = json.loads(parts[QUESTION])["envelope"]
    envelope["signatures"][0]["keyid"] = "B" * 40

    said = findings(write(changed(parts, QUESTION, envelope=envelope)))

    (unknown,) = [one for one in said if one.verdict == "unknown"]
    assert "nobody checked" in unknown.text


@pytest.mark.parametrize("name", [layout.CASE, QUESTION, ANSWERS, layout.MANIFEST])
def test_damage_anywhere_is_said_and_ends_nothing(name: str, parts: Members, write: Callable[[Members], Path]) -> None:
    file = write(parts)
    with zipfile.ZipFile(file) as archive:
        at = archive.getinfo(name).header_offset + 30 + len(name)
    raw = bytearray(file.read_bytes())
    raw[at : at + 8] = b"\xff" * 8
    file.write_bytes(raw)

    said = findings(file)

    assert any(one.verdict == "WRONG" and "cannot be read" in one.text for one in said), said


def test_a_member_that_unpacks_without_end_is_refused_before_it_is_unpacked(
    parts: Members, write: Callable[[Members], Path]
) -> None:
    file = write(parts)
    raw = bytearray(file.read_bytes())
    for at in (raw.index(b"PK\x01\x02"), raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 1)):
        raw[at + 24 : at + 28] = b"\xfe\xff\xff\xff"
    file.write_bytes(raw)

    with CaseFile(file, most_bytes=1 << 32) as opened:
        said = list(opened.findings())

    assert [(one.verdict, one.text) for one in said] == [
        ("WRONG", "it is larger than a case file may be: nothing in it was looked at")
    ]
