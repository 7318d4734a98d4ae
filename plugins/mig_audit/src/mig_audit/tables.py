"""Names of system calls, architectures, record types and error numbers. Read once from ``data/``, on first use.

Sources: see ``tools/make_tables.py``; architectures from ``linux/audit.h`` (AUDIT_ARCH_*) and ``linux/elf-em.h``.
"""

from __future__ import annotations

import errno
import functools
import platform
from importlib import resources

X32_BIT = 0x40000000
"""Set in the numbers of x86_64's system calls that use the x32 convention (``asm/unistd_x32.h``)."""

ARCHITECTURES = {
    0xC000003E: "x86_64",
    0x40000003: "i386",
    0xC00000B7: "aarch64",
    0x40000028: "arm",
    0xC00000F3: "riscv64",
    0x400000F3: "riscv32",
    0xC0000015: "ppc64le",
    0x80000015: "ppc64",
    0x00000014: "ppc",
    0x80000016: "s390x",
    0x00000016: "s390",
    0x00000008: "mips",
    0x40000008: "mipsel",
    0x80000008: "mips64",
    0xC0000008: "mips64el",
    0xC0000102: "loongarch64",
    0x8000002B: "sparc64",
    0xC0000032: "ia64",
    0xC0009026: "alpha",
}
NUMBERS = {name: number for number, name in ARCHITECTURES.items()}
"""Architecture name -> AUDIT_ARCH_* number."""

_TABLE_OF = {"ppc64": "ppc64le", "ppc": "ppc64le", "s390": "s390x", "riscv32": "riscv64"}
_NARROW = {"x86_64": "i386", "aarch64": "arm", "riscv64": "riscv32", "ppc64le": "ppc64le", "s390x": "s390"}
_MACHINES = {"i486": "i386", "i586": "i386", "i686": "i386", "armv7l": "arm", "armv8l": "arm", "amd64": "x86_64"}


def native() -> str:
    """This machine's architecture."""
    machine = platform.machine()
    return _MACHINES.get(machine, machine)


def narrow(arch: str) -> str:
    """The architecture whose 32-bit calls a kernel of ``arch`` also serves; itself when there is none."""
    return _NARROW.get(arch, arch)


@functools.cache
def syscalls(arch: str) -> dict[int, str]:
    """Number -> name; empty for an architecture without a table."""
    section = f"[{_TABLE_OF.get(arch, arch)}]"
    _before, found, after = _data("syscalls.txt").partition(section)
    return _numbered(after.partition("[")[0]) if found else {}


@functools.cache
def syscall_numbers(arch: str) -> dict[str, int]:
    """Name -> number; empty for an architecture without a table."""
    return {name: number for number, name in syscalls(arch).items()}


@functools.cache
def operations() -> dict[int, str]:
    """Number -> name of io_uring's operations, which rules of its list and URINGOP records have in place of calls."""
    return _numbered(_data("operations.txt"))


@functools.cache
def operation_numbers() -> dict[str, int]:
    """Name -> number of io_uring's operations."""
    return {name: number for number, name in operations().items()}


@functools.lru_cache(maxsize=4096)  # bounded: a process can make calls of any number, and seccomp reports them
def syscall(arch: int, number: int) -> tuple[str, str]:
    """The architecture's name and the call's; a number as text where there is no name."""
    name = ARCHITECTURES.get(arch, f"{arch:#x}")
    if name == "x86_64" and number & X32_BIT:
        name, number = "x32", number & ~X32_BIT
    return name, syscalls(name).get(number, str(number))


@functools.cache
def types() -> dict[int, str]:
    """Record type -> name."""
    return _numbered(_data("types.txt"))


@functools.cache
def type_numbers() -> dict[str, int]:
    """Name -> record type."""
    return {name: number for number, name in types().items()}


@functools.cache
def type_name(number: int) -> str:
    """The name of a record type, ``UNKNOWN[n]`` as audit's own tools write for those without one."""
    return types().get(number) or f"UNKNOWN[{number}]"


def error_name(exit_code: int) -> str:
    """``ENOENT`` for -2; empty for what is not an error number."""
    # 512 and up are the kernel's own (linux/errno.h): a call that a signal cut short and that will be made again.
    restarts = {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}
    return errno.errorcode.get(-exit_code) or restarts.get(-exit_code, "")


def _data(name: str) -> str:
    return resources.files("mig_audit").joinpath("data", name).read_text(encoding="ascii")


def _numbered(text: str) -> dict[int, str]:
    names: dict[int, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            first, *following = line.split()
            names.update(enumerate(following, int(first)))
    return names
