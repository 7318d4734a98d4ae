"""The PROXY protocol: what is a header is read to its last byte and no further, and what is none is refused."""

from __future__ import annotations

import asyncio
import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.api.proxy_header import SIGNATURE, Client, read_proxy_header


def read(data: bytes, *, piece: int = 10_000) -> tuple[Client, bytes]:
    """What it says, and what is left."""
    left = bytearray(data)

    async def receive(most: int) -> bytes:
        some = bytes(left[: min(most, piece)])
        del left[: len(some)]
        return some

    return asyncio.run(read_proxy_header(receive)), bytes(left)


def version_2(source: str, port: int, *, command: int = 0x21, more: bytes = b"") -> bytes:
    address = ipaddress.ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + struct.pack("!HH", port, 443) + more
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


@pytest.mark.parametrize("piece", [1, 5, 10_000])
@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n", ("203.0.113.9", 4711)),
        (b"PROXY TCP6 2001:db9::5 2001:db8::1 4711 443\r\n", ("2001:db9::5", 4711)),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
        (version_2("203.0.113.9", 4711), ("203.0.113.9", 4711)),
        (version_2("2001:db9::5", 4711, more=b"\x04\x00\x01x"), ("2001:db9::5", 4711)),
        (version_2("203.0.113.9", 4711, command=0x20), None),
        (SIGNATURE + b"\x21\x00\x00\x00", None),
    ],
)
def test_what_follows_the_header_is_not_touched(header: bytes, client: Client, piece: int) -> None:
    assert read(header + b"\x16\x03\x01GET / HTTP/1.1", piece=piece) == (client, b"\x16\x03\x01GET / HTTP/1.1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PROXY TCP4 203",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711\r\n",
        b"PROXY TCP4 2001:db9::5 192.0.2.1 4711 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 99999 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 -1 443\r\n",
        b"PROXY TCP9 203.0.113.9 192.0.2.1 1 443\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(70_000),
        SIGNATURE[:-1] + b"x",
    ],
)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21"]))
def test_the_reader_is_total(data: bytes, begin: bytes) -> None:
    try:
        client, _ = read(begin + data)
    except ValueError:
        return
    assert client is None or ipaddress.ip_address(client[0]).version in (4, 6)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_both_versions_say_the_same(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
    line = f"PROXY TCP{address.version} {address} {address} {port} 1\r\n".encode()

    assert read(line) == read(version_2(str(address), port)) == ((str(address), port), b"")
