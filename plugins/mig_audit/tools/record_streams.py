"""Records test data for the decoder: real records of this kernel, in the form in which auditd writes its log.

Run by hand as root, with no audit daemon running, from the plugin's folder (paths of processes go into the records)::

    env -i PATH=/usr/sbin:/usr/bin PYTHONPATH=src:../.. /usr/bin/python3 tools/record_streams.py tests/data

Leaves auditing as it was. ``ausearch --input FILE -i`` reads the result too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from mig_audit import kernel, netlink, places, receive, record, rule_fields, rule_line, tables

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = {
    "connections": """
import socket, os
def tried(family, address, kind=socket.SOCK_STREAM):
    s = socket.socket(family, kind); s.setblocking(False)
    try: s.connect(address)
    except OSError: pass
tried(socket.AF_INET, ("192.0.2.1", 80)); tried(socket.AF_INET6, ("2001:db8::1", 443))
tried(socket.AF_INET6, ("::1", 22, 0, 0))
tried(socket.AF_UNIX, "/run/no such socket"); tried(socket.AF_UNIX, "\\0abstract")
n = socket.socket(16, socket.SOCK_RAW, 0); n.bind((0, 1))
""",
    "odd_calls": """
import ctypes, mmap, os, socket, signal
code = mmap.mmap(-1, 4096, prot=7)
code.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall(39 | 0x40000000)  # getpid by the x32 convention
os.pipe2(0); socket.socketpair(); os.kill(os.getppid(), 0)
libc.syscall(437, -100, b"/etc/hostname", (ctypes.c_uint64 * 3)(0, 0, 0), 24)  # openat2
libc.syscall(451, 0, 0, 0, 0)  # cachestat
with open("/etc/hostname", "rb") as file: mmap.mmap(file.fileno(), 0, prot=1)
if os.fork() == 0:
    libc.prctl(22, 1); os.getppid(); os._exit(0)  # SECCOMP_MODE_STRICT
os.wait()
if os.fork() == 0:
    os.setgid(65534); os.setuid(65534)
    try: open("/etc/shadow")
    except OSError: pass
    os._exit(0)
os.wait()
""",
    "login": "open('/proc/self/loginuid', 'w').write('65534')",
}


def executions(_folder: str) -> None:
    """Programs with odd arguments."""
    for words in (
        ["true", "a b", "", "it's", "gr\u00fcn", "line\nbreak", 'say "x"', "a=b", "a1=c"],
        ["true", "x" * 20_000, "\u00e4" * 9_000, "end"],
        ["true", *map(str, range(900))],
    ):
        subprocess.run(words, check=True, cwd="/")
    subprocess.run(["env", "--", "/no/such/program"], check=False, stderr=subprocess.DEVNULL, cwd="/")


def files(folder: str) -> None:
    """Writes, renames, attributes, removals below a watched folder."""
    for command in (
        ["touch", "a b"], ["chmod", "600", "a b"], ["mv", "a b", "c"], ["ln", "-s", "c", "d"], ["mkdir", "e"],
        ["cat", "c"], ["rm", "c", "d"], ["rmdir", "e"],
    ):  # fmt: skip
        subprocess.run(command, check=True, cwd=folder)


def program(name: str) -> Callable[[str], None]:
    """One of ``PROGRAM``."""

    def run(_folder: str) -> None:
        subprocess.run(["/usr/bin/python3", "-"], input=PROGRAM[name].encode(), check=True, cwd="/")

    return run


def messages(_folder: str) -> None:
    """What programs write."""
    asked = kernel.Kernel()
    texts = {
        1112: "op=login id=0 exe=\"/usr/sbin/sshd\" hostname=? addr=192.0.2.7 terminal=ssh res=failed",
        1105: "op=PAM:session_open grantors=pam_unix acct=\"root\" exe=\"/usr/sbin/cron\" hostname=? addr=? "
        "terminal=cron res=success",
        1123: "cwd=\"/\" cmd=6361742061206220 terminal=pts/0 res=success",
        1130: "unit=cron comm=\"systemd\" exe=\"/usr/lib/systemd/systemd\" hostname=? addr=? terminal=? res=success",
        1109: "op=PAM:auth acct=\"(unknown)\" exe=\"/usr/bin/su\" res=failed",
    }  # fmt: skip
    for kind, text in texts.items():
        asked.write(kind, text.encode() + b"\0")


STREAMS: dict[str, tuple[Callable[[str], None], list[str]]] = {
    "execve": (executions, ["-a always,exit -F arch=b64 -S execve,execveat -k exec -k second"]),
    "files": (files, ["-w {folder} -p wa -k files"]),
    "connections": (program("connections"), ["-a always,exit -F arch=b64 -S connect,bind -k net"]),
    "odd_calls": (
        program("odd_calls"),
        [
            "-a always,exit -F arch=b32 -S getpid -k narrow",
            "-a always,exit -F arch=b64 -S pipe2,socketpair,kill,openat2,451 -k odd",
            "-a always,exit -F arch=b64 -S openat -F exit=-EACCES -k denied",
            "-a always,exit -F arch=b64 -S mmap -F a2=1 -F a3=1 -F uid=0 -k map",
        ],
    ),
    "login": (program("login"), []),
    "messages": (messages, []),
}


def main(target: str) -> None:
    """Records every stream."""
    asked = kernel.Kernel()
    before = asked.status()
    opened = kernel.open_socket()
    opened.setsockopt(1, 33, 32 << 20)
    registration = netlink.pack(netlink.SET, 1, netlink.Status(mask=netlink.PID, pid=os.getpid()).pack())
    try:
        opened.send(registration)
        next(kernel.answers(opened, 1, "register", lambda _one: None))
        wanted = netlink.Status(mask=0x31, enabled=1, backlog_limit=65_536, backlog_wait_time=0)
        asked.change(wanted, "on")
        for name, (activity, lines) in STREAMS.items():
            _record(asked, opened, f"{target}/{name}.log", activity, lines)
    finally:
        asked.change(
            netlink.Status(
                mask=0x31,
                enabled=before.enabled,
                backlog_limit=before.backlog_limit,
                backlog_wait_time=before.backlog_wait_time,
            ),
            "off",
        )
        asked.change(netlink.Status(mask=netlink.PID), "deregister")


def _record(asked: kernel.Kernel, opened, path: str, activity: Callable[[str], None], lines: list[str]) -> None:  # type: ignore[no-untyped-def]  # a socket
    with tempfile.TemporaryDirectory(prefix="recorded-", dir="/var/tmp") as folder:
        rules = [rule_line.read(line.format(folder=folder), rule_fields.AccountNumbers())[0] for line in lines]
        packed = [form.packed for one in rules if one is not None for form in places.forms_of(one)]
        for one in packed:
            asked.add(one, "add")
        try:
            activity(folder)
        finally:
            for one in packed:
                asked.delete(one, "delete")
    time.sleep(0.2)
    taken = receive.receiver(opened)
    records = []
    while batch := taken.take():
        records += [(kind, text.rstrip("\0")) for kind, text in batch if kind >= 1100 or kind == 1006]
    ours = _ours(records)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"type={tables.type_name(kind)} msg={text}\n" for kind, text in records if _stamp(text) in ours)


def _ours(records: list[tuple[int, str]]) -> set[str]:
    """The stamps of events of this process, of its descendants, and of none."""
    family = {str(os.getpid())}
    read = [(kind, _stamp(text), record.pairs(text)) for kind, text in records]
    for kind, _, fields in read:
        if kind == 1300 and fields["ppid"] in family:
            family.add(fields["pid"])
    foreign = {
        stamp
        for _kind, stamp, fields in read
        if fields.get("pid", "0") not in family | {"0"} and fields.get("exe") != '"/usr/bin/python3.11"'
    }
    return {_stamp(text) for _kind, text in records} - foreign


def _stamp(text: str) -> str:
    return text.partition(")")[0]


if __name__ == "__main__":
    main(sys.argv[1])
