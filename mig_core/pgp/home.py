"""GnuPG home directories: made private, reachable under a short path, and left without an agent behind.

gpg-agent listens on a socket below the home (or below ``/run/user``), and the path of a socket holds at most 107
bytes. A longer home is reached through a symbolic link with a short name, which is the same for the same home.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from pathlib import Path

from mig_core.errors import ConfigurationError

MAX_HOME_BYTES = 80
"""gpg-agent's longest socket name is 19 characters; the rest of the 107 is room for gpg's own lock names."""
_LINK_NAME_LENGTH = 16


def private_home(home: Path) -> Path:
    """The absolute path of ``home``, made with mode 0700 if it is not there; a wider mode is narrowed.

    Raises:
        ConfigurationError: it cannot be made, or belongs to somebody else.
    """
    absolute = Path(os.path.abspath(home))
    try:
        absolute.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(absolute.stat().st_mode) != 0o700:
            absolute.chmod(0o700)
    except OSError as error:
        raise ConfigurationError(
            str(home), "", f"cannot be a GnuPG home: {error.strerror}", next_step="choose a directory you own"
        ) from error
    return absolute


def short_home(home: Path) -> Path:
    """``home`` itself when gpg-agent can listen below it, else a short symbolic link to it.

    Links live in a directory of this user's below a folder for temporary files.

    Raises:
        ConfigurationError: that directory is not this user's alone.
    """
    absolute = Path(os.path.abspath(home))
    name = os.fsencode(absolute)
    if len(name) <= MAX_HOME_BYTES:
        return absolute
    folder = _short_place() / f"mig-gnupg-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigurationError(str(folder), "", "must be a directory that only you can enter", next_step="remove it")
    import hashlib  # most homes have short paths

    link = folder / hashlib.sha256(name).hexdigest()[:_LINK_NAME_LENGTH]
    with contextlib.suppress(FileExistsError):
        link.symlink_to(absolute)
    return link


def _short_place() -> Path:
    """A folder for temporary files whose own path leaves room for the link's; ``TMPDIR`` may be too long itself."""
    import tempfile  # most homes have short paths

    room = MAX_HOME_BYTES - len(f"/mig-gnupg-{os.geteuid()}/") - _LINK_NAME_LENGTH
    places = [tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108  what is made there is private, and checked
    return Path(
        next((place for place in places if len(os.fsencode(place)) <= room and os.path.isdir(place)), places[0])
    )


def stop_agent(home: Path) -> None:
    """Ends the gpg-agent of a home, if one runs. Call it before the home is removed."""
    short = short_home(home)
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["gpgconf", "--homedir", str(short), "--kill", "gpg-agent"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    if short != Path(os.path.abspath(home)):
        with contextlib.suppress(OSError):
            short.unlink()
