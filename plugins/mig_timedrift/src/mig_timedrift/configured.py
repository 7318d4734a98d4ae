"""Which servers the endpoint's time service is told to use, by its own configuration files.

Sources: chrony.conf(5) (include, confdir, sourcedir), timesyncd.conf(5) (drop-ins, NTP, FallbackNTP; networkd's servers
of a link), ntp.conf(5) of the reference implementation and of NTPsec (includefile, ``ntp.d``). Only files are read, and
nobody is asked.
"""

from __future__ import annotations

import glob
import itertools
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from mig_core.plugin.coverage import Reason
from mig_endpoint.coverage import failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.coverage import Tally

NTP_PORT = 123
MAX_BYTES = 1 << 20
MAX_FILES = 200
TOO_MANY = Reason(f"configuration file beyond {MAX_FILES}, or larger than {MAX_BYTES} bytes")

CHRONY = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
NTP = ("/etc/ntp.conf", "/etc/ntpsec/ntp.conf")
OPENNTPD = ("/etc/openntpd/ntpd.conf", "/etc/ntpd.conf")
"""In Debian, and as OpenBSD has it: ntpd.conf(5). It answers no control message, so its servers are all that tells."""
NTP_FROM_DHCP = ("/run/ntp.conf.dhcp", "/run/ntpsec/ntp.conf.dhcp", "/var/lib/ntp/ntp.conf.dhcp")
SYSTEMD = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd")
"""Where systemd looks, the first wins."""
TIMESYNCD = ("/usr/lib/systemd/systemd-timesyncd", "/lib/systemd/systemd-timesyncd")
LINKS = "/run/systemd/netif/links/*"
_BUILT_IN = "built in"
_DIRECTIVES = ("server", "pool", "peer", "servers")


class Server(NamedTuple):
    """A server that a file names."""

    name: str
    port: int
    file: str


class Configured:
    """Reads the files.

    Args:
        tally: books what could not be read.
        root: in front of each path; for tests.
    """

    def __init__(self, tally: Tally, root: str = "") -> None:
        self._tally = tally
        self._root = root
        self._read: set[str] = set()
        self.command_port = 0
        """Of chronyd, if its configuration says another than its own default; -1 if it takes no commands."""

    def servers(self) -> list[Server]:
        """The servers of every time service that is configured, each once, in the order of the files."""
        found: dict[tuple[str, int], Server] = {}
        for one in (*self._chrony(), *self._ntp(), *self._timesyncd()):
            found.setdefault((one.name.lower(), one.port), one)
        return list(found.values())

    def _chrony(self) -> Iterator[Server]:
        for path in CHRONY:
            yield from self._chrony_file(path, sources_only=False)

    def _chrony_file(self, path: str, *, sources_only: bool) -> Iterator[Server]:
        for words in self._lines(path, comments="#%;!"):
            directive, values = words[0].lower(), words[1:]
            if directive in _DIRECTIVES and values:
                yield Server(values[0], _port_in(values), path)
            elif sources_only or not values:
                continue
            elif directive == "include":
                for one in self._matching(values[0]):
                    yield from self._chrony_file(one, sources_only=False)
            elif directive in ("confdir", "sourcedir"):
                suffix = ".conf" if directive == "confdir" else ".sources"
                for one in self._in_folders(values, suffix):
                    yield from self._chrony_file(one, sources_only=directive == "sourcedir")
            elif directive == "cmdport" and values[0].isdecimal():
                self.command_port = int(values[0][:6]) or -1

    def _ntp(self) -> Iterator[Server]:
        for path in (*NTP, *OPENNTPD, *NTP_FROM_DHCP):
            yield from self._ntp_file(path)
            if path in NTP:
                for one in self._in_folders([f"{os.path.dirname(path)}/ntp.d"], ".conf"):
                    yield from self._ntp_file(one)

    def _ntp_file(self, path: str) -> Iterator[Server]:
        for words in self._lines(path, comments="#"):
            directive = words[0].lower()
            values = [one for one in words[1:] if one not in ("-4", "-6")]
            if directive in _DIRECTIVES and values:
                if not values[0].startswith("127.127."):  # a reference clock, and no address
                    yield Server(values[0], NTP_PORT, path)
            elif directive == "includefile" and values:
                yield from self._ntp_file(os.path.join(os.path.dirname(path), values[0].strip('"')))

    def _timesyncd(self) -> Iterator[Server]:
        if not any(os.path.exists(self._root + one) for one in TIMESYNCD):
            return
        main = next((one for one in _below(SYSTEMD, "timesyncd.conf") if os.path.exists(self._root + one)), "")
        told: dict[str, list[Server]] = {_BUILT_IN: []}
        for path in (main, *self._in_folders(_below(SYSTEMD, "timesyncd.conf.d"), ".conf")):
            self._timesyncd_file(path, told)
        links = [one for path in self._matching(LINKS) for one in self._link(path)]
        yield from [*told.get("ntp", ()), *links] or told.get("fallbackntp", told[_BUILT_IN])

    def _timesyncd_file(self, path: str, told: dict[str, list[Server]]) -> None:
        """Later settings add to earlier ones, an empty one clears them.

        Settings behind a ``#`` in the file that systemd ships are what it was built with.
        """
        for words in self._lines(path, comments=";"):
            key, equals, value = " ".join(words).partition("=")
            key = key.strip().lower()
            key = _BUILT_IN if key == "#fallbackntp" else key
            if equals and key in ("ntp", "fallbackntp", _BUILT_IN):
                if key not in told or not value.strip():
                    told[key] = []
                told[key] += [Server(one, NTP_PORT, path) for one in value.split()]

    def _link(self, path: str) -> Iterator[Server]:
        for words in self._lines(path, comments="#"):
            key, equals, value = " ".join(words).partition("=")
            if equals and key == "NTP":
                yield from (Server(one, NTP_PORT, path) for one in value.split())

    def _in_folders(self, folders: list[str], suffix: str) -> list[str]:
        """The files of folders, ordered by name; of two with one name that of the first folder."""
        found: dict[str, str] = {}
        for folder in folders:
            try:
                names = os.listdir(self._root + folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                failed(self._tally, folder, error)
                continue
            for name in names:
                if name.endswith(suffix):
                    found.setdefault(name, f"{folder}/{name}")
        return [found[name] for name in sorted(found)]

    def _matching(self, pattern: str) -> list[str]:
        return sorted(one[len(self._root) :] for one in glob.glob(self._root + pattern))

    def _lines(self, path: str, comments: str) -> Iterator[list[str]]:
        """The words of each line that is no comment; each file is read once, whoever includes it again."""
        if path in self._read:
            return
        if len(self._read) >= MAX_FILES:
            self._tally.skip(TOO_MANY, path)
            return
        self._read.add(path)
        try:
            text = self._text(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            failed(self._tally, path, error)
            return
        for line in text.split("\n"):
            line = line.strip()
            if line and line[0] not in comments and (words := line.split()):
                yield words

    def _text(self, path: str) -> str:
        file = os.open(self._root + path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError("not a regular file")
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            self._tally.skip(TOO_MANY, path)
        self._tally.examined("files")
        return raw[:MAX_BYTES].decode("utf-8", "replace")


def _below(folders: tuple[str, ...], name: str) -> list[str]:
    return [f"{folder}/{name}" for folder in folders]


def _port_in(words: list[str]) -> int:
    for name, value in itertools.pairwise(words):
        if name.lower() == "port" and value.isdecimal() and 0 < int(value[:6]) <= 65535:
            return int(value[:6])
    return NTP_PORT
