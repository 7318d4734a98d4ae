#!/bin/sh
# pyroute2's NFTables.set_elems("get") returns the beginning of a large set as if it were all of it.
#
# The kernel answers with as many netlink messages as it takes; set_elems keeps the first and drops the others, without
# an error. Whoever looks for an address in a set of blocked ones finds that it is not there. All messages come with
# request_get(message, NFT_MSG_GETSETELEM).
# Needs root, nft(8) and unshare(1); the set is made in a network namespace of its own.
# Seen with pyroute2 0.9.7. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyroute2==0.9.7
cat >"$place/look.py" <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_GETSETELEM, nft_set_elem_list_msg
from pyroute2.nftables.main import NFTables, NFTSet

MADE = 2000
print("pyroute2", version("pyroute2"))
addresses = ", ".join(f"10.0.{number // 250}.{number % 250}" for number in range(MADE))
script = f"add table ip t; add set ip t s {{ type ipv4_addr; }}; add element ip t s {{ {addresses} }}"
subprocess.run(["nft", script], check=True)
with NFTables(nfgen_family=2) as tables:
    told = len(tables.set_elems("get", table="t", set=NFTSet("t", "s", key_type="ipv4_addr")))
    message = nft_set_elem_list_msg()
    message["attrs"] = [["NFTA_SET_ELEM_LIST_TABLE", "t"], ["NFTA_SET_ELEM_LIST_SET", "s"]]
    parts = list(tables.request_get(message, NFT_MSG_GETSETELEM))
    there = sum(len(part.get_attr("NFTA_SET_ELEM_LIST_ELEMENTS") or ()) for part in parts)
print(f"elements made: {MADE}; told by set_elems: {told}; in all {len(parts)} messages: {there}")
sys.exit(0 if told < there == MADE else 1)
PYTHON
unshare --net "$place/venv/bin/python" "$place/look.py"
