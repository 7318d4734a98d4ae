"""The rules that filter packets in a network namespace: nftables through pyroute2 (iptables-nft writes there too).

Only read. Nothing is asked that would load a module; a kernel without nf_tables has no such rules. Of tables of the
older kind (iptables-legacy) the kernel tells the names without further privileges; what their rules say is not read,
and booked.
"""

from __future__ import annotations

from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_netstat.handlers import Handlers

FIREWALL = "firewall"
NOT_ASKED = Reason("rules of the firewall that could not be asked for")
OLD_RULES = Reason("table of the older kind (iptables-legacy) whose rules are not read")
MAX_ELEMENTS = 10_000
"""Of all sets of a namespace: sets of blocked addresses may have millions."""
MORE_ELEMENTS = Reason(f"set of the firewall not read, or not to its end: more than {MAX_ELEMENTS} elements")
CHAIN, RULE, SET = "nftables", "nftables rule", "nftables set"
_OLD = {"ip_tables_names": "iptables", "ip6_tables_names": "ip6tables", "arp_tables_names": "arptables"}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_BY_TYPE = {7: "address", 8: "address", 12: "protocol", 13: "port", 41: "interface"}
"""How keys of sets are written, by the numbers that nft gives to their types (``datatype.h``)."""
_INTERVAL_END = 1


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
    from pyroute2.nftables.main import NFTables

    try:
        with NFTables(nfgen_family=0) as tables:
            rules, chains, sets = list(tables.get_rules()), list(tables.get_chains()), list(tables.get_sets())
        contents = _contents(sets, tally)
    except (NetlinkError, OSError) as error:
        tally.failed(NOT_ASKED, "nftables", str(error))
        return
    yield from _chains(chains, rules)
    yield from _rules(rules, contents)
    for one in sets:
        if not _is_anonymous(one):
            key = _key(one, "SET")
            yield {"what": FIREWALL, "type": SET, "table": _named(key), "names": contents.get(key)}


def _chains(chains: Iterable[Any], rules: Iterable[Any]) -> Iterator[dict[str, Cell]]:
    from mig_netstat.rule_text import plain

    counts: dict[tuple[int, str, str], int] = {}
    for rule in rules:
        key = _key(rule, "RULE")
        counts[key] = counts.get(key, 0) + 1
    for chain in chains:
        key = chain["nfgen_family"], chain.get_attr("NFTA_CHAIN_TABLE") or "", chain.get_attr("NFTA_CHAIN_NAME") or ""
        row: dict[str, Cell] = {"what": FIREWALL, "type": CHAIN, "table": _named(key), "count": counts.get(key, 0)}
        hook = plain(chain.get_attr("NFTA_CHAIN_HOOK"))
        if isinstance(hook, dict) and "HOOK_HOOKNUM" in hook:
            number = hook["HOOK_HOOKNUM"]
            policy = "accept" if chain.get_attr("NFTA_CHAIN_POLICY") else "drop"
            row["flags"] = [
                str(chain.get_attr("NFTA_CHAIN_TYPE") or "filter"),
                f"hook {'ingress' if key[0] == 5 else _HOOKS[number] if number < len(_HOOKS) else number}",
                f"priority {hook.get('HOOK_PRIORITY', 0)}",
                f"policy {policy}",
            ]
        yield row


def _rules(rules: Iterable[Any], contents: dict[tuple[int, str, str], list[str]]) -> Iterator[dict[str, Cell]]:
    from mig_netstat.rule_text import plain, rule_text

    for rule in rules:
        family, table, _ = _key(rule, "RULE")
        of_table = {
            name: f"{{ {', '.join(elements)} }}"
            for (its_family, its_table, name), elements in contents.items()
            if (its_family, its_table) == (family, table) and name.startswith("__")
        }
        steps = (
            (one.get_attr("NFTA_EXPR_NAME") or "?", plain(one.get_attr("NFTA_EXPR_DATA")) or {})
            for one in rule.get_attr("NFTA_RULE_EXPRESSIONS") or ()
        )
        row: dict[str, Cell] = {"what": FIREWALL, "type": RULE, "table": _named(_key(rule, "RULE"))}
        row["rule"] = rule_text(steps, family, of_table)
        yield row


def _contents(sets: Iterable[Any], tally: Tally) -> dict[tuple[int, str, str], list[str]]:
    """The elements of each set; a set that is too large, or that cannot be read, is not in it, which is booked."""
    from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETSETELEM, nft_set_elem_list_msg
    from pyroute2.nftables.main import NFTables

    found: dict[tuple[int, str, str], list[str]] = {}
    room = MAX_ELEMENTS
    for family, of_family in groupby(
        sorted(sets, key=lambda one: int(one["nfgen_family"])), lambda one: one["nfgen_family"]
    ):
        with NFTables(nfgen_family=family) as tables:
            for one in of_family:
                key = _key(one, "SET")
                if room <= 0:
                    tally.skip(MORE_ELEMENTS, _named(key))
                    continue
                message = nft_set_elem_list_msg()
                message["attrs"] = [["NFTA_SET_ELEM_LIST_TABLE", key[1]], ["NFTA_SET_ELEM_LIST_SET", key[2]]]
                listed = (
                    element
                    for part in tables.request_get(message, NFT_MSG_GETSETELEM)
                    for element in part.get_attr("NFTA_SET_ELEM_LIST_ELEMENTS") or ()
                )
                elements = list(islice(listed, room))
                if next(listed, None) is not None:
                    tally.skip(MORE_ELEMENTS, _named(key))
                room -= len(elements)
                found[key] = _elements(elements, _BY_TYPE.get(one.get_attr("NFTA_SET_KEY_TYPE"), "network"))
    return found


def _elements(elements: Iterable[Any], kind: str) -> list[str]:
    """As texts; of an interval the kernel lists both ends."""
    from mig_netstat.rule_text import bytes_text, plain, verdict_text

    read = []
    for one in elements:
        said = plain(one)
        raw = said.get("SET_ELEM_KEY", {}).get("DATA_VALUE", b"")
        data = said.get("SET_ELEM_DATA") or {}
        verdict = data.get("DATA_VERDICT")
        target = verdict_text(verdict) if verdict else data.get("DATA_VALUE", b"").hex()
        read.append((raw, _INTERVAL_END in (said.get("SET_ELEM_FLAGS") or ()), f" : {target}" if target else ""))
    texts: list[str] = []
    start: bytes | None = None
    start_target = ""
    for raw, is_end, target in sorted(read, key=lambda one: (one[0], not one[1])):
        if start is not None:
            last = int.from_bytes(raw, "big") - 1
            whole = is_end and last > int.from_bytes(start, "big")
            upto = f"-{bytes_text(last.to_bytes(len(raw), 'big'), kind)}" if whole else ""
            texts.append(f"{bytes_text(start, kind)}{upto}{start_target}")
        start, start_target = (None, "") if is_end else (raw, target)
    if start is not None:
        is_interval = any(is_end for _, is_end, _ in read)
        upto = f"-{bytes_text(bytes([255]) * len(start), kind)}" if is_interval else ""
        texts.append(f"{bytes_text(start, kind)}{upto}{start_target}")
    return texts


def _is_anonymous(one: Any) -> bool:
    return "NFT_SET_ANONYMOUS" in (one.get_attr("NFTA_SET_FLAGS") or ())


def _key(one: Any, kind: str) -> tuple[int, str, str]:
    """Family, table, and name of the set, or of the rule's chain."""
    name = "NFTA_SET_NAME" if kind == "SET" else "NFTA_RULE_CHAIN"
    return one["nfgen_family"], one.get_attr(f"NFTA_{kind}_TABLE") or "", one.get_attr(name) or ""


def _named(key: tuple[int, str, str]) -> str:
    from mig_netstat.rule_text import FAMILIES

    return " ".join((FAMILIES.get(key[0], str(key[0])), *key[1:]))
