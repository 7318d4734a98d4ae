"""Rules in both syntaxes, and what becomes of them on the way to the kernel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_audit import places, rule, rule_fields, rule_line, ruleset, tables
from mig_audit.kernel import KernelRefused
from mig_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_audit.kernel import Kernel

WALK_THROUGH = [
    "-a always,exit -F arch=b64 -S execve -k exec",
    "-a always,exit -F arch=b32 -S execve -k exec",
    "-w /etc/passwd -p wa -k passwd",
    "-w /etc/shadow -p wa -k shadow",
]
AS_AUDITCTL_LOADS_THEM = [
    *WALK_THROUGH,
    "-w /etc/ssh -k whole-folder",
    "-w /etc/no-such-file -p r",
    "-a always,exit -S all -F auid>=1000 -F auid!=unset -k people",
    "-a always,exit -F arch=b64 -S openat,open,truncate -F exit=-EACCES -F success=0 -k denied -k twice",
    "-A never,exit -F arch=b64 -S connect -F exe=/usr/bin/true",
    "-a always,exit -F dir=/etc -F perm=wa -F uid=root -F gid!=root",
    "-a always,exit -F path=/etc/hosts -F perm=r -F obj_uid=0 -F filetype=file",
    "-a always,exit -F arch=b64 -S kill -F a1=9 -F a0&0x10 -F pid!=1 -F ppid>2",
    "-a always,exit -F arch=b64 -S setuid -C uid!=euid -F key=escalation",
    "-a always,exclude -F msgtype=CWD",
    "-a never,user -F uid=65534",
    "-a always,exit -F arch=b64 -S connect -F saddr_fam=10",
    "-a never,filesystem -F fstype=tracefs",
    "-a never,task -F auid=unset",
    "-a always,exit -F arch=b64 -S mount -F sessionid=4 -F inode=12 -F devmajor=8 -F devminor=0x1",
]


def read(line: str) -> rule.Rule:
    made, _note = rule_line.read(line, rule_fields.AccountNumbers())
    assert made is not None
    return made


@pytest.mark.parametrize("line", AS_AUDITCTL_LOADS_THEM)
def test_a_rule_reaches_the_kernel_as_auditctl_would_have_sent_it(
    line: str, audit_kernel: Kernel, auditctl: Callable[..., str]
) -> None:
    import shlex

    complaints = auditctl(*shlex.split(line))
    theirs = audit_kernel.rules()
    assert len(theirs) == 1, complaints
    audit_kernel.delete(theirs[0], "theirs")
    ours = read(line)

    audit_kernel.add(places.forms_of(ours)[0].packed, line)

    assert [rule.normal(one) for one in audit_kernel.rules()] == [rule.normal(one) for one in theirs]


def test_a_rule_that_is_too_long_for_the_kernel_is_refused_and_not_a_crash(audit_kernel: Kernel) -> None:
    with pytest.raises(KernelRefused, match="too long: Message too long"):
        audit_kernel.add(b"\0" * (1 << 20), "too long")

    assert audit_kernel.rules() == []


def test_what_the_kernel_lists_is_what_was_packed(audit_kernel: Kernel) -> None:
    packed = read(WALK_THROUGH[0]).pack()

    audit_kernel.add(packed, "rule")

    assert [rule.normal(one) for one in audit_kernel.rules()] == [rule.normal(packed)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("-a always -S execve", "a list and an action"),
        ("-a always,entry -S execve", "use exit"),
        ("-a always,exit -S nosuchcall", "nosuchcall"),
        ("-a always,exit -S execve -F arch=b64", "architecture comes first"),
        ("-a always,exit -F arch=b99", "b64, b32"),
        ("-a always,exit -F nosuchfield=1", "nosuchfield"),
        ("-a always,exit -F path=relative", "absolute path"),
        ("-a always,exit -F path>/etc", "cannot be compared"),
        ("-a always,exit -F uid=nobodyofthatname", "nobodyofthatname"),
        ("-a always,exit -F auid", "field, operator and value"),
        ("-a always,exit -F msgtype=CWD", "exclude and user only"),
        ("-a always,task -F exit=0", "exit list only"),
        ("-w etc/passwd -p wa", "absolute path"),
        ("-w /etc/../passwd -p wa", ".."),
        ("-w /etc/passwd -p wq", "letters r w x a"),
        ("-w /etc/passwd -F uid=0", "list first"),
        ("-a always,exit -S", "nothing after -S"),
        ("-a always,exit -k x", "could be the key of"),
        ("-d always,exit -S execve", "deletes"),
        ("-aalways,exit", "blank"),
        ("--nonsense", "unknown option"),
        ("-a always,exit -F 'path=/etc", "cannot be read"),
        ("-a always,exit -C uid!=inode", "cannot compare"),
        ("-k alone", "neither a list"),
        ("-a always,exit -F a0=99999999999", "32 bits"),
    ],
)
def test_a_faulty_rule_is_refused_with_the_reason(line: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ruleset.read_lines(
            [WALK_THROUGH[0], line], rule_fields.AccountNumbers(), source="", key="persistent.audit.rules[{}]"
        )

    assert caught.value.key == "persistent.audit.rules[1]"
    assert problem in caught.value.problem


def test_what_changes_all_of_auditing_is_left_out_and_said() -> None:
    lines = ["# comment", "", "-D", "-b 8192", "-f 1", "-i", *WALK_THROUGH, "-e 2"]

    found = ruleset.read_text("\n".join(lines).encode(), rule_fields.AccountNumbers(), source="audit.rules")

    assert len(found.rules) == len(WALK_THROUGH)
    assert [note.split(" is ")[0] for note in found.notes] == ["-D", "-b 8192", "-f 1", "-e 2"]


def test_the_types_that_rules_keep_out_are_known() -> None:
    lines = [
        "-a always,exclude -F msgtype=CWD",
        "-a never,exclude -F msgtype=PROCTITLE -F uid=0",
        "-a always,exit -S mount",
    ]

    assert rule.excluded_types(read(one).pack() for one in lines) == {1307, 1327}
    assert rule.excluded_types([read("-a always,exclude -F msgtype!=CWD").pack()]) == set(range(1300, 1400)) - {1307}
    assert 1300 in rule.excluded_types([read("-a always,exclude -F pid=7").pack()])
    assert rule.excluded_types([b"", b"x" * 1040]) == frozenset()


def test_the_list_of_io_uring_knows_its_own_operations() -> None:
    made = read("-a always,io_uring -S openat,unlinkat -k ring")
    by_number = read("-a always,io_uring -S 18 -S 36 -k ring")
    call = read("-a always,exit -S openat")

    assert made.mask == by_number.mask == rule.mask_of({18, 36})
    assert call.mask == rule.mask_of({tables.syscall_numbers(tables.native())["openat"]}) != rule.mask_of({18})
    with pytest.raises(ValueError, match="unknown operation of io_uring 'execve'"):
        read("-a always,io_uring -S execve")


def test_modern_system_calls_are_known_on_every_architecture() -> None:
    for arch in ("x86_64", "i386", "aarch64", "riscv64", "arm", "ppc64le", "s390x"):
        known = tables.syscall_numbers(arch)
        assert {"execve", "execveat", "openat2", "clone3", "statx", "cachestat"} <= set(known), arch
    assert tables.syscall(0xC00000B7, 221) == ("aarch64", "execve")
    assert tables.syscall(0x40000003, 11) == ("i386", "execve")
    assert tables.syscall(0xC000003E, 0x40000000 | 520) == ("x32", "execve")
    assert tables.syscall(0xC000003E, 9999) == ("x86_64", "9999")


JSON_RULES = {
    "audit_rules": [
        {"actions": ["always", "exit"], "syscalls": ["execve"], "key": "exec", "fields": [
            {"name": "arch", "op": "eq", "value": 64}, {"name": "auid", "op": "gt_or_eq", "value": "1000"}]},
        {"path": "/etc/passwd", "permission": "WA", "key": "passwd"},
        {"path": "/etc/shadow/", "permission": "wa", "strict_path_check": True},
        {"actions": ["entry", "never"], "syscalls": ["openat2", "all"]},
    ],
    "delete": True, "enable": "1", "buffer": "16384", "rate": "500",
}  # fmt: skip


def from_json(document: object) -> ruleset.RuleSet:
    return ruleset.read_text(json.dumps(document).encode(), rule_fields.AccountNumbers(), source="rules.json")


def test_the_originals_json_means_the_same_rules() -> None:
    found = from_json(JSON_RULES)

    assert found.rules[0].pack() == read("-a always,exit -F arch=b64 -F auid>=1000 -S execve -k exec").pack()
    assert found.rules[1].pack() == read("-w /etc/passwd -p wa -k passwd").pack()
    assert found.rules[2].pack() == read("-w /etc/shadow -p wa").pack()
    assert found.rules[2].required
    assert found.rules[3].pack() == read("-a never,exit -S all").pack()
    assert len(found.notes) == 4


@pytest.mark.parametrize(
    ("bad", "place", "problem"),
    [
        ({}, "audit_rules", "is missing"),
        ({"audit_rules": {}}, "audit_rules", "must be a list"),
        ({"audit_rules": [{"path": "/x"}]}, "audit_rules[0].permission", "is missing"),
        ({"audit_rules": [{"path": "x", "permission": "w"}]}, "audit_rules[0]", "absolute path"),
        ({"audit_rules": [{"syscalls": ["execve"]}]}, "audit_rules[0]", "one action and one list"),
        ({"audit_rules": [{"actions": ["always", "exit"], "syscalls": ["nosuch"]}]}, "audit_rules[0]", "nosuch"),
        (
            {"audit_rules": [{"actions": ["always", "exit"], "fields": [{"name": "uid", "op": "is", "value": 0}]}]},
            "audit_rules[0]",
            "unknown operator 'is'",
        ),
        (
            {
                "audit_rules": [
                    {
                        "actions": ["always", "exit"],
                        "syscalls": ["execve"],
                        "key": "one too many",
                        "fields": [{"name": "a0", "op": "eq", "value": value} for value in range(64)],
                    }
                ]
            },
            "audit_rules[0]",
            "has 65 conditions",
        ),
        ({"audit_rules": [{"path": "/x", "permission": "w", "colour": 1}]}, "audit_rules[0].colour", "not a known key"),
        ({"audit_rules": [], "more": 1}, "more", "not a known key"),
    ],
)
def test_faulty_json_is_refused_with_its_place(bad: object, place: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_json(bad)

    assert (caught.value.source, caught.value.key) == ("rules.json", place)
    assert problem in caught.value.problem


WORDS = st.sampled_from(["-a", "always,exit", "-F", "uid=0", "-S", "execve", "-w", "/x", "-p", "wa", "-k", "k", "-C"])


@given(st.text(max_size=80) | st.lists(WORDS | st.text(max_size=8), max_size=8).map(" ".join))
def test_any_line_gives_a_rule_that_packs_or_a_reason(line: str) -> None:
    try:
        made, _note = rule_line.read(line, rule_fields.AnyAccount())
    except ValueError as error:
        assert str(error)
    else:
        assert made is None or len(made.pack()) >= 1040


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b'{"audit_rules":[' + tail))
def test_any_file_gives_rules_or_a_configuration_error(raw: bytes) -> None:
    try:
        ruleset.read_text(raw, rule_fields.AnyAccount(), source="rules")
    except ConfigurationError as error:
        assert error.source == "rules"
