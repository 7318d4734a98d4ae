"""A gpg that waits for what it is to verify is as strict as one begun afterwards, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.envelope import ACTION, Envelope, Signature
from mig_core.errors import SignatureInvalid
from mig_core.pgp import verification
from mig_core.pgp.gnupg import GnupgKeyring, GnupgSigner, stop_agent
from mig_core.pgp.gnupg_program import QUIET, open_gpg
from mig_core.pgp.home import private_home
from mig_core.pgp.verdict import KEYRING, judge
from mig_core.pgp.verification import Ahead, Verification
from mig_core.testing.eventually import eventually
from mig_core.testing.running import alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.testing.keys import InvestigatorKeys

DOCUMENT = Envelope(ACTION, b'{"any": "bytes"}')
PROGRAM = """
import sys, time
from pathlib import Path
from mig_core.pgp.keyring import GnupgKeyring

GnupgKeyring(Path(sys.argv[1])).get_ready()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def document(investigator_keys: InvestigatorKeys) -> tuple[bytes, Signature]:
    """Data, and Alice's signature."""
    envelope = investigator_keys.alice.sign(DOCUMENT)
    return envelope.signed_bytes(), envelope.signatures[0]


@pytest.fixture
def begun(document: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where each gpg that is begun to verify writes its process id."""
    noted, folder = tmp_path / "begun", tmp_path / "bin"
    noted.touch()
    folder.mkdir()
    real = subprocess.run(["sh", "-c", "command -v gpg"], capture_output=True, text=True, check=True).stdout.strip()
    script = f'#!/bin/sh\ncase " $* " in *" --verify "*) echo $$ >> {noted};; esac\nexec {real} "$@"\n'
    (folder / "gpg").write_text(script)
    (folder / "gpg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return noted


@pytest.fixture
def keyring(investigator_keys: InvestigatorKeys, tmp_path: Path) -> GnupgKeyring:
    return investigator_keys.keyring(tmp_path / "keyring")


def pids(begun: Path) -> list[int]:
    return [int(line) for line in begun.read_text().split()]


def waiting(home: Path) -> Verification:
    """A run in a home, as a keyring begins it; it has read everything that it reads before it waits."""
    one = Verification(open_gpg(private_home(home), [*QUIET, *KEYRING]), home)
    eventually(lambda: sleeps(one.pid))
    return one


def sleeps(pid: int) -> bool:
    """Whether gpg itself runs, and waits for something other than the disk."""
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return Path(f"/proc/{pid}/exe").readlink().name.startswith("gpg") and state == "S"


def verdict(one: Verification, data: bytes, signature: Signature) -> str:
    """Who signed, by a run; raises SignatureInvalid."""
    output = one.of(data, signature.sig)
    return judge(output, signature, now=datetime.now(UTC), ahead=timedelta(minutes=5))


def test_the_gpg_that_waits_is_the_one_that_verifies_and_nothing_is_left(
    document: tuple[bytes, Signature],
    begun: Path,
    keyring: GnupgKeyring,
    investigator_keys: InvestigatorKeys,
    tmp_path: Path,
) -> None:
    data, signature = document
    files = sorted(path.name for path in (tmp_path / "keyring").iterdir())
    keyring.get_ready()
    keyring.get_ready()
    (pid,) = eventually(lambda: pids(begun))

    signer = keyring.verify(data, signature)

    assert signer == investigator_keys.alice.fingerprint
    assert pids(begun) == [pid] and not alive(pid)
    assert sorted(path.name for path in (tmp_path / "keyring").iterdir()) == files


def test_what_it_refuses_is_looked_at_by_a_new_one_and_refused_in_the_same_words(
    document: tuple[bytes, Signature], begun: Path, keyring: GnupgKeyring, investigator_keys: InvestigatorKeys
) -> None:
    data, signature = document
    said = []

    for get_ready in (keyring.rest, keyring.get_ready):
        get_ready()
        with pytest.raises(SignatureInvalid) as refusal:
            keyring.verify(data + b"!", signature)
        said.append(str(refusal.value))

    assert said[0] == said[1]
    assert len(pids(begun)) == 3


def test_one_that_died_is_not_missed(
    document: tuple[bytes, Signature], keyring: GnupgKeyring, investigator_keys: InvestigatorKeys, begun: Path
) -> None:
    data, signature = document
    keyring.get_ready()
    (pid,) = eventually(lambda: pids(begun))
    os.kill(pid, 9)
    eventually(lambda: not alive(pid))

    assert keyring.verify(data, signature) == investigator_keys.alice.fingerprint
    assert len(pids(begun)) == 2


def test_one_that_was_stopped_is_given_up_and_a_new_one_asked(
    document: tuple[bytes, Signature],
    keyring: GnupgKeyring,
    investigator_keys: InvestigatorKeys,
    begun: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, signature = document
    monkeypatch.setattr("mig_core.pgp.keyring.MAX_VERIFY_SECONDS", 0.1)
    keyring.get_ready()
    (pid,) = eventually(lambda: pids(begun))
    os.kill(pid, signal.SIGSTOP)

    assert keyring.verify(data, signature) == investigator_keys.alice.fingerprint
    assert len(pids(begun)) == 2 and not alive(pid)


def test_one_that_has_waited_for_too_long_is_not_used(
    document: tuple[bytes, Signature],
    keyring: GnupgKeyring,
    investigator_keys: InvestigatorKeys,
    begun: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, signature = document
    keyring.get_ready()
    (pid,) = eventually(lambda: pids(begun))
    monkeypatch.setattr(verification, "MAX_WAIT_SECONDS", -1.0)

    assert keyring.verify(data, signature) == investigator_keys.alice.fingerprint
    assert len(pids(begun)) == 2 and not alive(pid)


def test_it_ends_when_the_keys_change_and_when_the_keyring_rests(
    keyring: GnupgKeyring, investigator_keys: InvestigatorKeys, begun: Path
) -> None:
    stranger = investigator_keys.stranger

    keyring.get_ready()
    eventually(lambda: len(pids(begun)) == 1)
    keyring.add(stranger.public_key())
    after_a_change = [alive(pid) for pid in pids(begun)]
    keyring.get_ready()
    eventually(lambda: len(pids(begun)) == 2)
    keyring.rest()

    assert after_a_change == [False]
    assert not any(alive(pid) for pid in pids(begun))
    keyring.rest()


def test_several_at_once_share_one_that_waits(
    document: tuple[bytes, Signature], keyring: GnupgKeyring, investigator_keys: InvestigatorKeys
) -> None:
    data, signature = document
    keyring.get_ready()

    with ThreadPoolExecutor(4) as pool:
        signers = list(pool.map(lambda _: keyring.verify(data, signature), range(8)))

    assert signers == [investigator_keys.alice.fingerprint] * 8


def test_it_does_not_outlive_a_process_that_was_killed(begun: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-P", "-c", PROGRAM, str(tmp_path / "keyring")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        (pid,) = eventually(lambda: pids(begun))
        assert alive(pid)

        owner.kill()

        eventually(lambda: not alive(pid))


def test_a_key_that_came_while_it_waited_counts(
    document: tuple[bytes, Signature], investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    data, signature = document
    GnupgKeyring(tmp_path / "keyring")
    one = waiting(tmp_path / "keyring")

    GnupgKeyring(tmp_path / "keyring").add(investigator_keys.alice.public_key())

    assert verdict(one, data, signature) == investigator_keys.alice.fingerprint


def test_a_revocation_that_came_while_it_waited_counts(investigator_keys: InvestigatorKeys, tmp_path: Path) -> None:
    data, signature = investigator_keys.by_revoked
    GnupgKeyring(tmp_path / "keyring").add(investigator_keys.revoked_public_before)
    one, other = waiting(tmp_path / "keyring"), waiting(tmp_path / "keyring")
    assert verdict(one, data, signature) == investigator_keys.revoked

    GnupgKeyring(tmp_path / "keyring").add(investigator_keys.public_key(investigator_keys.revoked))

    with pytest.raises(SignatureInvalid, match="revoked"):
        verdict(other, data, signature)


def test_a_keyring_that_took_the_others_place_while_it_waited_counts(
    document: tuple[bytes, Signature], investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    data, signature = document
    investigator_keys.keyring(tmp_path / "keyring")
    one = waiting(tmp_path / "keyring")

    (tmp_path / "keyring").rename(tmp_path / "old")
    GnupgKeyring(tmp_path / "keyring")

    with pytest.raises(SignatureInvalid, match="not in the keyring"):
        verdict(one, data, signature)


@pytest.fixture
def expiring(tmp_path: Path) -> Iterator[GnupgSigner]:
    """The signer of a key that was made an hour ago and expires in a second."""
    home = private_home(tmp_path / "expiring")
    then = datetime.now(UTC) - timedelta(hours=1)
    words = ["gpg", "--homedir", str(home), f"--faked-system-time={then:%Y%m%dT%H%M%S}!", "--batch", "--passphrase="]
    subprocess.run([*words, "--quick-generate-key", "Eve", "ed25519", "sign", "seconds=3601"], check=True, timeout=60)
    fingerprint = subprocess.run(
        [*words, "--with-colons", "--list-keys"], check=True, timeout=60, capture_output=True, text=True
    ).stdout
    key = next(line.split(":")[9] for line in fingerprint.split("\n") if line.startswith("fpr:"))
    (tmp_path / "signature").write_bytes(
        subprocess.run(
            [*words, "--detach-sign", f"--local-user={key}"], input=b"data", check=True, timeout=60, capture_output=True
        ).stdout
    )
    yield GnupgSigner(key, home)
    stop_agent(home)


def test_a_key_that_expired_while_it_waited_is_expired(expiring: GnupgSigner, tmp_path: Path) -> None:
    ring = GnupgKeyring(tmp_path / "keyring")
    ring.add(expiring.public_key())
    one = waiting(tmp_path / "keyring")
    signature = Signature(expiring.fingerprint, (tmp_path / "signature").read_bytes())

    eventually(lambda: refused_as_expired(ring, b"data", signature), pause=0.1)

    with pytest.raises(SignatureInvalid, match="the key has expired"):
        verdict(one, b"data", signature)


def refused_as_expired(keyring: GnupgKeyring, data: bytes, signature: Signature) -> bool:
    try:
        keyring.verify(data, signature)
    except SignatureInvalid as error:
        return error.problem == "the key has expired"
    return False


@pytest.mark.parametrize("which", ["expired", "expired_subkey", "revoked", "stranger", "short", "weak", "tampered"])
def test_what_nobody_may_accept_it_does_not_accept(
    document: tuple[bytes, Signature], which: str, investigator_keys: InvestigatorKeys, tmp_path: Path
) -> None:
    keys, data = investigator_keys, b"data"
    ring = GnupgKeyring(tmp_path / "keyring")
    if which in ("expired", "expired_subkey"):
        fingerprint = getattr(keys, which)
        ring.add(keys.public_key(fingerprint))
        signature = keys.odd_signature(fingerprint, data, past=True)
    elif which == "revoked":
        data, signature = keys.by_revoked
        ring.add(keys.public_key(keys.revoked))
    elif which in ("short", "weak"):
        option = "--default-sig-expire=1d" if which == "short" else "--digest-algo=SHA1"
        ring.add(keys.public_key(keys.old))
        signature = keys.odd_signature(keys.old, data, option, past=True)
    else:
        data, signature = document
        ring.add((keys.bob if which == "stranger" else keys.alice).public_key())
        data += b"!" if which == "tampered" else b""
    one = waiting(tmp_path / "keyring")

    with pytest.raises(SignatureInvalid):
        verdict(one, data, signature)


def test_one_that_is_begun_while_the_others_are_ended_does_not_wait() -> None:
    making, go = threading.Event(), threading.Event()
    ended: list[str] = []

    class Run:
        usable = True

        def give_up(self) -> None:
            ended.append("ended")

    def make() -> Verification:
        making.set()
        go.wait(60)
        return Run()  # type: ignore[return-value]

    ahead = Ahead(make)
    thread = threading.Thread(target=ahead.get_ready)
    thread.start()
    assert making.wait(60)
    ahead.drop()
    go.set()
    thread.join()

    assert ended == ["ended"]
    assert ahead.take() is None
