"""An agent's key: how it is kept, and what its signatures prove."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.envelope import HEARTBEAT, RESULT, Envelope, Signature, read_envelope
from mig_core.domain.ids import agent_id
from mig_core.errors import ConfigurationError, SignatureInvalid
from mig_core.identity import AgentKey, verify_agent

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = AgentKey(bytes(32)), AgentKey(bytes([1] * 32))


def test_a_key_is_made_once_private_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"

    made = AgentKey.load_or_create(path)
    found = AgentKey.load_or_create(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert found.public_key == made.public_key
    assert found.agent_id == made.agent_id == agent_id(made.public_key)
    assert AgentKey.generate().agent_id != made.agent_id


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    AgentKey.load_or_create(path)
    path.chmod(0o640)

    with pytest.raises(ConfigurationError, match="others may read"):
        AgentKey.load_or_create(path)


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"zz" * 32, b"\xff" * 64])
def test_a_file_that_is_no_key_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="is not an agent key"):
        AgentKey.load_or_create(path)

    assert path.read_bytes() == content


@given(st.binary(max_size=100))
def test_a_signature_proves_the_agent_after_it_has_travelled(payload: bytes) -> None:
    travelled = read_envelope(KEY.sign(RESULT, payload).to_bytes(), expected_type=RESULT)

    assert verify_agent(travelled, KEY.public_key) == KEY.agent_id


@given(st.binary(min_size=1, max_size=50), st.data())
def test_changing_any_signed_byte_breaks_the_signature(payload: bytes, data: st.DataObject) -> None:
    signed = KEY.sign(RESULT, payload)
    at, bits = data.draw(st.integers(0, len(payload) - 1)), data.draw(st.integers(1, 255))
    changed = payload[:at] + bytes([payload[at] ^ bits]) + payload[at + 1 :]

    with pytest.raises(SignatureInvalid):
        verify_agent(Envelope(RESULT, changed, signed.signatures), KEY.public_key)


def test_only_exactly_one_good_signature_under_the_agents_own_name_counts() -> None:
    signed = KEY.sign(RESULT, b"x")
    good = signed.signatures[0]
    wrong = [
        Envelope(HEARTBEAT, b"x", signed.signatures),
        Envelope(RESULT, b"x"),
        signed.with_signature(good),
        Envelope(RESULT, b"x", (Signature(OTHER.agent_id, good.sig),)),
        Envelope(RESULT, b"x", (Signature(KEY.agent_id, good.sig[:-1]),)),
        Envelope(RESULT, b"x", (Signature(KEY.agent_id, b""),)),
        Envelope(RESULT, b"x", (Signature(KEY.agent_id, OTHER.sign(RESULT, b"x").signatures[0].sig),)),
        OTHER.sign(RESULT, b"x"),
    ]

    for envelope in wrong:
        with pytest.raises(SignatureInvalid):
            verify_agent(envelope, KEY.public_key)


@pytest.mark.parametrize("public_key", [b"", bytes(31), b"\xff" * 32])
def test_a_pinned_key_that_is_none_is_a_bad_signature_and_no_crash(public_key: bytes) -> None:
    forged = Envelope(RESULT, b"x", (Signature(agent_id(public_key), bytes(64)),))

    with pytest.raises(SignatureInvalid):
        verify_agent(forged, public_key)
