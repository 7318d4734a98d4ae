"""Signing with a gpg that was begun before: the same signature, the same errors, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.client import signing_ahead
from mig_core.client.signing_ahead import SignerAhead
from mig_core.domain.envelope import Envelope, Signature
from mig_core.domain.ids import Fingerprint
from mig_core.errors import ConfigurationError
from mig_core.pgp.gnupg import GnupgKeyring, GnupgSigner, export_public, generate_key, stop_agent
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = "0123456789ABCDEF0123456789ABCDEF01234567"
PROGRAM = """
import base64, json, os, sys
from pathlib import Path
from mig_core.client import signing_ahead
from mig_core.domain.envelope import Envelope
from mig_core.errors import SignatureInvalid

home, fingerprint, what = sys.argv[1:]
signing_ahead.begin(fingerprint, Path(home))
(begun,) = signing_ahead._begun.values()
pid = begun.pid
said = {"pid": pid}
if what == "terminated":
    print(json.dumps(said), flush=True)
    os.kill(os.getpid(), 15)
if what == "kill":
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
try:
    if what != "unused":
        signed = signing_ahead.SignerAhead(fingerprint, Path(home)).sign(Envelope("text/plain", b"hello"))
        said["signature"] = base64.b64encode(signed.signatures[-1].sig).decode()
        said["left"] = len(signing_ahead._begun)
except SignatureInvalid as error:
    said["problem"], said["next_step"] = str(error), error.next_step
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with one key."""
    folder = tmp_path_factory.mktemp("ahead") / "gnupg"
    generate_key(folder, "Alice", "alice@example.invalid")
    yield folder
    stop_agent(folder)


@pytest.fixture(scope="module")
def fingerprint(home: Path) -> Fingerprint:
    """The key's."""
    from mig_core.pgp.gnupg import secret_keys

    return secret_keys(home)[0].fingerprint


def ask(home: Path, fingerprint: str, what: str = "") -> dict[str, Any]:
    """What the program says."""
    argv = [sys.executable, "-P", "-c", PROGRAM, str(home), fingerprint, what]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == (-signal.SIGTERM if what == "terminated" else 0), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check(home: Path, tmp_path: Path, fingerprint: Fingerprint, signature: str) -> None:
    """Whether whoever has the key accepts the signature."""
    import base64

    keyring = GnupgKeyring(tmp_path / "keyring")
    keyring.add(export_public(home, fingerprint))
    data = Envelope("text/plain", b"hello").signed_bytes()
    assert keyring.verify(data, Signature(fingerprint, base64.b64decode(signature))) == fingerprint


def test_it_signs_what_everybody_accepts_once_and_has_ended(
    home: Path, fingerprint: Fingerprint, tmp_path: Path
) -> None:
    said = ask(home, fingerprint)

    assert said["left"] == 0
    assert not alive(said["pid"])
    check(home, tmp_path, fingerprint, said["signature"])


def test_a_key_that_cannot_sign_is_the_same_error(home: Path) -> None:
    with pytest.raises(Exception, match="no secret key") as expected:
        GnupgSigner(NOBODY, home).sign(Envelope("text/plain", b"hello"))

    said = ask(home, NOBODY)

    assert said["problem"] == str(expected.value)
    assert said["next_step"] == expected.value.next_step  # type: ignore[attr-defined]


def test_one_that_was_killed_is_done_without(home: Path, fingerprint: Fingerprint, tmp_path: Path) -> None:
    said = ask(home, fingerprint, "kill")

    check(home, tmp_path, fingerprint, said["signature"])


def test_one_that_was_not_used_ends_with_the_program(home: Path, fingerprint: Fingerprint) -> None:
    said = ask(home, fingerprint, "unused")

    assert not alive(said["pid"])


def test_one_that_was_not_used_ends_with_the_program_that_is_terminated(home: Path, fingerprint: Fingerprint) -> None:
    said = ask(home, fingerprint, "terminated")

    assert not alive(said["pid"])


def test_one_that_is_given_up_never_sees_the_end_of_its_input_and_asks_for_no_passphrase(
    home: Path, fingerprint: Fingerprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = GnupgSigner(fingerprint, home).begin()
    stdin, kill = begun._run.stdin, begun._run.kill
    assert stdin is not None
    ended_before: list[bool] = []

    def noted_kill() -> None:
        ended_before.append(stdin.closed)
        kill()

    monkeypatch.setattr(begun._run, "kill", noted_kill)

    begun.give_up()

    assert ended_before == [False]
    assert stdin.closed and not alive(begun.pid)


def test_nothing_is_begun_where_there_is_no_gpg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    signing_ahead.begin(NOBODY, tmp_path)

    assert not signing_ahead._begun
    with pytest.raises(ConfigurationError, match="not installed"):
        SignerAhead(Fingerprint(NOBODY), tmp_path).sign(Envelope("text/plain", b"hello"))
