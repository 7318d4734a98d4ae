"""Runs the ``gpg`` program and reads what it says: the only file that does.

What gpg says of a signature or a key is read from its status lines and listings as bytes. The formats are those of
GnuPG's ``doc/DETAILS``; a key's user id may hold anything, U+0085 and U+2028 too, and ends no line.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from mig_core.domain.ids import Fingerprint
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mig_core.domain.envelope import Signature
    from mig_core.pgp.base import KeyInfo

_ESCAPED = re.compile(rb"\\x(3a|5c)")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_STATUS = "[GNUPG:] "
_SECONDS = 30
INSTALL = "install GnuPG 2.2 or newer (package gnupg)"

QUIET = ("--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate", "--disable-dirmngr")
"""Options of every run: nobody's gpg.conf, and no network."""

_TALKING = ("--status-fd=2", "--no-tty", "--no-verbose", "--batch", "--fixed-list-mode", "--with-colons")


class Output(NamedTuple):
    """What one run of gpg gave."""

    data: bytes
    """Standard output."""
    stderr: str
    """Status lines, and what it said to people; Latin-1 stands for the bytes."""
    returncode: int

    def statuses(self) -> dict[str, list[str]]:
        """gpg's status lines: keyword -> the rest of each such line."""
        said: dict[str, list[str]] = {}
        for line in self.stderr.split("\n"):
            if line.startswith(_STATUS):
                keyword, _, rest = line.removeprefix(_STATUS).partition(" ")
                said.setdefault(keyword, []).append(rest)
        return said

    def complaint(self) -> str:
        """The last thing gpg said to people."""
        lines = [line for line in self.stderr.split("\n") if line and not line.startswith(_STATUS)]
        return lines[-1] if lines else ""


class Gpg:
    """``gpg`` with one home and some options. Thread-safe.

    Args:
        home: there already; None is the investigator's own.
        options: for every run.
        environment: of the program; None is this process's.
    """

    def __init__(self, home: Path | None, options: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        if home is not None and not home.is_dir():
            raise _unusable(f"there is no directory {home}")
        self._words = ["gpg", *_TALKING, *([f"--homedir={home}"] if home is not None else []), *options]
        self._environment = environment

    def verify(self, data: bytes, signature: Signature, *options: str) -> Output:
        """Whether a detached signature fits the data; a gpg that has both says what else it thinks of it.

        Raises:
            ConfigurationError: gpg does not start; as all methods.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            with open(writing, "wb") as pipe:
                pipe.write(signature.sig)  # at most MAX_SIGNATURE_BYTES, which a pipe holds
            words = [*options, "--enable-special-filenames", "--verify", "--", f"-&{reading}", "-"]
            return self._run(words, data, inherited=(reading,))
        finally:
            os.close(reading)

    def sign(self, data: bytes, *options: str, passphrase: str | None) -> Output:
        """A detached signature of the data.

        Args:
            passphrase: one line; None leaves it to gpg-agent.
        """
        if passphrase is None:
            return self._run([*options, "--detach-sign"], data)
        words = ["--pinentry-mode=loopback", "--passphrase-fd=0", *options, "--detach-sign"]
        return self._run(words, passphrase.encode("utf-8") + b"\n" + data)

    def list_keys(self, *wanted: Fingerprint, secret: bool = False) -> Output:
        """The listing that :func:`listed_keys` reads, of some keys or of all."""
        return self._run(["--list-secret-keys" if secret else "--list-keys", *wanted])

    def import_keys(self, data: bytes) -> Output:
        """Takes in keys and revocations."""
        return self._run(["--import"], data)

    def export_keys(self, fingerprint: Fingerprint) -> bytes:
        """A public key, armored; empty: there is none."""
        return self._run(["--armor", "--export", fingerprint]).data

    def generate(self, order: str) -> Output:
        """Makes a key as the order says (GnuPG's manual, Unattended key generation)."""
        return self._run(["--generate-key"], order.encode("utf-8"))

    def _run(self, words: Sequence[str], data: bytes = b"", *, inherited: Sequence[int] = ()) -> Output:
        try:
            done = subprocess.run(
                [*self._words, *words],
                input=data,
                capture_output=True,
                pass_fds=inherited,
                env=self._environment,
                check=False,
            )
        except FileNotFoundError as error:
            raise _unusable("is not installed, or not on the PATH") from error
        except OSError as error:
            raise _unusable(f"cannot be used: {error}") from error
        return Output(done.stdout, done.stderr.decode("latin-1"), done.returncode)


def _unusable(problem: str) -> ConfigurationError:
    return ConfigurationError("gpg", "", problem, next_step=INSTALL)


@functools.cache
def known_algorithms() -> frozenset[int]:
    """Numbers of the public key algorithms that this machine's gpg knows (RFC 9580 section 9.1).

    Raises:
        ConfigurationError: gpg does not run.
    """
    try:
        said = subprocess.run(
            ["gpg", *QUIET, "--batch", "--with-colons", "--list-config", "pubkey"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise _unusable(f"cannot be used: {error}") from error
    words = said.decode("latin-1").strip().rpartition(":")[2].split(";")
    return frozenset(int(word) for word in words if word.isdigit())


def listed_keys(output: Output) -> tuple[tuple[KeyInfo, bool, str], ...]:
    """The keys in a listing, by fingerprint: each, whether it is secret, and the letters of what it can do now.

    Keys that have no version 4 fingerprint are left out.
    """
    found: list[tuple[list[str], list[str], list[str]]] = []
    for line in output.data.split(b"\n"):
        fields = [_ESCAPED.sub(_unescape, one).decode("utf-8", "replace") for one in line.rstrip(b"\r").split(b":")]
        fields += [""] * (21 - len(fields))
        if fields[0] in ("pub", "sec"):
            found.append((fields, [], []))
        elif found and fields[0] == "fpr":
            found[-1][1].append(fields[9])
        elif found and fields[0] == "uid":
            found[-1][2].append(fields[9])
    keys = [
        (_key_info(fields, fingerprints[0], user_ids), fields[0] == "sec", fields[11])
        for fields, fingerprints, user_ids in found
        if fingerprints and _FINGERPRINT.fullmatch(fingerprints[0])
    ]
    return tuple(sorted(keys, key=lambda key: key[0].fingerprint))


def _key_info(fields: list[str], fingerprint: str, user_ids: list[str]) -> KeyInfo:
    from mig_core.pgp.base import KeyInfo  # who signs lists no keys

    return KeyInfo(
        fingerprint=Fingerprint(fingerprint),
        user_ids=tuple(user_ids),
        algorithm=fields[16] or f"{'dsa' if fields[3] == '17' else 'rsa'}{fields[2]}",
        created=_moment(fields[5]),
        expires=_moment(fields[6]),
        revoked=fields[1] == "r",
    )


def _moment(text: str) -> datetime | None:
    """A time from gpg's seconds since 1970, which fit 32 bits."""
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() and 0 < int(text) < 1 << 33 else None


def _unescape(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode("ascii"))
