"""Recorded records in, events out: they agree with audit's own ausearch."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.testing.services import service_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    Decode = Callable[[str], list[dict[str, Any]]]

DATA = Path(__file__).parent / "data"
STREAMS = ["connections", "execve", "files", "login", "messages", "odd_calls"]


def interpreted(name: str) -> list[tuple[str, str, str]]:
    """What ausearch says: serial, type and fields of each record."""
    if shutil.which("ausearch") is None:
        service_missing("needs ausearch (package auditd), to compare with")
    shown = subprocess.run(
        ["ausearch", "--input", str(DATA / f"{name}.log"), "-i"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",  # it cuts long arguments in the middle of a character
        check=True,
    ).stdout
    return re.findall(r"^type=(\S+) msg=audit\([^)]*:(\d+)\) : (.*?) ?$", shown, re.MULTILINE)


def field(text: str, key: str) -> str:
    found = re.search(rf"(?:^| ){key}=(.*?)(?= [a-z0-9_-]+=|$)", text)
    assert found is not None, (key, text)
    return found[1]


@pytest.mark.parametrize("name", STREAMS)
def test_events_say_what_ausearch_says(name: str, decode: Decode) -> None:
    events = {str(one["serial"]): one for one in decode(name)}

    compared = 0
    for kind, serial, text in interpreted(name):
        event = events[serial]
        if kind == "SYSCALL":
            compared += _same_call(event, text)
        elif kind == "PATH":
            path = next(one for one in event["paths"] if str(one["item"]) == field(text, "item"))
            assert field(text, "name").strip() == (path["name"] or "(null)").strip()
            assert field(text, "nametype") == path["type"]
            if "inode" in path:
                assert field(text, "inode") == str(path["inode"])
                assert field(text, "dev") == path["device"]
                assert field(text, "mode").split(",")[-1] == f"{int(path['mode'], 8) & 0o7777:03o}"
            compared += 1
        elif kind == "CWD":
            assert field(text, "cwd") == event["process"]["cwd"]
        elif kind == "PROCTITLE":
            title = event["process"]["title"]
            assert text.removeprefix("proctitle=").split("\\")[0][:40].strip() in title.replace("  ", " ") or (
                text.removeprefix("proctitle=").split() == title.split()[: len(text.split())]
            )
        elif kind == "SOCKADDR":
            compared += _same_address(event["address"], text)
    assert compared or name == "messages"


def _same_call(event: dict[str, Any], text: str) -> int:
    call, process = event["syscall"], event["process"]
    assert field(text, "arch") == call["arch"]
    # The release of ausearch may be older than a system call.
    assert field(text, "syscall") in (call["name"], f"unknown-syscall({call['number']})")
    assert field(text, "success") == ("yes" if event["result"] else "no")
    assert field(text, "exit").split("(")[0] == (call.get("error") or str(call["exit"]))
    assert (field(text, "pid"), field(text, "ppid")) == (str(process["pid"]), str(process["ppid"]))
    assert (field(text, "comm"), field(text, "exe")) == (process["name"], process["exe"])
    assert re.findall(r" key=(\S+)", text) == event.get("keys", ["(null)"])
    return 1


def _same_address(ours: dict[str, Any], text: str) -> int:
    if ours["family"] in ("inet", "inet6"):
        assert f"laddr={ours['address']} lport={ours['port']} " in text
    elif ours["family"] == "unix":
        assert f"path={ours.get('path') or ours.get('abstract')} " in text
    else:
        assert "saddr_fam=netlink" in text
    return 1
