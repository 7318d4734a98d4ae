"""The original module's six questions, with its elements and lines, and without its defects.

Listening means the state LISTEN (or a UDP socket without a peer), connected means that somebody is at the other end;
addresses are compared as addresses, hardware addresses without regard to case; IPv6 neighbours are neighbours.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

from mig_core.plugin.printing import entries, mapping
from mig_netstat.declaration import CLASSIC, SOCKETS
from mig_netstat.socket_record import CONNECTED, DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.cells import Cell
    from mig_core.plugin.parameters import Values

    Row = Mapping[str, Cell]

_NEEDS = {
    "localmac": "interfaces",
    "localip": "addresses",
    "neighbormac": "neighbours",
    "neighborip": "neighbours",
    "connectedip": SOCKETS,
    "listeningport": SOCKETS,
}


def is_asked(values: Values) -> bool:
    """Whether any of the six questions is asked."""
    return any(values.texts(name) for name in CLASSIC)


def needs(values: Values) -> frozenset[str]:
    """About what rows are needed for the questions asked."""
    return frozenset(_NEEDS[key] for name, key in CLASSIC.items() if values.texts(name))


def elements(values: Values, rows: Iterable[Row]) -> tuple[JSON, int]:
    """The original's six maps from a searched value to what was found, None where nothing was; and how many hits."""
    found: dict[str, dict[str, list[JSON]]] = {}
    tests: list[tuple[str, str, Callable[[Row], bool]]] = []
    for name, key in CLASSIC.items():
        for text in values.texts(name):
            found.setdefault(key, {})[text] = []
            tests.append((key, text, _test(key, text)))
    hits = 0
    everywhere = values.boolean("namespaces")
    for row in rows:
        if not everywhere and row.get("namespace") != DEFAULT:
            continue
        for key, text, fits in tests:
            if row["what"] == _NEEDS[key] and fits(row):
                found[key][text].append(_element(key, row))
                hits += 1
    return {key: {text: hit or None for text, hit in texts.items()} for key, texts in found.items()}, hits


def _test(key: str, text: str) -> Callable[[Row], bool]:
    if key in ("localmac", "neighbormac"):
        pattern = re.compile(text, re.IGNORECASE)
        return lambda row: bool(row.get("mac")) and pattern.search(str(row["mac"])) is not None
    if key == "listeningport":
        port = int(text)
        return lambda row: row.get("local_port") == port and is_listening(row)
    column = "local_address" if key == "localip" else "remote_address"
    network = ipaddress.ip_network(text, strict=False)
    if key == "connectedip":
        return lambda row: row.get("state") in CONNECTED and _is_in(network, row.get(column))
    return lambda row: _is_in(network, row.get(column))


def is_listening(row: Row) -> bool:
    """Whether a socket waits for whoever comes."""
    if str(row.get("protocol", "")).startswith("udp"):
        return not row.get("remote_address")
    return row.get("state") == "LISTEN"


def _is_in(network: Any, text: object) -> bool:
    try:
        address = ipaddress.ip_address(str(text or "").partition("/")[0].partition("%")[0])
    except ValueError:
        return False
    return address in network


_NAMES: Mapping[str, Mapping[str, str]] = {
    "localmac": {"localmacaddr": "mac"},
    "localip": {"localaddr": "local_address"},
    "neighbormac": {"remotemacaddr": "mac", "remoteaddr": "remote_address"},
    "neighborip": {"remotemacaddr": "mac", "remoteaddr": "remote_address"},
    "connectedip": {
        "localaddr": "local_address",
        "localport": "local_port",
        "remoteaddr": "remote_address",
        "remoteport": "remote_port",
    },
    "listeningport": {"localaddr": "local_address", "localport": "local_port"},
}
"""The original's keys of an element, and the columns they come from."""


def _element(key: str, row: Row) -> JSON:
    built: dict[str, Any] = {ours: row.get(theirs) for ours, theirs in _NAMES[key].items() if row.get(theirs)}
    if key == "localip":
        built["localaddr"] = str(built["localaddr"]).partition("/")[0]
    return {**built, "namespace": str(row.get("namespace", ""))}


def rows(found: JSON) -> Iterator[dict[str, JSON]]:
    """The elements as rows of the declared columns; they may come from a hostile endpoint."""
    for key, names in _NAMES.items():
        for hits in mapping(mapping(found).get(key)).values():
            for hit in entries(hits):
                one = mapping(hit)
                row: dict[str, JSON] = {"what": _NEEDS[key]}
                for ours, theirs in {**names, "namespace": "namespace"}.items():
                    kind = int if theirs.endswith("port") else str
                    if isinstance(value := one.get(ours), kind) and not isinstance(value, bool) and value != "":
                        row[theirs] = value
                yield row


def masked(found: JSON) -> JSON:
    """The elements without addresses; the values searched for stay: they are what was asked."""
    hidden = {name for names in _NAMES.values() for name in names if not name.endswith("port")}
    return {
        key: {
            text: [
                {name: "masked" if name in hidden else value for name, value in mapping(hit).items()}
                for hit in entries(hits)
            ]
            or None
            for text, hits in mapping(texts).items()
        }
        for key, texts in mapping(found).items()
    }


def lines(found: JSON, *, found_only: bool) -> Iterator[str]:
    """The original's lines."""
    for key in CLASSIC.values():
        for text, hits in mapping(mapping(found).get(key)).items():
            word = "neighborIP" if key == "neighborip" else key
            for hit in entries(hits):
                one = mapping(hit)
                space = one.get("namespace")
                where = "" if space in (None, "", DEFAULT) else f" namespace:[{space}]"
                yield f"found {_text(key, one)} for netstat {word}:'{text}'{where}"
            if not hits and not found_only and key != "localmac":
                yield f"did not find anything for netstat {word}:'{text}'"


def _text(key: str, one: Mapping[str, JSON]) -> str:
    if key == "localmac":
        return f"local mac {one.get('localmacaddr')}"
    if key == "neighbormac":
        return f"neighbor mac {one.get('remotemacaddr')} {one.get('remoteaddr')}"
    if key == "neighborip":
        return f"neighbor IP {one.get('remoteaddr')} {one.get('remotemacaddr', '')}".rstrip()
    if key == "localip":
        return f"local ip {one.get('localaddr')}"
    if key == "connectedip":
        remote = f"{one.get('remoteaddr')}:{one.get('remoteport')}"
        return f"connected tuple {remote} with local tuple {one.get('localaddr')}:{one.get('localport')}"
    return f"listening port {one.get('localport')}"
