"""Running a package manager's own program: where it is, what it prints, within limits of time and size.

Only the endpoint's own programs are run, never those of a mounted file system. Used by ``dpkg`` and ``rpm``.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
from typing import TYPE_CHECKING

from mig_endpoint.packages.site import RanOutOfTime
from mig_pkg import reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from mig_endpoint.packages.site import Site

USUAL_PLACES = ("/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin")
MAX_OUTPUT = 256 << 20
MAX_COMPLAINT = 4096
PIECE = 1 << 16
GRACE = 5.0
"""Seconds to wait for a program that has closed its output."""


class ProgramFailed(Exception):
    """The program could not be run, failed, or said too much. ``str()`` says which."""


def on_path(name: str) -> str:
    """The program's file; empty when it is not on the PATH. Relative parts of the PATH do not count."""
    found = shutil.which(name, path=_absolute_path())
    return found or ""


def elsewhere(name: str) -> str:
    """Where it is installed though it is not on the PATH; empty for nowhere."""
    places = (f"{place}/{name}" for place in USUAL_PLACES)
    return next((place for place in places if os.access(place, os.X_OK)), "")


def allows(site: Site, manager: str) -> bool:
    """Whether a package manager's database may be read directly, as far as the PATH has a say.

    On the endpoint's own system the PATH says which managers count: one that is installed and left out of it is
    booked as skipped. A database whose manager is not installed at all (a stripped image) is read, and so is every
    database of a mounted system.
    """
    if not site.tree.is_own or on_path(manager):
        return True
    place = elsewhere(manager)
    if place:
        site.tally.skip(reasons.NOT_ASKED_FOR, place)
    return not place


def is_wrapper(path: str) -> bool:
    """Whether it is a script: then only running it tells what it really does."""
    try:
        with open(path, "rb") as file:
            return file.read(4) != b"\x7fELF"
    except OSError:
        return True


def output(command: Sequence[str], remaining: Callable[[], float]) -> Generator[bytes, None, None]:
    """What the program writes to its standard output, piece by piece.

    Args:
        command: its file and arguments.
        remaining: seconds until the deadline.

    Raises:
        ProgramFailed: it cannot be run, ends with a failure, complains of errors or writes too much.
        RanOutOfTime: the deadline passed; it was killed.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env=environment,
            bufsize=0,
        )
    except OSError as error:
        raise ProgramFailed(f"cannot be run: {error.strerror}") from None
    with process:
        try:
            complaint = yield from _read(process, remaining)
            status = process.wait(min(GRACE, remaining()))
        except subprocess.TimeoutExpired:
            raise RanOutOfTime from None
        finally:
            if process.poll() is None:
                process.kill()
    first = next((line for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()), "")
    if status != 0:
        ending = f"exit status {status}" if status > 0 else f"killed by signal {-status}"
        raise ProgramFailed(f"{ending}: {first}" if first else ending)
    if b"error:" in complaint:
        raise ProgramFailed(first)


def first_line(command: Sequence[str], remaining: Callable[[], float]) -> str:
    """The first line that the program writes, cut to :data:`MAX_COMPLAINT` bytes; the rest is not waited for.

    Raises:
        ProgramFailed: it ended with a failure before it wrote a line.
        RanOutOfTime: the deadline passed.
    """
    said = b""
    with contextlib.closing(output(command, remaining)) as pieces:
        for piece in pieces:
            said += piece
            if b"\n" in said or len(said) > MAX_COMPLAINT:
                break
    return said[:MAX_COMPLAINT].split(b"\n")[0].decode("utf-8", "replace").strip()


def _read(process: subprocess.Popen[bytes], remaining: Callable[[], float]) -> Generator[bytes, None, bytes]:
    """Gives standard output as it comes; returns the beginning of what was written to standard error."""
    assert process.stdout is not None
    assert process.stderr is not None
    complaint = b""
    left = MAX_OUTPUT
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(remaining())
            if not ready and remaining() <= 0:
                raise RanOutOfTime
            for key, _ in ready:
                piece = os.read(key.fd, PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    complaint = (complaint + piece)[:MAX_COMPLAINT]
                elif len(piece) > left:
                    raise ProgramFailed(f"wrote more than {MAX_OUTPUT} bytes")
                else:
                    left -= len(piece)
                    yield piece
            if remaining() <= 0:
                raise RanOutOfTime
    return complaint


def _absolute_path() -> str:
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(part for part in parts if part.startswith("/"))
