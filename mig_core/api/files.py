"""Files that mig-api reads anew when they change: its copy of the agents' ACL and keys, and an enrolment secret.

A few ``stat`` calls a request; what is new counts when it was read whole, else the one before stays in force and the
log says why. Of an enrolment secret nothing stays in force: whoever empties its file, or takes it away, wants nobody
admitted by what was in it. Nothing here decides what an agent believes.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mig_core.config.server import inline_or_file
from mig_core.domain.acl import read_acl
from mig_core.errors import ConfigurationError, InvalidDocument, MigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mig_core.config.server import ApiSettings
    from mig_core.domain.acl import Acl

log = logging.getLogger(__name__)

T = TypeVar("T")
_Stamp = tuple[tuple[int, int, int, int], ...]


class PlatformFiles:
    """All of them, as the settings name them.

    Raises:
        MigError: one cannot be used.
    """

    def __init__(self, settings: ApiSettings) -> None:
        self._acl = None if settings.acl is None else WatchedFile(settings.acl, acl_of)
        self._keys = None if settings.keys is None else WatchedFile(settings.keys, keyring_digest_of)
        path = settings.enrolment_secret_file
        self._secret = None if path is None else WatchedFile(path, secret_of, otherwise="")

    def acl(self) -> Acl | None:
        """The platform's copy of the agents' ACL; None: it has none."""
        return None if self._acl is None else self._acl()[0]

    def enrolment_secret(self) -> str:
        """That of the settings; empty: there is none, or its file cannot be used."""
        return "" if self._secret is None else self._secret()

    def enrolment_secret_state(self) -> str:
        """``usable``, ``unusable``, or empty where the settings name no file."""
        if self._secret is None:
            return ""
        return "usable" if self._secret() else "unusable"

    def unusable(self) -> int:
        """How many of them are others now, and cannot be used."""
        watched: list[WatchedFile[Any]] = [one for one in (self._acl, self._keys, self._secret) if one is not None]
        for one in watched:
            one()
        return sum(bool(one.problem) for one in watched)

    def digests(self) -> dict[str, str]:
        """Of the copies of ACL and keys, as agents tell theirs; empty where there is no copy."""
        return {
            "acl": "" if self._acl is None else self._acl()[1],
            "keyring": "" if self._keys is None else self._keys(),
        }


class WatchedFile(Generic[T]):
    """What a file, or a folder of files, says now.

    Args:
        path: watched.
        read: reads it whole.
        otherwise: in force while the newest cannot be read; none: the one before.

    Raises:
        MigError: it cannot be read; at a start there is no old one.
    """

    def __init__(self, path: Path, read: Callable[[Path], T], otherwise: T | None = None) -> None:
        self._path = path
        self._read = read
        self._otherwise = otherwise
        self._stamp = _stamp(path)
        self._value = read(path)
        self.problem = ""
        """Why the newest is not used; empty: it is."""

    def __call__(self) -> T:
        """The newest that could be read, or what counts otherwise."""
        stamp = _stamp(self._path)
        # What has nothing in its place is tried again: a moment without descriptors is no change of the file.
        if stamp != self._stamp or (self.problem and self._otherwise is not None):
            self._stamp = stamp
            try:
                self._value = self._read(self._path)
                self.problem = ""
                log.info("%s is read anew", self._path)
            except MigError as error:
                before, self.problem = self.problem, str(error)
                if before == self.problem:
                    pass  # it was said
                elif self._otherwise is not None:
                    self._value = self._otherwise
                    log.error("%s; what was in it before is not in force any more", error)
                else:
                    log.error("the new %s is not used, the one before stays in force: %s", self._path, error)
        return self._value


def acl_of(path: Path) -> tuple[Acl, str]:
    """The ACL in a file, and the file's SHA-256 (what agents tell as ``environment.acl``).

    Raises:
        ConfigurationError: there is none in it.
    """
    try:
        content = path.read_bytes()
        return read_acl(content), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise ConfigurationError(str(path), "acl", f"cannot be read: {error.strerror}") from error
    except InvalidDocument as error:
        raise ConfigurationError(str(path), error.path, error.problem, next_step=error.next_step) from error


def keyring_digest_of(folder: Path) -> str:
    """What agents with exactly these files tell as ``environment.keyring``.

    Raises:
        ConfigurationError: the folder cannot be read.
    """
    try:
        files = [one for one in folder.iterdir() if one.is_file() and not one.name.startswith(".")]
        lines = sorted(hashlib.sha256(one.read_bytes()).hexdigest() for one in files)
    except OSError as error:
        raise ConfigurationError(str(folder), "keys", f"cannot be read: {error.strerror}") from error
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("ascii")).hexdigest()


def secret_of(path: Path) -> str:
    """The enrolment secret in a file.

    Raises:
        ConfigurationError: there is none.
    """
    secret = inline_or_file("enrolment_secret", "", path)
    if not secret:
        raise ConfigurationError(str(path), "enrolment_secret_file", "is empty", next_step="write the secret into it")
    return secret


def _stamp(path: Path) -> _Stamp:
    try:
        inside = sorted(path.iterdir()) if path.is_dir() else []
        found = [one.stat() for one in (path, *inside)]
    except OSError:
        return ()
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found)
