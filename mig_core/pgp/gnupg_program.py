"""Runs the ``gpg`` program and reads what it says: the only file that imports python-gnupg.

python-gnupg starts the program and moves the bytes; its own readers of status lines and key listings are not used. They
also end a line at U+0085 and U+2028, which a key's user id may hold, so that a user id could break them or speak in
gpg's name. The formats are those of GnuPG's ``doc/DETAILS``.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import gnupg as python_gnupg

from mig_core.domain.ids import Fingerprint
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.pgp.base import KeyInfo

_ESCAPED = re.compile(rb"\\x(3a|5c)")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_STATUS = "[GNUPG:] "
_SECONDS = 30
INSTALL = "install GnuPG 2.2 or newer (package gnupg)"

QUIET = ("--no-options", "--no-auto-key-retrieve", "--no-auto-key-locate", "--disable-dirmngr")
"""Options of every run: nobody's gpg.conf, and no network."""


class Output(list[Any]):
    """What one run of gpg gave: standard output, status lines, exit code. (Empty as a list: python-gnupg wants one.)"""

    data: bytes = b""
    stderr: str = ""
    returncode: int | None = None

    def __init__(self, _gpg: object) -> None:
        super().__init__()

    def handle_status(self, keyword: str, rest: str) -> None:
        """Called by python-gnupg for what it takes for a status line; see :meth:`statuses`."""

    def pub(self, fields: list[str]) -> None:
        """Called by python-gnupg for what it takes for a line of a listing; see :func:`listed_keys`."""

    uid = sec = fpr = sub = ssb = sig = grp = pub

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


def open_gpg(
    home: Path | None, options: list[str], environment: dict[str, str] | None = None, *, tried: bool = True
) -> Any:
    """python-gnupg's interface to ``gpg``; every call of it returns an :class:`Output`.

    Args:
        home: None is the investigator's own.
        options: for every run.
        environment: of the program; None is this process's.
        tried: whether gpg is run at once, to see that it runs; a person who signs need not wait for that.

    Raises:
        ConfigurationError: gpg is not installed, or does not start.
    """
    if tried:
        import shutil  # whoever signs at once does not wait for it

        if shutil.which("gpg", path=os.pathsep.join(os.get_exec_path(environment))) is None:
            raise not_started(FileNotFoundError())
    try:
        interface = python_gnupg.GPG if tried else _Untried
        gpg = interface(gnupghome=str(home) if home else None, options=options, env=environment)
    except (OSError, ValueError) as error:
        raise not_started(error) from error
    gpg.encoding = "latin-1"  # takes every byte; what is UTF-8 goes through latin1()
    gpg.result_map = dict.fromkeys(gpg.result_map, Output)
    return gpg


def not_started(error: Exception) -> ConfigurationError:
    """What is said of a gpg that could not be started."""
    missing = isinstance(error, FileNotFoundError)
    problem = "is not installed, or not on the PATH" if missing else f"cannot be used: {error}"
    return ConfigurationError("gpg", "", problem, next_step=INSTALL)


def begin(gpg: Any, words: list[str], *, passphrase: bool = False) -> subprocess.Popen[bytes]:
    """Starts gpg with these words behind its options, as python-gnupg starts it; it waits for its standard input.

    It must be given to :func:`finish` or to :func:`give_up`.

    Args:
        gpg: of :func:`open_gpg`.
        words: what it is to do.
        passphrase: whether the first line of its standard input will be one.

    Raises:
        OSError: it does not start.
    """
    pipe = subprocess.PIPE
    return subprocess.Popen(gpg.make_args(words, passphrase), stdin=pipe, stdout=pipe, stderr=pipe, env=gpg.env)


def finish(run: subprocess.Popen[bytes], given: bytes, *, within: float | None = None) -> Output:
    """Gives gpg its standard input, and waits for its end.

    Raises:
        TimeoutError: it has not ended within so many seconds.
    """
    output = Output(None)
    try:
        output.data, said = run.communicate(given, timeout=within)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(str(error)) from error
    output.stderr = said.decode("latin-1")
    output.returncode = run.returncode
    return output


def give_up(run: subprocess.Popen[bytes]) -> None:
    """Ends gpg; harmless when it has ended. It does not see the end of its input: it would go on with what it has."""
    run.kill()
    for pipe in (run.stdin, run.stdout, run.stderr):
        if pipe is not None and not pipe.closed:
            pipe.close()
    run.wait()


class _Untried(python_gnupg.GPG):  # type: ignore[misc]  # has no types
    """python-gnupg's interface, whose constructor would run gpg to learn its version; 2.2 is the oldest we support."""

    def __init__(self, *, gnupghome: str | None, options: list[str], env: dict[str, str] | None) -> None:
        if gnupghome and not os.path.isdir(gnupghome):
            raise ValueError(f"there is no directory {gnupghome}")
        self.gpgbinary, self.gnupghome, self.options, self.env = "gpg", gnupghome, options, env
        self.keyring = self.secret_keyring = self.on_data = None
        self.verbose = self.use_agent = self.check_fingerprint_collisions = False
        self.version = (2, 2)


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
        raise ConfigurationError("gpg", "", f"cannot be used: {error}", next_step=INSTALL) from error
    words = said.decode("latin-1").strip().rpartition(":")[2].split(";")
    return frozenset(int(word) for word in words if word.isdigit())


def latin1(text: str) -> str:
    """A text that python-gnupg turns into the UTF-8 form of ``text``."""
    return text.encode("utf-8").decode("latin-1")


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
