"""The system that is looked at: its files, accounts and clock. What cannot be read is booked here."""

from __future__ import annotations

import errno
import os
import re
import stat
from functools import cached_property
from typing import TYPE_CHECKING

from mig_core.plugin.coverage import Reason
from mig_core.records import dataclass, field
from mig_endpoint import coverage
from mig_endpoint.packages.accounts import PASSWD, home_directories
from mig_endpoint.packages.folder import GONE, Folder, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.packages.tree import Tree

MAX_FILE = 4 << 20
"""Bytes of a file of configuration."""
TOO_LARGE = Reason("file of configuration that is larger than 4 MiB")
TOO_MANY = Reason("directory with too many entries")
NETWORK = Reason("place on a network file system not gone into")
MAX_PATH = 4096
"""Characters of the longest path that the kernel takes, and one."""
NULL = "/dev/null"
NO_HOMES = frozenset({"/", "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/games", "/dev", "/etc"})
"""What accounts name for want of a home of their own."""


_ODD = re.compile(r"/\.{0,2}(?:/|$)")
"""A path with parts that no listing has: ``..``, ``.``, an empty one."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home directory."""

    path: str
    user: str


@dataclass(frozen=True, slots=True)
class File:
    """A file, or a directory, that lies at a place."""

    path: str
    """As the system names it."""
    real: str
    """As the endpoint does, without links; empty when it leads nowhere."""
    status: os.stat_result | None
    """Of what it leads to."""
    link: str = ""
    """Text of the link, if it is one."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def is_file(self) -> bool:
        """Whether it leads to a regular file."""
        return self.status is not None and stat.S_ISREG(self.status.st_mode)

    @property
    def is_directory(self) -> bool:
        """Whether it leads to a directory."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def may_run(self) -> bool:
        """Whether anybody may execute it."""
        return self.status is not None and bool(self.status.st_mode & 0o111)

    @property
    def is_null(self) -> bool:
        """Whether it is empty, leads to ``/dev/null``, or to what is empty: systemd and its kin take that as a mask.

        The text of a link decides where the root has no devices.
        """
        if self.link and os.path.normpath(os.path.join(os.path.dirname(self.path), self.link)) == NULL:
            return True
        if self.status is None:
            return False
        if stat.S_ISCHR(self.status.st_mode):
            return self.real.endswith(NULL)
        return stat.S_ISREG(self.status.st_mode) and self.status.st_size == 0


@dataclass
class System:
    """Reads below one root."""

    tree: Tree
    tally: Tally
    remaining: Callable[[], float]
    now: float
    _folders: dict[str, Folder | None] = field(default_factory=dict)
    _files: dict[str, File | None] = field(default_factory=dict)

    @property
    def is_own(self) -> bool:
        """Whether it is the running system."""
        return self.tree.is_own

    def expired(self) -> bool:
        """Whether time is over."""
        return self.remaining() <= 0

    def book(self, path: str, error: OSError) -> None:
        """Books what could not be looked at; what is not there needs no booking."""
        if error.errno == errno.EREMOTE:
            self.tally.skip(NETWORK, path)
        elif error.errno not in GONE:
            coverage.failed(self.tally, path, error)

    def folder(self, path: str) -> Folder | None:
        """A directory, listed; None when it is not there or cannot be listed, which is booked once."""
        if path not in self._folders:
            if not _ODD.search(path) and self._is_absent(path):
                return None
            self._folders[path] = self._list(path)
        return self._folders[path]

    def _list(self, path: str) -> Folder | None:
        try:
            return self.tree.folder(path)
        except TooLarge:
            self.tally.skip(TOO_MANY, path)
        except OSError as error:
            self.book(path, error)
        return None

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted; none when there is no such directory."""
        folder = self.folder(path)
        return sorted(folder.names) if folder is not None else []

    def inside(self, folder: Folder, name: str) -> File:
        """What lies in a directory under this name. A failure to look at it is booked."""
        path = f"{folder.path.rstrip('/')}/{name}"
        known = self._files.get(path)
        if known is not None:
            return known
        real = f"{folder.real.rstrip('/')}/{name}"
        link = ""
        status: os.stat_result | None = None
        try:
            status = os.lstat(real)
            if stat.S_ISLNK(status.st_mode):
                link, status = os.readlink(real), None
                real = self.tree.real(path)
                status = os.lstat(real)
        except OSError as error:
            self.book(path, error)
            real = "" if link else real
        found = self._files[path] = File(path, real, status, link)
        return found

    def at(self, path: str) -> File | None:
        """What lies at a path; None when nothing does. A link that leads nowhere is something."""
        if path in self._files:
            return self._files[path]
        if "\0" in path or len(path) >= MAX_PATH:
            return None
        if _ODD.search(path):
            found = self._files[path] = self._at(path)
            return found
        if self._is_absent(path):
            return None
        above, _, name = path.rpartition("/")
        folder = self._folders.get(above or "/")
        if folder is None:
            found = self._at(path)
        elif name in folder.names:
            found = self.inside(folder, name)
        else:
            found = None
        self._files[path] = found
        return found

    def _is_absent(self, path: str) -> bool:
        """Whether the nearest folder above that was listed already lacks the next part of the path."""
        above = path
        while above:
            above, _, name = above.rpartition("/")
            folder = self._folders.get(above or "/")
            if folder is not None:
                return name not in folder.names
        return False

    def _at(self, path: str) -> File | None:
        try:
            real = self.tree.real(path)
            return File(path, real, os.lstat(real), self._link_text(path))
        except OSError as error:
            text = self._link_text(path)
            if text:
                return File(path, "", None, text)
            if error.errno != errno.ENAMETOOLONG:  # no such name can be there
                self.book(path, error)
        return None

    def _link_text(self, path: str) -> str:
        above, _, name = path.rpartition("/")
        try:
            return os.readlink(f"{self.tree.real(above or '/').rstrip('/')}/{name}")
        except OSError:
            return ""

    def read(self, file: File, limit: int = MAX_FILE) -> bytes | None:
        """The content of a regular file; None when it cannot be read, which is booked."""
        if not file.real:
            return None
        if not file.is_file:
            self.tally.skip(coverage.SPECIAL, file.path)
            return None
        try:
            content = self.tree.head_at(file.real, limit + 1)
        except OSError as error:
            self.book(file.path, error)
            return None
        self.tally.examined("files")
        if len(content) > limit:
            self.tally.skip(TOO_LARGE, file.path)
        return content[:limit]

    def text(self, file: File) -> str:
        """The content as text; undecodable bytes as names of files have them. Empty when it cannot be read."""
        return (self.read(file) or b"").decode("utf-8", "surrogateescape")

    @cached_property
    def _accounts(self) -> list[list[str]]:
        file = self.at(PASSWD)
        lines = self.text(file).split("\n") if file is not None else []
        return [line.split(":") for line in lines if line.count(":") >= 6]

    @cached_property
    def users(self) -> dict[int, str]:
        """Names by number, as ``/etc/passwd`` of this system has them."""
        found: dict[int, str] = {}
        for fields in self._accounts:
            if fields[2].isdecimal() and len(fields[2]) < 12:
                found.setdefault(int(fields[2]), fields[0].strip())
        return found

    @cached_property
    def ids(self) -> dict[str, int]:
        """Numbers by name."""
        return {name: number for number, name in reversed(self.users.items())}

    @cached_property
    def primary_groups(self) -> dict[int, set[int]]:
        """Group -> accounts whose own it is."""
        found: dict[int, set[int]] = {}
        for fields in self._accounts:
            if fields[2].isdecimal() and fields[3].isdecimal() and len(fields[2]) < 12 and len(fields[3]) < 12:
                found.setdefault(int(fields[3]), set()).add(int(fields[2]))
        return found

    def user_name(self, number: int) -> str:
        """The account's name, or its number."""
        return self.users.get(number, str(number))

    @cached_property
    def homes(self) -> tuple[Home, ...]:
        """The homes that are there, each place once, with whose it is: what passwd says, else its owner."""
        of = {fields[5].rstrip("/"): fields[0].strip() for fields in reversed(self._accounts)}
        found: dict[str, Home] = {}
        for home in home_directories(self.tree):
            if isinstance(home, OSError):
                self.book(str(home.filename), home)
                continue
            file = self.at(home)
            if home in NO_HOMES or file is None or not file.is_directory or file.real in found:
                continue
            owner = self.user_name(file.status.st_uid) if file.status is not None else ""
            if self.folder(home) is None and not _may_be_searched(file.real):
                continue  # booked once; each file in it would be denied too
            self.folder(f"{home}/.config")  # what is not in a listed folder need not be looked for
            found[file.real] = Home(home, of.get(home, owner))
        return tuple(found.values())


def _may_be_searched(real: str) -> bool:
    """Whether names in a directory may be looked at, though it may not be listed."""
    try:
        os.stat(f"{real}/.")
    except OSError:
        return False
    return True
