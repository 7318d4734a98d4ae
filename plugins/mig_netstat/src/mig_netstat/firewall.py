"""How many rules filter packets in a network namespace: nftables through pyroute2, older tables by name.

Only that there are rules, and how many: what they say is for the tools that know it. Nothing is asked that would load
a module; a kernel without nf_tables has no such rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally
    from mig_netstat.handlers import Handlers

FIREWALL = "firewall"
NOT_ASKED = Reason("rules of the firewall that could not be asked for")
_OLD = {"ip_tables_names": "iptables", "ip6_tables_names": "ip6tables", "arp_tables_names": "arptables"}


def rows(handlers: Handlers, tally: Tally) -> Iterator[dict[str, Cell]]:
    """For each of nftables' chains its number of rules; for each table of the older kind its name."""
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
            yield {"what": FIREWALL, "type": kind, "table": name}


def _nftables(handlers: Handlers, tally: Tally) -> Iterator[dict[str, Cell]]:
    if not handlers.may_ask("nftables"):
        return
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.nftables.main import NFTables

    counts: dict[tuple[str, str], int] = {}
    try:
        with NFTables(nfgen_family=0) as tables:
            for one in tables.get_rules():
                key = (one.get_attr("NFTA_RULE_TABLE") or "", one.get_attr("NFTA_RULE_CHAIN") or "")
                counts[key] = counts.get(key, 0) + 1
    except (NetlinkError, OSError) as error:
        tally.failed(NOT_ASKED, "nftables", str(error))
        return
    for (table, chain), count in sorted(counts.items()):
        yield {"what": FIREWALL, "type": "nftables", "table": f"{table} {chain}".strip(), "count": count}
