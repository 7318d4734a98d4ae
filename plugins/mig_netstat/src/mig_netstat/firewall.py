"""The rules that filter packets in a network namespace: nftables through pyroute2 (iptables-nft writes there too).

Only read. Nothing is asked that would load a module; a kernel without nf_tables has no such rules. Of tables of the
older kind (iptables-legacy) the kernel tells the names without further privileges; what their rules say is not read,
and booked.
"""

from __future__ import annotations

import errno
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from mig_core.plugin.coverage import Reason
from mig_netstat.nft_attributes import Attributes, attributes, listed, number_of, of_message, text_of
from mig_netstat.nft_values import (
    ANONYMOUS,
    CONCATENATED,
    FAMILIES,
    INTERVAL,
    Field,
    data_of_set,
    data_text,
    key_of_set,
    parts_of,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_netstat.handlers import Handlers

Message = tuple[int, Attributes]
"""What the kernel told, and of which family."""
Key = tuple[int, str, str]
FIREWALL = "firewall"
NOT_ASKED = Reason("rules of the firewall that could not be asked for")
OLD_RULES = Reason("table of the older kind (iptables-legacy) whose rules are not read")
MAX_ELEMENTS = 10_000
"""Of all sets of a namespace: sets of blocked addresses may have millions."""
MORE_ELEMENTS = Reason(f"set of the firewall not read, or not to its end: more than {MAX_ELEMENTS} elements")
CHANGED = Reason("firewall whose rules were changed while they were read: they may be told mixed")
ODD_ELEMENTS = Reason("set of the firewall whose elements are not understood")
CHAIN, RULE, SET = "nftables", "nftables rule", "nftables set"
_OLD = {"ip_tables_names": "iptables", "ip6_tables_names": "ip6tables", "arp_tables_names": "arptables"}
_HOOKS = {
    3: ("input", "output", "forward"),
    5: ("ingress", "egress"),
}
"""By the number of the family; others have :data:`_USUAL_HOOKS`."""
_USUAL_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_DORMANT = 1
"""Flag of a table whose chains are not in force."""
_INTERVAL_END, _CATCH_ALL = 1, 2
_READINGS = 3
"""Of a firewall that is changed meanwhile."""


def rows(handlers: Handlers, tally: Tally) -> Iterator[dict[str, Cell]]:
    """Of nftables each chain, rule and named set; of each table of the older kind its name."""
    yield from _nftables(handlers, tally)
    for file, kind in _OLD.items():
        try:
            with open(f"/proc/thread-self/net/{file}", encoding="ascii", errors="replace") as listed:
                names = listed.read().split()
        except FileNotFoundError:
            continue
        except OSError as error:
            tally.failed(NOT_ASKED, kind, error.strerror or str(error))
            continue
        for name in names:
            tally.skip(OLD_RULES, f"{kind} {name}")
            yield {"what": FIREWALL, "type": kind, "table": name}


def _nftables(handlers: Handlers, tally: Tally) -> Iterator[dict[str, Cell]]:
    if not handlers.may_ask("nftables"):
        return
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        tables, rules, chains, sets, contents, unread = _read(tally)
    except (NetlinkError, OSError) as error:
        tally.failed(NOT_ASKED, "nftables", str(error))
        return
    for reason, name in unread:
        tally.skip(reason, name)
    dormant = {(family, text_of(said[1])) for family, said in tables if number_of(said.get(2, b"")) & _DORMANT}
    yield from _chains(chains, rules, dormant)
    yield from _rules(rules, sets, contents)
    for family, said in sets:
        if not number_of(said.get(3, b"")) & ANONYMOUS:
            key = _key(family, said, 2)
            yield {"what": FIREWALL, "type": SET, "table": _named(key), "names": contents.get(key)}


class _Ruleset(NamedTuple):
    tables: Sequence[Message]
    rules: Sequence[Message]
    chains: Sequence[Message]
    sets: Sequence[Message]
    contents: dict[Key, list[str]]
    """Of the sets that were read."""
    unread: list[tuple[Reason, str]]
    """Why others were not, or not to their end."""


def _read(tally: Tally) -> _Ruleset:
    """What is there at one moment. The kernel counts the changes, and takes what it was asked one by one from before
    and after them: rules of one time with the sets of another. Read again then, and booked if that does not help.

    Raises:
        NetlinkError: the kernel could not be asked.
        OSError: likewise.
    """
    from pyroute2.netlink import NLM_F_REQUEST
    from pyroute2.netlink.nfnetlink import nfgen_msg
    from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETGEN
    from pyroute2.nftables.main import NFTables

    with NFTables(nfgen_family=0) as asked:

        def changes() -> list[int]:
            told = asked.request_get(nfgen_msg(), NFT_MSG_GETGEN, NLM_F_REQUEST)
            return [number_of(of_message(one)[1]) for one in told]

        for _ in range(_READINGS):
            before = changes()
            tables, rules, chains, sets = (
                [(one["nfgen_family"], of_message(one)) for one in got()]
                for got in (asked.get_tables, asked.get_rules, asked.get_chains, asked.get_sets)
            )
            contents, unread = _contents(sets)
            if changes() == before:
                break
        else:
            tally.skip(CHANGED, "nftables")
    return _Ruleset(tables, rules, chains, sets, contents, unread)


def _chains(
    chains: Iterable[Message], rules: Iterable[Message], dormant: set[tuple[int, str]]
) -> Iterator[dict[str, Cell]]:
    counts: dict[Key, int] = {}
    for family, said in rules:
        key = _key(family, said, 2)
        counts[key] = counts.get(key, 0) + 1
    for family, said in chains:
        key = _key(family, said, 3)
        row: dict[str, Cell] = {"what": FIREWALL, "type": CHAIN, "table": _named(key), "count": counts.get(key, 0)}
        hook = attributes(said.get(4, b""))
        flags = [text_of(said.get(7, b"")) or "filter", *_hook_texts(family, hook)] if 1 in hook else []
        if 1 in hook:
            flags.append(f"policy {'drop' if number_of(said.get(5, bytes((1,)))) == 0 else 'accept'}")
        if key[:2] in dormant:
            flags.append("dormant")
        if flags:
            row["flags"] = flags
        yield row


def _hook_texts(family: int, hook: Attributes) -> Iterator[str]:
    number, names = number_of(hook[1]), _HOOKS.get(family, _USUAL_HOOKS)
    yield f"hook {names[number] if number < len(names) else number}"
    yield f"priority {int.from_bytes(hook.get(2, bytes(4)), 'big', signed=True)}"
    devices = [text_of(one) for one in [*listed(hook.get(4, b"")), *([hook[3]] if 3 in hook else [])]]
    yield from (f"device {one}" for one in dict.fromkeys(devices))


def _rules(
    rules: Iterable[Message], sets: Iterable[Message], contents: dict[Key, list[str]]
) -> Iterator[dict[str, Cell]]:
    from mig_netstat.rule_text import Named, comment_text, expression_of, rule_text

    of_table: dict[tuple[int, str], dict[str, Named]] = {}
    for family, said in sets:
        key = _key(family, said, 2)
        name = key[2]
        elements = contents.get(key) if number_of(said.get(3, b"")) & ANONYMOUS else None
        text = f"@{name}" if elements is None else f"{{ {', '.join(elements)} }}"
        of_table.setdefault(key[:2], {})[name] = Named(
            text, number_of(said.get(5, b"")), number_of(said.get(7, b"")) or 4
        )
    for family, said in rules:
        key = _key(family, said, 2)
        steps = map(expression_of, listed(said.get(4, b"")))
        row: dict[str, Cell] = {"what": FIREWALL, "type": RULE, "table": _named(key)}
        texts = rule_text(steps, family, of_table.get(key[:2], {})), comment_text(said.get(7, b""))
        row["rule"] = " ".join(filter(None, texts))
        yield row


def _contents(sets: Iterable[Message]) -> tuple[dict[Key, list[str]], list[tuple[Reason, str]]]:
    """The elements of each set, and which sets are not in it, or not to their end."""
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETSETELEM, nft_set_elem_list_msg
    from pyroute2.nftables.main import NFTables

    found: dict[Key, list[str]] = {}
    unread: list[tuple[Reason, str]] = []
    room = MAX_ELEMENTS
    for family, of_family in groupby(sorted(sets, key=lambda one: int(one[0])), lambda one: one[0]):
        with NFTables(nfgen_family=family) as tables:
            for _, said in of_family:
                key = _key(family, said, 2)
                if room <= 0:
                    unread.append((MORE_ELEMENTS, _named(key)))
                    continue
                message = nft_set_elem_list_msg()
                message["attrs"] = [["NFTA_SET_ELEM_LIST_TABLE", key[1]], ["NFTA_SET_ELEM_LIST_SET", key[2]]]
                try:
                    parts = tables.request_get(message, NFT_MSG_GETSETELEM)
                except NetlinkError as error:
                    if error.code != errno.ENOENT:
                        raise
                    continue  # it is no more, and so there was a change
                told = (element for part in parts for element in listed(of_message(part).get(3, b"")))
                elements = list(islice(told, room))
                is_whole = next(told, None) is None
                if not is_whole:
                    unread.append((MORE_ELEMENTS, _named(key)))
                room -= len(elements)
                try:
                    has_ends = number_of(said.get(3, b"")) & (INTERVAL | CONCATENATED) == INTERVAL
                    read = _elements(map(attributes, elements), key_of_set(said), data_of_set(said), has_ends, is_whole)
                    found[key] = read
                except (LookupError, ValueError):
                    unread.append((ODD_ELEMENTS, _named(key)))
    return found, unread


class _Element(NamedTuple):
    raw: bytes
    is_end: bool
    target: str


def _elements(
    elements: Iterable[Attributes], fields: tuple[Field, ...], data: tuple[Field, ...], has_ends: bool, is_whole: bool
) -> list[str]:
    """As texts; of an interval the kernel lists both ends, of one with several parts in one element. One that reaches
    to the highest value, or to the next one, may have no end.
    """
    read: list[_Element] = []
    texts: list[str] = []
    rest: list[str] = []
    for said in elements:
        flags = number_of(said.get(3, b""))
        target = f" : {data_text(said[2], data)}" if 2 in said else ""
        target = target or (f' : "{text_of(said[9])}"' if 9 in said else "")
        if flags & _CATCH_ALL:
            rest.append(f"*{target}")
            continue
        raw = attributes(said[1])[1]
        if 10 in said:
            texts.append(f"{_between(raw, attributes(said[10])[1], fields)}{target}")
        else:
            read.append(_Element(raw, bool(flags & _INTERVAL_END), target))
    start: _Element | None = None
    for one in sorted(read, key=lambda one: (one.raw, not one.is_end)):
        if start is not None:
            last = int.from_bytes(one.raw, "big") - 1
            whole = has_ends and last > int.from_bytes(start.raw, "big")  # where the next begins, this one ends
            end = last.to_bytes(len(one.raw), "big") if whole else start.raw
            texts.append(f"{_between(start.raw, end, fields)}{start.target}")
        start = None if one.is_end else one
    if start is not None and (is_whole or not has_ends):
        end = bytes([255]) * len(start.raw) if has_ends else start.raw
        texts.append(f"{_between(start.raw, end, fields)}{start.target}")
    return texts + rest


def _between(first: bytes, last: bytes, fields: tuple[Field, ...]) -> str:
    """An interval, of each part by itself: ``10.0.0.0-10.0.0.255 . 22``."""
    if len(fields) < 2:
        return _part_between(first, last, fields[0].kind if fields else "")
    parts = zip(parts_of(first, fields), parts_of(last, fields), fields, strict=True)
    return " . ".join(_part_between(low, high, field.kind) for low, high, field in parts)


def _part_between(first: bytes, last: bytes, kind: str) -> str:
    beginning = first.rstrip(bytes(1))
    if kind == "interface" and first != last and last == beginning.ljust(len(last), b"\xff"):
        return value_text(beginning, kind)  # all that begin with it
    return "-".join(dict.fromkeys(value_text(one, kind) for one in (first, last)))


def _key(family: int, said: Attributes, number: int) -> Key:
    """Family, table, and the name that an attribute has: of the set, or of the chain."""
    return family, text_of(said.get(1, b"")), text_of(said.get(number, b""))


def _named(key: Key) -> str:
    return " ".join((FAMILIES.get(key[0], str(key[0])), *key[1:]))
