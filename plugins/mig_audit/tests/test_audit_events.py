"""Recorded records in, events out: what is in them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_audit import address, execve, record
from mig_audit.accounts import Accounts
from mig_audit.event import Events

if TYPE_CHECKING:
    from collections.abc import Callable

    Decode = Callable[[str], list[dict[str, Any]]]

DATA = Path(__file__).parent / "data"
STREAMS = ["connections", "execve", "files", "login", "messages", "odd_calls"]


def launched(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in events if one["type"] == "SYSCALL" and one["result"] and "arguments" in one["process"]]


def test_arguments_are_joined_and_decoded_however_long(decode: Decode) -> None:
    arguments = [one["process"]["arguments"] for one in launched(decode("execve"))]

    assert arguments[0] == ["true", "a b", "", "it's", "gr\u00fcn", "line\nbreak", 'say "x"', "a=b", "a1=c"]
    assert arguments[1] == ["true", "x" * 20_000, "\u00e4" * 9_000, "end"]
    assert arguments[2] == ["true", *map(str, range(900))]


def test_a_shell_would_read_the_command_as_the_same_arguments(decode: Decode) -> None:
    import shlex

    for one in launched(decode("execve")):
        assert shlex.split(one["process"]["command"]) == one["process"]["arguments"]


def test_an_execve_is_whole(decode: Decode) -> None:
    event = launched(decode("execve"))[0]

    assert event["schema"] == 1
    assert event["type"] == "SYSCALL"
    assert event["complete"] is True
    assert event["record_types"] == ["SYSCALL", "BPRM_FCAPS", "EXECVE", "CWD", "PATH", "PATH", "PROCTITLE"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
    assert event["keys"] == ["exec", "second"]
    assert event["syscall"] | {"args": 4} == {
        "name": "execve", "number": 59, "arch": "x86_64", "args": 4, "exit": 0,
    }  # fmt: skip
    assert event["process"]["exe"] == "/usr/bin/true"
    assert event["process"]["cwd"] == "/"
    assert event["process"]["title"] == "/usr/bin/python3 tools/record_streams.py tests/data"  # a vfork's, still
    assert [path["name"] for path in event["paths"]] == ["/usr/bin/true", "/lib64/ld-linux-x86-64.so.2"]
    assert event["paths"][0]["kind"] == "file"
    assert event["user"]["uid"] == 0


def test_a_failed_call_names_its_error(decode: Decode) -> None:
    denied = [one for one in decode("odd_calls") if one.get("keys") == ["denied"] and one["type"] == "SYSCALL"]

    assert [(one["result"], one["syscall"]["error"]) for one in denied] == [(False, "EACCES")]
    assert denied[0]["paths"][0]["name"] == "/etc/shadow"


def test_addresses_of_all_families_are_read(decode: Decode) -> None:
    found = [one["address"] for one in decode("connections") if "address" in one]

    assert {"family": "inet", "address": "192.0.2.1", "port": 80} in found
    assert {"family": "inet6", "address": "2001:db8::1", "port": 443} in found
    assert {"family": "unix", "path": "/run/no such socket"} in found
    assert {"family": "unix", "abstract": "abstract"} in found
    assert {"family": "netlink", "port": 0, "groups": 1} in found


def test_an_ipv4_address_inside_ipv6_is_written_alike_by_every_interpreter() -> None:
    mapped = bytes.fromhex("0a00 01bb 00000000 00000000000000000000ffff0a010203 00000000".replace(" ", ""))

    assert address.read(mapped.hex()) == {"family": "inet6", "address": "::ffff:10.1.2.3", "port": 443}


def test_an_abstract_name_keeps_each_nul() -> None:
    padded = address.read("0100" + b"\0a\0b\0\0".hex())

    assert padded == {"family": "unix", "abstract": r"a\x00b\x00\x00"}
    assert padded != address.read("0100" + b"\0a\0b".hex())


def test_calls_of_other_conventions_and_new_ones_have_names(decode: Decode) -> None:
    calls = [(one["syscall"]["arch"], one["syscall"]["name"]) for one in decode("odd_calls") if "syscall" in one]

    assert {("i386", "getpid"), ("x86_64", "openat2"), ("x86_64", "cachestat"), ("x86_64", "mmap")} <= set(calls)


def test_records_of_every_other_type_are_kept_with_their_fields(decode: Decode) -> None:
    others = {other["type"]: other["fields"] for one in decode("odd_calls") for other in one.get("records", [])}

    assert others["FD_PAIR"].keys() == {"fd0", "fd1"}
    assert others["MMAP"]["flags"] == "0x1"
    assert others["OBJ_PID"]["ocomm"] == "python3"
    assert others["OPENAT2"]["resolve"] == "0x0"
    assert others["SECCOMP"]["sig"] == "9"


def test_a_record_without_end_is_an_event_of_its_real_type(decode: Decode) -> None:
    seccomp = [one for one in decode("odd_calls") if one["type"] == "SECCOMP"]

    assert len(seccomp) == 1
    assert seccomp[0]["complete"] is True
    assert seccomp[0]["process"]["name"] == "python3"
    assert seccomp[0]["syscall"] == {"name": "getppid", "number": 110, "arch": "x86_64"}


def test_every_path_of_a_rename_is_kept(decode: Decode) -> None:
    renames = [one for one in decode("files") if one.get("syscall", {}).get("name", "").startswith("rename")]

    assert [path["type"] for path in renames[0]["paths"]] == ["PARENT", "PARENT", "DELETE", "CREATE"]
    assert [path["name"] for path in renames[0]["paths"]][2:] == ["a b", "c"]


def test_a_login_comes_with_its_system_call(decode: Decode) -> None:
    login = decode("login")[0]

    assert (login["type"], login["record_types"]) == ("LOGIN", ["LOGIN", "SYSCALL", "PROCTITLE"])
    assert login["result"] is True
    assert login["user"]["auid"] == 65534


def test_messages_of_programs_are_opened(decode: Decode) -> None:
    events = {one["type"]: one for one in decode("messages")}

    assert events["USER_LOGIN"]["result"] is False
    assert events["USER_LOGIN"]["records"][0]["fields"]["addr"] == "192.0.2.7"
    assert events["USER_START"]["result"] is True
    assert events["USER_CMD"]["records"][0]["fields"]["cmd"] == "cat a b "
    assert events["USER_ERR"]["records"][0]["fields"]["acct"] == "(unknown)"


@pytest.mark.parametrize(
    ("kind", "body", "checks"),
    [
        (
            1400,
            'avc:  denied  { read write } for  pid=7 comm="cat" name="x" dev="dm-0" ino=3 scontext=a:b:c '
            "tcontext=d:e:f tclass=file permissive=0",
            {"result": False, "type": "AVC"},
        ),
        (
            1400,
            'apparmor="DENIED" operation="open" profile="/usr/bin/x" name="/etc/a" pid=7 comm="x" requested_mask="r" '
            'denied_mask="r" fsuid=0 ouid=0',
            {"result": False, "type": "AVC"},
        ),
        (1701, 'auid=1000 uid=0 gid=0 ses=1 pid=4 comm="x" exe="/x" sig=11 res=1', {"result": True}),
        (1334, "prog-id=41 op=LOAD", {"type": "BPF", "complete": True}),
        (1999, "anything at all", {"type": "UNKNOWN[1999]"}),
    ],
)
def test_other_kernel_lost_keep_verdict_and_type(kind: int, body: str, checks: dict[str, Any]) -> None:
    event = Events(Accounts(time.monotonic), None).make("1.000:5", [(kind, f"audit(1.000:5): {body}")])

    assert event | checks == event


def test_members_that_a_system_call_has_only_now_and_then_are_kept() -> None:
    body = (
        "arch=40000003 syscall=20 per=8 a0=1 a1=2 a2=3 a3=4 items=0 ppid=1 pid=2 auid=0 uid=0 gid=0 euid=0 suid=0 "
        'fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=1 comm="x" exe="/x" key=(null)'
    )

    event: dict[str, Any] = dict(
        Events(Accounts(time.monotonic), None).make("1.000:5", [(1300, f"audit(1.000:5): {body}")])
    )

    assert event["syscall"]["per"] == "8"
    assert event["result"] is None


def test_the_kernels_missing_blank_is_put_in_and_no_other_text_is_changed() -> None:
    glued = 'auid=4242 ses=115op=remove_rule path="/tmp/d/f" key="w" list=4 res=1'

    assert record.pairs(" " + glued)["ses"] == "115"
    assert record.pairs(glued)["op"] == "remove_rule"
    assert record.pairs('name="auid=1 ses=1op=x" ses=2op=y')["name"] == '"auid=1 ses=1op=x"'


def operation(body: str, *others: tuple[int, str]) -> dict[str, Any]:
    records = [*others, (1336, body)]
    stamped = [(kind, f"audit(1.000:5): {text}") for kind, text in records]
    return dict(Events(Accounts(time.monotonic), None).make("1.000:5", stamped))


RING = "uring_op=18 success=yes exit=0 items=0 ppid=1 pid=2 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0"


def test_an_operation_of_io_uring_keeps_its_key_and_is_not_believed() -> None:
    event = operation(RING + ' key="ring"')

    assert (event["type"], event["keys"], event["result"]) == ("URINGOP", ["ring"], None)
    assert event["operation"] == {"name": "openat", "number": 18}
    assert event["process"] == {"pid": 2, "ppid": 1}
    assert event["complete"] is True


def test_an_operation_of_io_uring_without_its_paths_is_not_complete() -> None:
    event = operation(RING.replace("items=0", "items=1") + " key=(null)")

    assert (event["complete"], event["missing"]) == (False, ["PATH", "CWD"])


def test_names_of_fields_that_come_twice_are_both_kept() -> None:
    assert record.pairs("op=x uid=1 msg='op=y uid=2 res=1'") == {
        "op": "x", "uid": "1", "op_2": "y", "uid_2": "2", "res": "1",
    }  # fmt: skip


def test_raw_text_comes_when_asked_for() -> None:
    records = [(1334, "audit(1.000:5): prog-id=41 op=LOAD")]

    event = Events(Accounts(time.monotonic), None, include_raw=True).make("1.000:5", records)

    assert event["raw"] == ["type=BPF msg=audit(1.000:5): prog-id=41 op=LOAD"]


def test_what_is_too_long_is_cut_and_said() -> None:
    stamp = "1.000:5"
    many = [(1302, f'audit({stamp}): item={number} name="/{"x" * 4000}" nametype=NORMAL') for number in range(500)]
    words = [(1309, f"audit({stamp}): " + " ".join(f'a{word}="{"y" * 1000}"' for word in range(7))) for _ in range(60)]

    event: dict[str, Any] = dict(Events(Accounts(time.monotonic), None, include_raw=True).make(stamp, words + many))

    assert len(json.dumps(event)) < 1 << 20
    assert event["cut"].keys() == {"PATH", "arguments", "raw"}
    assert len(event["paths"]) + event["cut"]["PATH"] == 500


# --- records that did not come


def without(recorded: Callable[[str], list[tuple[int, str]]], name: str, call: str, lost: int) -> dict[str, Any]:
    """The first event of a call in a recorded stream, less the first of its records of one type."""
    records = recorded(name)
    stamp = next(text.partition(")")[0] for kind, text in records if kind == 1300 and call in text)
    whole = [one for one in records if one[1].startswith(stamp + ")") and one[0] != 1320]
    gone = next((one for one in whole if one[0] == lost), None)
    left = [one for one in whole if one is not gone]
    return dict(Events(Accounts(time.monotonic), None).make(stamp[6:], left))


@pytest.mark.parametrize(
    ("name", "call", "lost", "missing"),
    [
        ("execve", "syscall=59 success=yes", 1309, ["EXECVE"]),
        ("execve", "syscall=59 success=yes", 1302, ["PATH"]),
        ("execve", "syscall=59 success=yes", 1307, ["CWD"]),
        ("execve", "syscall=59 success=yes", 1327, ["PROCTITLE"]),
        ("files", "syscall=316 ", 1302, ["PATH"]),
        ("odd_calls", "syscall=293 ", 1317, ["FD_PAIR"]),
        ("odd_calls", "syscall=437 ", 1337, ["OPENAT2"]),
        ("connections", "syscall=49 ", 1306, ["SOCKADDR"]),
    ],
)
def test_an_event_without_a_record_of_its_kind_is_not_complete_and_says_which(
    name: str, call: str, lost: int, missing: list[str], recorded: Callable[[str], list[tuple[int, str]]]
) -> None:
    assert without(recorded, name, call, 0)["complete"] is True

    event = without(recorded, name, call, lost)

    assert (event["complete"], event["missing"]) == (False, missing)


def test_an_execve_that_lost_one_of_its_pieces_is_not_complete(
    recorded: Callable[[str], list[tuple[int, str]]],
) -> None:
    bodies = [text.partition("): ")[2] for kind, text in recorded("execve") if kind == 1309]
    long = bodies[1:12]

    assert execve.arguments(long).whole
    assert not any(execve.arguments(long[:place] + long[place + 1 :]).whole for place in range(len(long)))


def test_what_a_rule_keeps_out_is_not_missing(recorded: Callable[[str], list[tuple[int, str]]]) -> None:
    factory = Events(Accounts(time.monotonic), None)
    stamp = next(text.partition(")")[0] for kind, text in recorded("files") if kind == 1300 and "syscall=316 " in text)
    records = [one for one in recorded("files") if one[1].startswith(stamp + ")")]
    left = [one for one in records if one[0] not in (1307, 1320)]
    stamp = stamp[6:]

    before = factory.make(stamp, left)
    factory.exclude(frozenset({1307}))
    after = factory.make(stamp, left)

    assert (before["complete"], after["complete"]) == (False, True)


def test_every_recorded_event_is_complete(decode: Decode) -> None:
    assert [one for name in STREAMS for one in decode(name) if not one["complete"]] == []


BODIES = st.text(max_size=300) | st.lists(
    st.sampled_from(
        [
            "arch=c000003e", "arch=zz", "syscall=59", "syscall=-1", "syscall=x", "success=yes", "exit=0", "exit=--1",
            "a0=1", "a1=", "items=2", "pid=1", "ppid=2", "pid=", "uid=4294967295", "uid=99999999999999", "auid=0",
            'comm="x', "comm=", "comm=41", "exe=(null)", "key=(null)", 'key="a"', "key=61016", "argc=2", 'a0="x"',
            "a1[0]=6", "a1[1]=41", "a1_len=9", "saddr=02", "saddr=0A00", "saddr=0100", "name=zz", "mode=xyz",
            "inode=\u0663", "ouid=-5", "msg='x=1", "msg=''", "avc:  denied  { x", "=", "item=99999999999999999999999",
            "\x00", "proctitle=4", "proctitle=(null)", "cwd=", "tty=", "ses=", "gid=1", "euid=1", "suid=1", "fsuid=1",
        ]
    ),
    max_size=40,
).map(" ".join)  # fmt: skip
KINDS = st.sampled_from([1006, 1112, 1300, 1302, 1305, 1306, 1307, 1309, 1327, 1326, 1400, 1999, 2100])


@given(st.lists(st.tuples(KINDS, BODIES), min_size=1, max_size=8), st.booleans())
def test_any_records_make_an_event_that_is_json(records: list[tuple[int, str]], include_raw: bool) -> None:
    factory = Events(Accounts(time.monotonic), None, include_raw=include_raw)
    stamped = [(kind, f"audit(1700000000.123:7): {body}") for kind, body in records]

    event = factory.make("1700000000.123:7", stamped)

    json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert len(event["record_types"]) == len(records)  # type: ignore[arg-type]  # a list, as documented


@given(st.text(max_size=100))
def test_any_address_is_read(text: str) -> None:
    assert "family" in address.read(text)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30), max_size=20))
def test_arguments_survive_the_kernels_way_of_writing(words: list[str]) -> None:
    body = f"argc={len(words)} " + " ".join(f"a{index}={_as_kernel(word)}" for index, word in enumerate(words))

    assert execve.arguments([body]) == execve.Arguments(words)


def _as_kernel(word: str) -> str:
    data = word.encode("utf-8")
    plain = all(0x21 <= byte < 0x7F and byte != 0x22 for byte in data)
    return f'"{word}"' if plain else data.hex().upper()
