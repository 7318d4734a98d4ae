"""Arbitrary bytes as a file of rules, in auditctl's syntax or the original's JSON.

A target of ``run.py``, which says how to fuzz. The seeds are rules of all kinds.
"""

from __future__ import annotations

import json

from mig_audit import rule, ruleset
from mig_audit.rule_fields import AnyAccount
from mig_core.errors import ConfigurationError

LINES = """\
# a comment
-D
-b 8192
-a always,exit -F arch=b64 -S execve,execveat -F auid>=1000 -F auid!=unset -k exec -k second
-A never,exit -F exe=/usr/bin/true -F success=0 -F exit=-EACCES -F msgtype=CWD
-w /etc/passwd -p wa -k 'of users'
-a always,exit -F dir=/etc -F perm=wa -F uid=root -F gid!=root -C uid!=euid
-a always,exclude -F msgtype=CWD
-a never,filesystem -F fstype=tracefs
-a always,exit -S mount -F a0&0x10 -F inode=12 -F saddr_fam=inet6 -F filetype=socket -F sessionid=4
-a never,task -F subj_user=x
"""
DOCUMENT = {
    "audit_rules": [
        {"path": "/etc/shadow/", "permission": "WA", "key": "shadow", "strict_path_check": True},
        {
            "actions": ["always", "exit"],
            "syscalls": ["openat2", "all"],
            "key": "calls",
            "fields": [{"name": "auid", "op": "gt_or_eq", "value": 1000}, {"name": "arch", "op": "eq", "value": 64}],
        },
    ],
    "delete": True,
    "enable": "1",
}
_SMALLEST = 1040
"""Bytes of a packed rule without strings: struct audit_rule_data."""


def seeds() -> list[bytes]:
    """All lines, each line, and a document."""
    return [LINES.encode(), *LINES.encode().splitlines(), json.dumps(DOCUMENT).encode()]


def check(data: bytes) -> None:
    """Reads a file of rules.

    Raises:
        AssertionError: something does not hold that the module promises.
    """
    try:
        found = ruleset.read_text(data, AnyAccount(), source="rules")
    except ConfigurationError as error:
        assert error.source == "rules", "an error does not name its file"
        assert error.problem, "an error does not say what is wrong"
        return
    assert ruleset.read_text(data, AnyAccount(), source="rules") == found
    for one in found.rules:
        packed = one.pack()
        assert len(packed) >= _SMALLEST
        assert rule.normal(rule.normal(packed)) == rule.normal(packed)
        assert len(one.fields) <= rule.MAX_FIELDS
