"""The keyring that verifies: public keys in a GnuPG home of their own, without gpg-agent and without network.

Keys are looked at one by one before gpg gets them (``certificates``, ``selection``), so that none takes another away
and each that cannot be used is said with its reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.envelope import MAX_SIGNATURE_BYTES
from mig_core.domain.times import CLOCK_TOLERANCE
from mig_core.errors import ConfigurationError, InvalidDocument, SignatureInvalid
from mig_core.pgp.certificates import read_key_block
from mig_core.pgp.gnupg_program import QUIET, Output, known_algorithms, listed_keys, open_gpg
from mig_core.pgp.home import private_home
from mig_core.pgp.selection import KEPT_BY_OWNER, Selection, select
from mig_core.pgp.signature_packet import check_signature_form
from mig_core.pgp.verdict import KEYRING, judge, shown
from mig_core.pgp.verification import MAX_VERIFY_SECONDS, Ahead, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mig_core.domain.envelope import Signature
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.base import KeyInfo
    from mig_core.pgp.certificates import Certificate

logger = logging.getLogger(__name__)

MAX_KEY_BYTES = 1 << 20
"""Largest block of public keys that is looked at."""
_SOURCES = "mig-sources"
"""File in a home that was made from a directory: the digest of what it was made from."""
_PROBE_BYTES = 64 << 10


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The files of a directory of public keys."""

    contents: Mapping[str, bytes]
    """Name -> what is in it."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Name -> why it is not there."""


class GnupgKeyring:
    """Public keys in a GnuPG home (made with mode 0700). Thread-safe; one process per home.

    Args:
        home: belongs to this keyring alone.
        ahead: how far in the future a signature may be dated.
        clock: the time here; gpg looks at the machine's clock itself.
    """

    def __init__(
        self, home: Path, *, ahead: timedelta = CLOCK_TOLERANCE, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._home = private_home(home)
        self._tolerance = ahead
        self._clock = clock
        self._gpg = open_gpg(self._home, [*QUIET, *KEYRING])
        self._gpg.list_keys()  # lets gpg make its files, so that no verification has to
        self._ahead = Ahead(self._begin)
        self._adding = threading.Lock()
        self._early: list[Certificate] = []
        self.unusable: Mapping[str, str] = {}
        """Of a keyring made from a directory: file (and key) -> why it is not used."""

    @classmethod
    def from_directory(cls, home: Path, keys_dir: Path, *, clock: Callable[[], datetime] = utc_now) -> GnupgKeyring:
        """A keyring of exactly the keys in a directory's files; what ``home`` held before is forgotten.

        It is made beside ``home`` and takes its place when it is whole. When none can be made (a full disk), the one
        before goes on being used if it was made from the very same files. What is not used is logged with its reason.

        Raises:
            ConfigurationError: the directory cannot be read, or no keyring can be had now.
        """
        return cls.from_files(home, read_key_files(keys_dir), clock=clock)

    @classmethod
    def from_files(cls, home: Path, files: KeyFiles, *, clock: Callable[[], datetime] = utc_now) -> GnupgKeyring:
        """As :meth:`from_directory`, of files that were read already.

        Raises:
            ConfigurationError: no keyring can be had now.
        """
        contents, unreadable = files.contents, files.unreadable
        sources = _digest(contents)
        blocks = {name: read_key_block(content) for name, content in contents.items()}
        selection = select(blocks, present=(), algorithms=known_algorithms(), now=clock())
        new = home.with_name(home.name + ".new")
        try:
            shutil.rmtree(new, ignore_errors=True)
            made = cls(new, clock=clock)
            made._import(selection)
            (new / _SOURCES).write_text(sources, encoding="ascii")
            _replace(home, new)
        except (OSError, ConfigurationError) as error:
            shutil.rmtree(new, ignore_errors=True)
            if _made_from(home) != sources:
                raise ConfigurationError(
                    str(home), "", f"no keyring can be made: {error}", next_step="make room on its disk"
                ) from error
            logger.error("no new keyring can be made, the one made of the same files before is used: %s", error)
        keyring = cls(home, clock=clock)
        keyring._early = selection.early
        keyring.unusable = {**unreadable, **selection.unusable}
        for name, why in keyring.unusable.items():
            logger.warning("%s is skipped: %s", name, why)
        return keyring

    def add(self, armored: bytes) -> tuple[KeyInfo, ...]:
        """See :meth:`mig_core.pgp.base.Keyring.add`. Third parties' signatures are left out; revocations are kept."""
        if len(armored) > MAX_KEY_BYTES:
            raise InvalidDocument("public key", f"is larger than {MAX_KEY_BYTES} bytes")
        block = read_key_block(armored)
        export = "gpg --armor --export FINGERPRINT"
        if block.secret:
            raise InvalidDocument("public key", KEPT_BY_OWNER, next_step=f"export the public key instead: {export}")
        with self._adding:
            present = {key.fingerprint for key in self.keys()}
            selection = select({"": block}, present=present, algorithms=known_algorithms(), now=self._clock())
            taken = self._import(selection)
            wanted = {one.fingerprint for one in selection.usable}
            added = tuple(key for key in taken if key.fingerprint in wanted)
        if not added:
            why = "; ".join(f"{name}: {why}" if name else why for name, why in selection.unusable.items())
            raise InvalidDocument("public key", f"is not usable: {why}", next_step=export)
        for name, why in selection.unusable.items():
            logger.warning("a key beside others is skipped: %s: %s", name, why)
        return added

    def keys(self) -> tuple[KeyInfo, ...]:
        """See :meth:`mig_core.pgp.base.Keyring.keys`."""
        return tuple(key for key, _, _ in listed_keys(self._gpg.list_keys()))

    def verify(self, data: bytes, signature: Signature) -> Fingerprint:
        """See :meth:`mig_core.pgp.base.Keyring.verify`."""
        if len(signature.sig) > MAX_SIGNATURE_BYTES:
            raise SignatureInvalid(shown(signature), f"is larger than {MAX_SIGNATURE_BYTES} bytes")
        try:
            check_signature_form(signature.sig)
        except ValueError as error:
            raise SignatureInvalid(shown(signature), str(error)) from None
        now = self._clock()
        self._take_early(now)
        waiting = self._ahead.take()
        if waiting is not None:
            # Its yes is as good as any; with everything else that it may say a new one has the last word.
            with contextlib.suppress(SignatureInvalid, OSError):
                result = waiting.of(data, signature.sig, within=MAX_VERIFY_SECONDS)
                return judge(result, signature, now=now, ahead=self._tolerance)
        result = self._begin().of(data, signature.sig)
        return judge(result, signature, now=now, ahead=self._tolerance)

    def get_ready(self) -> None:
        """See :meth:`mig_core.pgp.base.Keyring.get_ready`. A gpg waits until it is used, or the keys change."""
        self._ahead.get_ready()

    def rest(self) -> None:
        """See :meth:`mig_core.pgp.base.Keyring.rest`."""
        self._ahead.drop()

    def _begin(self) -> Verification:
        return Verification(self._gpg, self._home)

    def _take_early(self, now: datetime) -> None:
        """Keys that were of the future when they were read: the clock may have been put right since."""
        with self._adding:
            due = [one for one in self._early if one.created is not None and one.created <= now]
            if due:
                self._early = [one for one in self._early if one not in due]
                self._import(Selection(usable=due))

    def _import(self, selection: Selection) -> tuple[KeyInfo, ...]:
        """All keys, with those selected among them; what gpg does not take becomes unusable.

        Raises:
            OSError: the home cannot be written.
        """
        result = self._import_bytes(b"".join(one.data for one in selection.usable))
        keys = self._missing(selection)
        for one in keys:
            result = self._import_bytes(one.data)  # one that gpg chokes on takes those behind it away
        missing = self._missing(selection) if keys else []
        if missing:
            self._probe()
        for one in missing:
            selection.refuse(one.fingerprint, result.complaint() or "gpg does not take it")
        for revocation in selection.revocations:
            self._import_bytes(revocation)
        return self.keys()

    def _missing(self, selection: Selection) -> list[Certificate]:
        there = {key.fingerprint for key in self.keys()}
        return [one for one in selection.usable if one.fingerprint not in there]

    def _import_bytes(self, data: bytes) -> Output:
        if not data:
            return Output(None)
        try:
            result: Output = self._gpg.import_keys(data)
        finally:
            self._ahead.drop()
        return result

    def _probe(self) -> None:
        with tempfile.NamedTemporaryFile(dir=self._home, prefix="probe-") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())


def read_key_files(folder: Path) -> KeyFiles:
    """The files in a directory of keys, hidden ones aside.

    Raises:
        ConfigurationError: the directory cannot be read.
    """
    contents: dict[str, bytes] = {}
    problems: dict[str, str] = {}
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise ConfigurationError(
            str(folder), "", f"cannot be read: {error.strerror}", next_step="put the investigators' keys there"
        ) from error
    for path in files:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_KEY_BYTES + 1)
        except OSError as error:
            problems[path.name] = f"cannot be read: {error.strerror}"
            continue
        if len(content) > MAX_KEY_BYTES:
            problems[path.name] = f"is larger than {MAX_KEY_BYTES} bytes"
        else:
            contents[path.name] = content
    return KeyFiles(contents, problems)


def fingerprints_in(content: bytes) -> frozenset[str]:
    """The keys in a file, whatever they are worth; empty for one that nothing can be read of."""
    block = read_key_block(content)
    return frozenset() if block.secret else frozenset(one.fingerprint for one in block.certificates if one.fingerprint)


def says_nothing(content: bytes) -> str:
    """Why nothing at all can be taken from a key file, such as one that is half written; empty: something can."""
    block = read_key_block(content)
    if block.secret:
        return KEPT_BY_OWNER
    return "" if block.certificates or block.revocations else block.damage or "has no OpenPGP public key in it"


def _digest(contents: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256()
    for content in contents.values():
        whole.update(hashlib.sha256(content).digest())
    return whole.hexdigest()


def _made_from(home: Path) -> str:
    try:
        return (home / _SOURCES).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _replace(home: Path, new: Path) -> None:
    """Puts a whole home in the place of the one before."""
    old = home.with_name(home.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        os.replace(home, old)
    os.replace(new, home)
    shutil.rmtree(old, ignore_errors=True)
