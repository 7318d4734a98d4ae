"""Writes ``src/mig_audit/data/*.txt``: system call names by architecture, and names of audit record types.

Run by hand on a Debian machine with ``auditd`` and ``linux-libc-dev`` when a newer kernel brings new names::

    python plugins/mig_audit/tools/make_tables.py

Sources: ``asm/unistd_64.h``, ``unistd_x32.h``, ``unistd_32.h`` and ``asm-generic/unistd.h`` of the kernel's
headers;
``ausyscall ARCH --dump`` for the other architectures; ``linux/audit.h`` for record types from the kernel and libaudit's
own table for those from user space. What is newer than these, from ``scripts/syscall.tbl`` of Linux 6.17, is below.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

DATA = Path(__file__).parent.parent / "src" / "mig_audit" / "data"
HEADERS = {
    "x86_64": "x86_64-linux-gnu/asm/unistd_64.h",
    "x32": "x86_64-linux-gnu/asm/unistd_x32.h",
    "i386": "x86_64-linux-gnu/asm/unistd_32.h",
}
DUMPED = ("arm", "ppc64le", "s390x")
RISCV = {258: "riscv_hwprobe", 259: "riscv_flush_icache"}
"""riscv64 has the generic table, as aarch64 has it, and these (``asm/unistd.h`` of riscv)."""
SAME_EVERYWHERE = dict(
    enumerate(
        ["cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait", "futex_requeue", "statmount",
         "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal", "setxattrat", "getxattrat",
         "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr"],
        451,
    )
)  # fmt: skip
"""System calls since Linux 6.5 have one number on all architectures."""
NEWER_TYPES = {
    1336: "URINGOP",
    1337: "OPENAT2",
    1338: "DM_CTRL",
    1339: "DM_EVENT",
    1420: "MAC_TASK_CONTEXTS",
    1421: "MAC_OBJ_CONTEXTS",
    1423: "LANDLOCK_ACCESS",
    1424: "LANDLOCK_DOMAIN",
}


def main() -> None:
    """Writes both files."""
    sections = []
    for arch, header in HEADERS.items():
        text = Path("/usr/include", header).read_text(encoding="ascii")
        found = re.findall(r"#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ (\d+)\)|(\d+))", text)
        sections.append((arch, {int(one or two): name for name, one, two in found}))
    text = Path("/usr/include/asm-generic/unistd.h").read_text(encoding="ascii")
    generic = {int(number): name for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    generic[79] = "newfstatat"
    generic = {number: name for number, name in generic.items() if name not in ("syscalls", "arch_specific_syscall")}
    sections += [("aarch64", generic), ("riscv64", {**generic, **RISCV})]
    for arch in DUMPED:
        dumped = subprocess.run(["ausyscall", arch, "--dump"], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in dumped.splitlines()[1:]]
        sections.append((arch, {int(number): name for number, name in rows}))
    blocks = [f"[{arch}]\n{_lines({**SAME_EVERYWHERE, **names})}" for arch, names in sections]
    _write("syscalls.txt", "\n".join(blocks))
    _write("types.txt", _lines(_types()))


def _types() -> dict[int, str]:
    header = Path("/usr/include/linux/audit.h").read_text(encoding="ascii")
    kernel = {
        int(number): name
        for name, number in re.findall(r"^#define AUDIT_([A-Z0-9_]+)\s+([12]\d{3})\b", header, re.MULTILINE)
    }
    library = ctypes.CDLL("libaudit.so.1")
    library.audit_msg_type_to_name.restype = ctypes.c_char_p
    names = dict(NEWER_TYPES)
    for number in range(1000, 3000):
        known = library.audit_msg_type_to_name(number)
        if known:
            names[number] = known.decode("ascii")
        elif number in kernel and not re.match("FIRST_|LAST_", kernel[number]):
            names[number] = kernel[number]
    return names


def _lines(names: dict[int, str]) -> str:
    """``number name name …``: names of consecutive numbers share a line."""
    lines: list[str] = []
    expected = -1
    for number in sorted(names):
        if number != expected or len(lines[-1]) > 100:
            lines.append(str(number))
        lines[-1] += f" {names[number]}"
        expected = number + 1
    return "\n".join(lines) + "\n"


def _write(name: str, text: str) -> None:
    comment = "# Made by tools/make_tables.py, which names the sources. A number, then the names from there on.\n"
    DATA.mkdir(exist_ok=True)
    (DATA / name).write_text(comment + text, encoding="ascii")


if __name__ == "__main__":
    main()
