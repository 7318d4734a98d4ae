"""Where mig-api listens: opened, or taken over from the mig-api that this one begins again as."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BACKLOG = 2048
HANDED_ON = "MIG_LISTENING_SOCKET"
"""Environment variable in which a mig-api that begins again is told what it listens on: address -> descriptor."""


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A listening socket. A Unix socket takes connections from owner and group only; its file is removed at the end."""
    handed = _handed_on(address)
    try:
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            if handed is None and path.is_socket():
                path.unlink()
            one = handed or _unix_listener(path)
        else:
            path = None
            host, _, port = address.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            one = handed or socket.create_server((host, int(port)), family=family, backlog=BACKLOG)
            # Connections inherit it. asyncio does it only for sockets made with an explicit protocol number; without it
            # an answer's body waits for the acknowledgement of its head, which clients delay by 40 ms.
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            "api", "listen", f"cannot listen on {address}: {error}", next_step="address:port, or unix:/path"
        ) from error
    with one:
        yield one
    if path is not None and HANDED_ON not in os.environ:
        path.unlink(missing_ok=True)


def _unix_listener(path: Path) -> socket.socket:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        one.bind(str(path))
    finally:
        os.umask(before)
    one.listen(BACKLOG)
    return one


def hand_on(sockets: Iterable[tuple[str, socket.socket]]) -> None:
    """Lets the program that takes this one's place listen on: who connects meanwhile waits for it."""
    descriptors = {}
    for address, one in sockets:
        descriptors[address] = os.dup(one.fileno())
        os.set_inheritable(descriptors[address], True)
    os.environ[HANDED_ON] = json.dumps(descriptors)


def _handed_on(address: str) -> socket.socket | None:
    """The socket that the program before this one listened on, if it was this address."""
    descriptors = json.loads(os.environ.get(HANDED_ON, "{}"))
    if address not in descriptors:
        return None
    one = socket.socket(fileno=descriptors.pop(address))
    one.set_inheritable(False)
    os.environ[HANDED_ON] = json.dumps(descriptors)
    return one


def drop_handed_on() -> None:
    """Closes what was handed on and is not listened on any more."""
    for address, descriptor in json.loads(os.environ.pop(HANDED_ON, "{}")).items():
        os.close(descriptor)
        if address.startswith("unix:"):
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)


def address_of(listening: socket.socket) -> str:
    """As settings write it: ``127.0.0.1:1664`` or ``unix:/path``."""
    name = listening.getsockname()
    return f"unix:{name}" if isinstance(name, str) else "{}:{}".format(*name[:2])
