"""Which of the kernel's handlers can be asked without loading a module: looking changes nothing.

A request to sock_diag for which there is no handler makes the kernel run modprobe (``net/core/sock_diag.c``). Debian's
kernels have them as modules, loaded by the first ``ss``. Where one is not there /proc/net is read instead.
"""

from __future__ import annotations

import os

DIAG = {"tcp": ("tcp_diag", "inet_diag"), "udp": ("udp_diag", "inet_diag"), "udplite": ("udp_diag", "inet_diag"),
        "mptcp": ("mptcp_diag", "inet_diag"), "unix": ("unix_diag",), "nftables": ("nf_tables",)}  # fmt: skip
"""What must be there, by what is asked for."""


class Handlers:
    """What this kernel has ready.

    Args:
        proc: where /proc is.
        modules: where the modules of kernels lie.
    """

    def __init__(self, proc: str = "/proc", modules: str = "/lib/modules") -> None:
        self._loaded = _loaded(proc)
        self._is_closed = self._loaded is None or _text(f"{proc}/sys/kernel/modules_disabled") == "1"
        """Whether no module can be loaded any more, by whatever is asked."""
        self._built_in = _built_in(f"{modules}/{os.uname().release}/modules.builtin")

    def may_ask(self, what: str) -> bool:
        """Whether asking for it (a key of :data:`DIAG`) loads nothing."""
        return self._is_closed or all(self.is_there(one) for one in DIAG[what])

    def is_there(self, module: str) -> bool:
        """Whether a module is loaded or part of the kernel."""
        return module in self._built_in or module in (self._loaded or ())


def _loaded(proc: str) -> frozenset[str] | None:
    """The names of loaded modules; None of a kernel that cannot load any."""
    try:
        with open(f"{proc}/modules", encoding="ascii", errors="replace") as file:
            return frozenset(line.split(" ", 1)[0] for line in file)
    except FileNotFoundError:
        return None
    except OSError:
        return frozenset()


def _built_in(path: str) -> frozenset[str]:
    names = (line.rpartition("/")[2].partition(".")[0] for line in _text(path).splitlines())
    return frozenset(name.replace("-", "_") for name in names)


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(1 << 20).strip()
    except OSError:
        return ""
