"""Socket addresses in records: the ``saddr`` of SOCKADDR, struct sockaddr in hexadecimal.

Sources: ``linux/socket.h``, ``in.h``, ``in6.h``, ``un.h``, ``netlink.h``. Families are Linux's numbers.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from mig_core.domain.addresses import address_text

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

_FAMILIES = {
    0: "unspec", 1: "unix", 2: "inet", 3: "ax25", 4: "ipx", 5: "appletalk", 10: "inet6", 16: "netlink", 17: "packet",
    24: "pppox", 29: "can", 30: "tipc", 31: "bluetooth", 38: "alg", 39: "nfc", 40: "vsock", 44: "xdp",
}  # fmt: skip


@lru_cache(maxsize=1024)
def read(saddr: str) -> dict[str, JSON]:
    """The address as JSON. ``family`` is always there; a form that is not known, or cut short, keeps its ``raw``."""
    try:
        packed = bytes.fromhex(saddr)
    except ValueError:
        return {"family": "unknown", "raw": saddr}
    if len(packed) < 2:
        return {"family": "unknown", "raw": saddr}
    number = int.from_bytes(packed[:2], "little" if packed[1] == 0 else "big")
    family = _FAMILIES.get(number, str(number))
    if family == "inet" and len(packed) >= 8:
        port = int.from_bytes(packed[2:4], "big")
        return {"family": family, "address": str(ipaddress.IPv4Address(packed[4:8])), "port": port}
    if family == "inet6" and len(packed) >= 24:
        port = int.from_bytes(packed[2:4], "big")
        text = address_text(ipaddress.IPv6Address(packed[8:24]))
        address: dict[str, JSON] = {"family": family, "address": text, "port": port}
        if len(packed) >= 28 and any(packed[24:28]):
            address["scope"] = int.from_bytes(packed[24:28], "little")
        return address
    if family == "unix":
        return _unix(packed[2:])
    if family == "netlink" and len(packed) >= 12:
        port, groups = int.from_bytes(packed[4:8], "little"), int.from_bytes(packed[8:12], "little")
        return {"family": family, "port": port, "groups": groups}
    if family == "vsock" and len(packed) >= 12:
        port, cid = int.from_bytes(packed[4:8], "little"), int.from_bytes(packed[8:12], "little")
        return {"family": family, "port": port, "cid": cid}
    return {"family": family, "raw": saddr}


def _unix(name: bytes) -> dict[str, JSON]:
    if not name or not any(name):
        return {"family": "unix", "path": None}
    if name[0] == 0:  # a name is as long as was passed, and another one with each NUL more (unix(7))
        written = name[1:].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
        return {"family": "unix", "abstract": written}
    return {"family": "unix", "path": name.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")}
