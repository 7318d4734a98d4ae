"""mig-api's keyring gets ready for the next signature, and is as strict then."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from mig_core.api import keys as api_keys
from mig_core.api.keys import InvestigatorKeys
from mig_core.domain.envelope import ACTION, Envelope
from mig_core.errors import SignatureInvalid
from mig_core.pgp.keyring import GnupgKeyring
from mig_core.store.rows import Investigator, Permission
from mig_core.testing.eventually import eventually
from mig_core.testing.running import verifying

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.domain.ids import Fingerprint
    from mig_core.store.base import Investigators
    from mig_core.testing.keys import InvestigatorKeys as SampleKeys


class Book:
    """The store's investigators: one of them."""

    def __init__(self, one: Investigator) -> None:
        self.one = one

    async def get(self, fingerprint: Fingerprint) -> Investigator:
        assert fingerprint == self.one.fingerprint
        return self.one


def investigator(fingerprint: Fingerprint, public_key: bytes) -> Investigator:
    return Investigator(
        fingerprint=fingerprint,
        name="Trudy",
        public_key=public_key,
        permissions=frozenset(Permission),
        active=True,
        created_at=datetime.now(UTC),
    )


async def soon(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not look():
            await asyncio.sleep(0.02)


def test_a_gpg_waits_for_the_next_signature_and_a_revoked_key_is_revoked_for_it(
    investigator_keys: SampleKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, signature = investigator_keys.by_revoked
    monkeypatch.setattr(Envelope, "signed_bytes", lambda _self: data)
    envelope = Envelope(ACTION, b"", (signature,))
    book = Book(investigator(investigator_keys.revoked, investigator_keys.revoked_public_before))
    keys = InvestigatorKeys(cast("Investigators", book), GnupgKeyring, tmp_path)

    def waiting() -> list[int]:
        return [pid for home in tmp_path.iterdir() for pid in verifying(home)]

    async def story() -> list[Investigator]:
        found = [await keys.signer(envelope, signature, None)]
        await soon(lambda: bool(waiting()))
        found.append(await keys.signer(envelope, signature, None))
        await soon(lambda: bool(waiting()))
        book.one = investigator(investigator_keys.revoked, investigator_keys.public_key(investigator_keys.revoked))
        with pytest.raises(SignatureInvalid, match="revoked"):
            await keys.signer(envelope, signature, None)
        return found

    assert [one.name for one in asyncio.run(story())] == ["Trudy", "Trudy"]
    keys.close()
    assert list(tmp_path.iterdir()) == []


def test_it_rests_when_nobody_signs(
    investigator_keys: SampleKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Noting(GnupgKeyring):
        def get_ready(self) -> None:
            super().get_ready()
            told.append(f"{len(eventually(lambda: verifying(self._home)))} waiting")

        def rest(self) -> None:
            super().rest()
            told.append(f"{len(verifying(self._home))} waiting")

    alice = investigator_keys.alice
    envelope = alice.sign(Envelope(ACTION, b"{}"))
    monkeypatch.setattr(api_keys, "_REST_SECONDS", 0.1)
    book = Book(investigator(alice.fingerprint, alice.public_key()))
    keys = InvestigatorKeys(cast("Investigators", book), Noting, tmp_path)

    async def story() -> None:
        await keys.signer(envelope, envelope.signatures[0], None)
        await soon(lambda: len(told) == 2)

    asyncio.run(story())
    assert told == ["1 waiting", "0 waiting"]
    keys.close()


def test_a_thread_that_comes_late_begins_nothing(investigator_keys: SampleKeys, tmp_path: Path) -> None:
    alice = investigator_keys.alice
    envelope = alice.sign(Envelope(ACTION, b"{}"))
    book = Book(investigator(alice.fingerprint, alice.public_key()))
    keys = InvestigatorKeys(cast("Investigators", book), GnupgKeyring, tmp_path)

    async def story() -> list[int]:
        asyncio.get_running_loop().set_default_executor(pool)
        await keys.signer(envelope, envelope.signatures[0], None)
        (home,) = tmp_path.iterdir()
        pool.submit(go.wait, 60)  # the only thread is busy when the keyring should get ready
        await soon(lambda: pool._work_queue.qsize() > 0)
        keys.close()
        go.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        return verifying(home)

    go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        assert asyncio.run(story()) == []
