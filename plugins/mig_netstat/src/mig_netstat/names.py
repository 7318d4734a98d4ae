"""What this endpoint takes for the addresses of names: resolvers (resolv.conf(5)) and the hosts file (hosts(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_endpoint.coverage import failed
from mig_endpoint.files.owners import content_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.coverage import Tally

RESOLVERS, HOSTS = "resolvers", "hosts"
RESOLVER_FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
"""The second is what systemd-resolved itself asks, when the first names its stub."""
HOSTS_FILE = "/etc/hosts"
MAX_BYTES = 16 << 20
TOO_LARGE = Reason("file of names of which only the first 16 MiB were read")


def resolvers(tally: Tally, files: tuple[str, ...] = RESOLVER_FILES) -> Iterator[dict[str, Cell]]:
    """A row for each resolver and search list; where the agent's own mount namespace has them."""
    for path in files:
        for words in _lines(path, tally):
            if words[0] == "nameserver" and len(words) > 1:
                yield {"what": RESOLVERS, "remote_address": words[1], "path": path}
            elif words[0] in ("search", "domain", "options"):
                yield {"what": RESOLVERS, "type": words[0], "names": words[1:], "path": path}


def hosts(tally: Tally, path: str = HOSTS_FILE) -> Iterator[dict[str, Cell]]:
    """A row for each line of the hosts file."""
    for words in _lines(path, tally):
        yield {"what": HOSTS, "remote_address": words[0], "names": words[1:], "path": path}


def _lines(path: str, tally: Tally) -> Iterator[list[str]]:
    try:
        raw = content_of(path, MAX_BYTES + 1)
    except FileNotFoundError:
        return
    except OSError as error:
        failed(tally, path, error)
        return
    if len(raw) > MAX_BYTES:
        tally.skip(TOO_LARGE, path)
    for line in raw[:MAX_BYTES].decode("utf-8", "surrogateescape").splitlines():
        words = line.partition("#")[0].split()
        if words and not words[0].startswith(";"):
            yield words
