"""Whose home directories there are: in them lies most of what people and services install without a system's manager.

Known are the accounts of ``/etc/passwd`` (passwd(5)), and what lies in ``/home`` and ``/root``, for accounts that a
directory service keeps. No name service is asked: that could go over the network. Used by ``search``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_endpoint.packages.folder import GONE, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_endpoint.packages.tree import Tree

PASSWD = "/etc/passwd"  # noqa: S105 - a path
MAX_PASSWD = 16 << 20
USUAL = ("/root", "/home/*")
"""Homes whether an account is known for them or not."""
NO_HOMES = ("/nonexistent", "/dev", "/dev/null", "/proc", "/sys")
"""What accounts without a home name instead of one."""


def home_directories(tree: Tree) -> Iterator[str | OSError]:
    """The home directories that are there, each once and as the system names it; and where looking failed."""
    seen: set[str] = set()
    for home in (*tree.expand(USUAL), *_named(tree)):
        if isinstance(home, OSError) or home not in seen:
            if isinstance(home, str):
                seen.add(home)
            yield home


def _named(tree: Tree) -> Iterator[str | OSError]:
    """Those that ``/etc/passwd`` names; a directory that is only somebody's home by name (``/bin``) counts too."""
    try:
        lines = b"".join(tree.chunks(PASSWD, MAX_PASSWD)).split(b"\n")
    except FileNotFoundError:
        return
    except TooLarge:
        yield OSError(0, f"is larger than {MAX_PASSWD} bytes", PASSWD)
        return
    except OSError as error:
        yield OSError(error.errno, error.strerror, PASSWD)
        return
    for line in lines:
        fields = line.split(b":")
        home = "" if len(fields) < 7 else fields[5].decode("utf-8", "surrogateescape").rstrip("/")
        if home.startswith("/") and home not in NO_HOMES and "/.." not in home:
            try:
                tree.real(home)
            except OSError as error:
                if error.errno not in GONE:
                    yield error
            else:
                yield home
