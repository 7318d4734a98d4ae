"""``mig-api --check``: is everything there that mig-api needs, and if not, what is wrong."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mig_core.network.certificates import certificate_ends
from mig_core.pgp.certificates import read_key_block
from mig_core.pgp.gnupg_program import known_algorithms
from mig_core.pgp.selection import select
from mig_core.soundness import Wrong, examine, look_at_room
from mig_core.store.database import StoreLimits
from mig_core.store.examination import look_at_database
from mig_core.store.postgres import PostgresStore
from mig_core.store.roles import API

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mig_core.config.server import ApiSettings
    from mig_core.soundness import Seen
    from mig_core.store.rows import Investigator

_SECONDS = 1.5
SOON = 14
"""Days before its end that a certificate is said to end."""


def check_setup(
    settings: ApiSettings, url: str, files: Callable[[], Iterator[str]], *, seconds: float
) -> Sequence[Seen]:
    """Looks at everything at once. Changes nothing.

    Args:
        settings: mig-api's.
        url: of its database login.
        files: reads the files that the settings name, and says which.
        seconds: for all of it.
    """
    return examine(
        {
            "settings": files,
            "disk": lambda: look_at_room(settings.state),
            "database": lambda: look_at_database(url, API),
            "keys": lambda: _look_at_keys(url),
            "certificate": lambda: _look_at_certificate(settings),
            "listen": lambda: _look_at_addresses(settings.addresses, tls=settings.tls.certificate_file is not None),
        },
        seconds=seconds,
    )


def _look_at_keys(url: str) -> Iterator[str | Wrong]:
    """Whether the active investigators' keys can be used."""
    people = [one for one in asyncio.run(_investigators(url)) if one.active]
    if not people:
        yield "there is no investigator yet: mig investigator bootstrap"
        return
    names = {one.fingerprint: one.name for one in people}
    blocks = {names[one.fingerprint]: read_key_block(one.public_key) for one in people}
    selection = select(blocks, present=(), algorithms=known_algorithms(), now=datetime.now(UTC))
    for name, why in selection.unusable.items():
        yield Wrong(f"the key of investigator {name}: {why}", "add the renewed key, or disable the investigator")
    yield f"{len(people)} active investigators, GnuPG works"


async def _investigators(url: str) -> Sequence[Investigator]:
    async with PostgresStore(url, pool_size=1, limits=StoreLimits(connect=0)) as store:
        return await store.investigators.list()


def _look_at_certificate(settings: ApiSettings) -> Iterator[str | Wrong]:
    tls = settings.tls
    if tls.certificate_file is None:
        yield "none: plain HTTP, for a proxy that does TLS"
        return
    ends = certificate_ends(tls.certificate_file, tls.key_file)
    left = (ends - datetime.now(UTC)).days
    if left < SOON:
        what = f"ends in {left} days" if left >= 0 else "has ended"
        yield Wrong(f"{tls.certificate_file} {what}", "renew it; mig-api notices the new one by itself")
    else:
        yield f"{tls.certificate_file} is good for {left} days"


def _look_at_addresses(addresses: Sequence[str], *, tls: bool) -> Iterator[str | Wrong]:
    for address in addresses:
        yield _look_at_one_address(address, tls=tls)


def _look_at_one_address(address: str, *, tls: bool) -> str | Wrong:
    if address.startswith("unix:"):
        one: socket.socket = socket.socket(socket.AF_UNIX)
        where: object = address.removeprefix("unix:")
    else:
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        where = (host or "127.0.0.1", int(port))
    with closing(one):
        one.settimeout(_SECONDS)
        try:
            one.connect(where)  # type: ignore[arg-type]  # of either family
        except ConnectionRefusedError:
            return f"{address} is free"
        except FileNotFoundError:
            return f"{address} will be made"
        except OSError as error:
            return Wrong(f"{address}: {error.strerror or error}", "listen on an address that this machine has")
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            one = context.wrap_socket(one)
        return _who_is_there(address, one)


def _who_is_there(address: str, one: socket.socket) -> str | Wrong:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = one
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(1000)
    except (OSError, http.client.HTTPException):
        answer, body = None, b""
    finally:
        connection.close()
    if answer is not None and b'"status"' in body:
        if answer.status == 200:
            return f"a mig-api listens on {address} already, and is well"
        return Wrong(f"the mig-api on {address} cannot work: {body.decode('utf-8', 'replace')}", "see its log")
    return Wrong(f"another program listens on {address}", "choose another address, or end it")
