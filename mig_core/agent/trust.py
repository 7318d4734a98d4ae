"""Whom the agent believes now: keyring and ACL as their files are, read anew when those change, without a restart.

Looked at before each decision (a few ``stat`` calls), so that a key whose file was removed is believed by no command
that still waits. What is new must pass what it would have to pass at a start: owners and permissions, and it is read
whole before any of it counts. What does not pass leaves the old in force, file by file, and is said in the log and in
the heartbeat; the new is tried again when it changes.

A removal always counts: of a file that is gone nothing is believed, whatever else is wrong.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from typing import TYPE_CHECKING

from mig_core.agent.ownership import fault_of, owners_of
from mig_core.domain.acl import MAX_ACL_BYTES, Acl, read_acl
from mig_core.errors import ConfigurationError, InvalidDocument, MigError, SignatureInvalid
from mig_core.pgp.keyring import GnupgKeyring, KeyFiles, fingerprints_in, read_key_files, says_nothing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from mig_core.config.agent import TrustSettings
    from mig_core.domain.document import JSON
    from mig_core.domain.envelope import Signature
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.base import KeyInfo, Keyring

log = logging.getLogger(__name__)

ACL, KEYS = "trust.acl", "trust.keys"
"""Under these names the heartbeat says what of the new is not used."""
_GONE = (0, 0, 0, 0)
_OLD = "the one before stays in force"

_Stamp = tuple[tuple[str, tuple[int, int, int, int]], ...]


def acl_digest(content: bytes) -> str:
    """How an ACL is named to the platform: the SHA-256 of its file, as ``sha256sum`` prints it."""
    return hashlib.sha256(content).hexdigest()


def keyring_digest(contents: Mapping[str, bytes]) -> str:
    """How the files of a keyring are named: ``sha256sum keys/* | cut -c1-64 | sort | sha256sum``."""
    lines = sorted(hashlib.sha256(content).hexdigest() for content in contents.values())
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("ascii")).hexdigest()


def read_acl_bytes(path: Path) -> bytes:
    """The ACL's file.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():  # who opens a pipe waits until somebody writes
            raise ConfigurationError(str(path), "", "is no regular file", next_step="put the ACL there as a file")
        with path.open("rb") as file:
            content = file.read(MAX_ACL_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            str(path), "", f"the ACL cannot be read: {error.strerror}", next_step="write one; see docs/agent.md"
        ) from error
    if len(content) > MAX_ACL_BYTES:
        raise ConfigurationError(str(path), "", f"is larger than {MAX_ACL_BYTES} bytes")
    return content


def parse_acl(path: Path, content: bytes) -> Acl:
    """The ACL in its file's content.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return read_acl(content)
    except InvalidDocument as error:
        raise ConfigurationError(str(path), error.path, error.problem) from error


class _Some:
    """A keyring of which only some keys are believed: what is left while no new one can be made."""

    def __init__(self, keyring: Keyring, believed: Collection[str]) -> None:
        self.keyring = keyring
        self._believed = frozenset(believed)

    def add(self, armored: bytes) -> tuple[KeyInfo, ...]:
        return self.keyring.add(armored)

    def keys(self) -> tuple[KeyInfo, ...]:
        return tuple(key for key in self.keyring.keys() if key.fingerprint in self._believed)  # noqa: SIM118  a method

    def verify(self, data: bytes, signature: Signature) -> Fingerprint:
        signer = self.keyring.verify(data, signature)
        if signer not in self._believed:
            raise SignatureInvalid(signer, "the key was changed or removed here, and no new keyring can be made")
        return signer

    def get_ready(self) -> None:
        self.keyring.get_ready()

    def rest(self) -> None:
        self.keyring.rest()


class Trust:
    """Keyring and ACL in force. Thread-safe.

    Args:
        home: the keyring's, which belongs to it alone.
        settings: where keys and ACL are, and who may own them.

    Raises:
        ConfigurationError: they cannot be used; at a start nothing old could be.
    """

    def __init__(self, home: Path, settings: TrustSettings) -> None:
        self._home = home
        self._settings = settings
        self._owners = owners_of(settings)
        self._door = threading.Condition()
        self._inside = 0
        self._looking = threading.Lock()
        self._seen: _Stamp | None = self._stamp()
        content = read_acl_bytes(settings.acl)
        self._acl, self._acl_digest = parse_acl(settings.acl, content), acl_digest(content)
        self._files = read_key_files(settings.keys)
        self._keyring_digest = keyring_digest(self._files.contents)
        made = GnupgKeyring.from_files(home, self._files)
        self._unusable = made.unusable
        self._keyring: Keyring = made
        self._problems: dict[str, str] = {}

    @contextlib.contextmanager
    def in_force(self) -> Iterator[tuple[Keyring, Acl]]:
        """Keyring and ACL, the newest, for one decision; they do not change before it is made."""
        self.look()
        with self._door:
            self._inside += 1
            keyring, acl = self._keyring, self._acl
        try:
            yield keyring, acl
        finally:
            with self._door:
                self._inside -= 1
                self._door.notify_all()

    def look(self) -> bool:
        """Reads what changed, if anything did; returns whether what is in force, or what is wrong, is another now."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        with self._looking:
            if stamp == self._seen:
                return False
            before = (self.digests(), dict(self._problems))
            problems: dict[str, str] = {}
            self._look_at_acl(problems)
            again = self._look_at_keys(problems)
            for name, problem in problems.items():
                if self._problems.get(name) != problem:
                    log.error("%s: the new one is not used, %s: %s", name, _OLD, problem)
            self._problems = problems
            self._seen = None if again else stamp
            changed = (self.digests(), problems) != before
            if changed and not problems:
                log.info("keys and ACL are read anew: %d keys, %s", len(self._keyring.keys()), self.digests())
            return changed

    def get_ready(self) -> None:
        """A command may come soon: see :meth:`mig_core.pgp.base.Keyring.get_ready`."""
        with self._door:
            self._keyring.get_ready()

    def rest(self) -> None:
        """None is expected soon."""
        with self._door:
            self._keyring.rest()

    def digests(self) -> dict[str, str]:
        """What is in force, by :func:`acl_digest` and :func:`keyring_digest`."""
        return {"acl": self._acl_digest, "keyring": self._keyring_digest}

    def facts(self) -> dict[str, JSON]:
        """What the platform is told of it: :meth:`digests`, as environment facts."""
        return dict(self.digests())

    def problems(self) -> dict[str, str]:
        """What of the files is not used, and why."""
        unusable = {f"keys: {name}"[:200]: why for name, why in self._unusable.items()}
        return unusable | {name: f"the new one is not used, {_OLD}: {why}" for name, why in self._problems.items()}

    def count(self) -> int:
        """How many keys are believed."""
        return len(self._keyring.keys())

    def _look_at_acl(self, problems: dict[str, str]) -> None:
        path = self._settings.acl
        try:
            if fault := fault_of(path, self._owners):
                raise ConfigurationError(str(fault[0]), "", fault[1])
            content = read_acl_bytes(path)
            acl = parse_acl(path, content)
        except (MigError, OSError) as error:  # OSError: a folder on the way cannot be looked into
            problems[ACL] = str(error)
            return
        with self._door:
            self._acl, self._acl_digest = acl, acl_digest(content)

    def _look_at_keys(self, problems: dict[str, str]) -> bool:
        """Returns whether it must be tried again though nothing changes."""
        try:
            files = self._effective(read_key_files(self._settings.keys), problems)
        except (ConfigurationError, OSError) as error:
            problems[KEYS] = str(error)
            return False
        if files == self._files and not isinstance(self._keyring, _Some):
            return False
        with self._door:
            # gpg reads the home while it decides; the new one takes the place of the old when nobody does.
            self._door.wait_for(lambda: not self._inside)
            try:
                made = GnupgKeyring.from_files(self._home, files)
            except (MigError, OSError) as error:
                problems[KEYS] = str(error)
                self._narrow(files)
                return True
            self._keyring.rest()
            self._keyring, self._unusable, self._files = made, made.unusable, files
            self._keyring_digest = keyring_digest(files.contents)
        return False

    def _effective(self, new: KeyFiles, problems: dict[str, str]) -> KeyFiles:
        """The new files; of each that cannot be used what was in force before, if it is there at all."""
        folder, old = self._settings.keys, self._files.contents
        folders = fault_of(folder, self._owners)
        contents: dict[str, bytes] = {}
        unreadable = dict(new.unreadable)
        for name in {*new.contents, *new.unreadable}:
            content = new.contents.get(name, b"")
            fault = folders or fault_of(folder / name, self._owners)
            why = f"{fault[0]}: {fault[1]}" if fault else new.unreadable.get(name, "")
            if not why and content != old.get(name) and name in old:
                why = says_nothing(content)
            if not why:
                contents[name] = content
            elif name in old:
                contents[name] = old[name]
                unreadable.pop(name, None)
            if fault or (why and name in old):
                problems.setdefault(KEYS, f"{name}: {why}"[:500])
        return KeyFiles(dict(sorted(contents.items())), unreadable)

    def _narrow(self, files: KeyFiles) -> None:
        """No new keyring can be had: of the old one the keys count whose files are what they were."""
        same = {name for name, content in files.contents.items() if self._files.contents.get(name) == content}
        believed = {one for name in same for one in fingerprints_in(files.contents[name])}
        changed = files.contents.keys() - same
        believed -= {one for name in changed for one in fingerprints_in(files.contents[name])}
        whole = self._keyring.keyring if isinstance(self._keyring, _Some) else self._keyring
        self._keyring = _Some(whole, believed)

    def _stamp(self) -> _Stamp:
        folder = self._settings.keys
        try:
            names = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
        except OSError:
            names = []
        paths = (self._settings.acl, folder, *(folder / name for name in names))
        return tuple((str(path), _stat(path)) for path in paths)


def _stat(path: Path) -> tuple[int, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return _GONE
    # A change of owner or mode changes the last one.
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
