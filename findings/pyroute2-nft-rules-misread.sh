#!/bin/sh
# pyroute2 gives rules of nftables with other numbers than they have, and some as a list of numbers; without an error.
#
# A quota of 10 MiB has 0 bytes (16 of its 64 bits are read), log group 2 is 131072, "fib daddr type" has two other results
# and a flag that is not set, a named counter's kind is a register. The steps of a rule with "fwd" are the bytes of the
# message, one number each, so get_attr() fails in the middle of a firewall. Who compares rules with what they should be
# compares what is not there. The bytes in the messages (message.data) are right.
# Needs root, nft(8) and unshare(1); the rules are made in a network namespace of their own.
# Seen with pyroute2 0.9.7. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check pyroute2==0.9.7
cat >"$place/rules.nft" <<'RULES'
table inet f {
    counter web { }
    chain in {
        type filter hook input priority 0
        quota over 10 mbytes drop
        log group 2
        fib daddr type local accept
        counter name web
    }
}
table netdev n {
    chain in {
        type filter hook ingress device lo priority 0
        fwd to lo
    }
}
RULES
cat >"$place/look.py" <<'PYTHON'
import sys

from pyroute2.nftables.main import NFTables

with NFTables(nfgen_family=0) as tables:
    steps = [
        step
        for rule in tables.get_rules()
        for step in rule.get_attr("NFTA_RULE_EXPRESSIONS")
    ]
seen = {}
for step in steps:
    if isinstance(step, dict):
        data = step.get_attr("NFTA_EXPR_DATA")
        for name, value in data["attrs"] if isinstance(data, dict) else ():
            seen.setdefault(name, value)
for name in ("NFTA_QUOTA_BYTES", "NFTA_LOG_GROUP", "NFTA_FIB_RESULT", "NFTA_FIB_FLAGS", "NFTA_OBJREF_IMM_TYPE"):
    print(f"{name} {seen.get(name)}")
others = [step for step in steps if not isinstance(step, dict)]
print("steps of the rule with fwd:", others[:8], "...")
expected = {
    "NFTA_QUOTA_BYTES": 0,
    "NFTA_LOG_GROUP": 131072,
    "NFTA_FIB_RESULT": {"NFT_FIB_RESULT_UNSPEC", "NFT_FIB_RESULT_OIF"},
    "NFTA_FIB_FLAGS": "NFTA_FIB_F_MARK",
    "NFTA_OBJREF_IMM_TYPE": "NFT_REG_1",
}
sys.exit({name: seen.get(name) for name in expected} != expected or not others or not all(isinstance(one, int) for one in others))
PYTHON
cat >"$place/run.sh" <<'RUN'
set -eu
ip link set lo up
nft -f "$1/rules.nft"
nft -n list ruleset | grep -E 'quota|log|fib|fwd|counter name'
"$1/venv/bin/python" "$1/look.py"
RUN
unshare -n sh "$place/run.sh" "$place"
