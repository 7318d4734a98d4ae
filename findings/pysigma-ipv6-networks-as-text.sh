#!/bin/sh
# pySigma makes a |cidr of an IPv6 network patterns that addresses outside of it match, and some inside of it do not.
#
# Backends without networks (SQLite's, which Zircolite runs) get texts with wildcards. 2001:db8::/33, half of a /32, becomes
# 2001:db8:* and so is the whole; 64:ff9b::/96, where IPv4 is translated, takes 64:ff9b::800:0:6161 too. In "not filter" that
# hides what the rule is for. And ::1/128 is '::1' only: an event that writes 0:0:0:0:0:0:0:1, as Sysmon does, is not in it.
# (The backend says that only the short form of an address is found; not that others' are.)
# Seen with pysigma 1.5.1, pysigma-backend-sqlite 2.0.0. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check pysigma==1.5.1 pysigma-backend-sqlite==2.0.0
"$place/venv/bin/python" - <<'PYTHON'
import ipaddress
import sqlite3
import sys
from importlib.metadata import version

from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

print(*(f"{one} {version(one)}" for one in ("pysigma", "pysigma-backend-sqlite")))
RULE = """
title: a connection to somewhere else
id: 5f2d0b3e-0b53-4ac1-9f2d-7e0fd0b21d0a
status: test
logsource: {category: network_connection, product: linux}
detection:
  selection: {DestinationPort: 443}
  filter: {DestinationIp|cidr: '%s'}
  condition: selection and not filter
"""
CASES = (
    ("2001:db8::/33", "2001:db8:8000::1"),
    ("64:ff9b::/96", "64:ff9b::800:0:6161"),
    ("::1/128", "0:0:0:0:0:0:0:1"),
    ("2001:db8::/33", "2001:db8:7fff::1"),
    ("2001:db8::/33", "2001:db9::1"),
)
wrong = []
for network, address in CASES:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE logs (DestinationIp TEXT COLLATE NOCASE, DestinationPort INTEGER)")
    database.execute("INSERT INTO logs VALUES (?, 443)", (address,))
    (query,) = sqliteBackend().convert(SigmaCollection.from_yaml(RULE % network))
    filtered = not database.execute(query).fetchall()
    inside = ipaddress.ip_address(address) in ipaddress.ip_network(network)
    print(f"{address} in {network}: {inside}; filtered: {filtered}")
    wrong.append(filtered != inside)
sys.exit(0 if wrong == [True, True, True, False, False] else 1)
PYTHON
