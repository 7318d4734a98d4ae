"""The module itself: its columns, and the walk. The composition root of the plugin."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from mig_core.plugin.checks import absolute_path, absolute_path_or_none
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.parameters import Kind, Parameter
from mig_core.plugin.table import TableContext, TableModule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Row
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.files.calls import Calls
    from mig_endpoint.files.naming import PathText
    from mig_endpoint.packages.tree import Tree
    from mig_endpoint.ssh.blob import Found

DEPTH = 8
"""The original's default."""
ELSEWHERE = Reason("place on a network file system of a container's, not gone into")
NO_ROOT = Reason("root that is not there")
NO_PASSWD = Reason("no source of accounts was there")
TOO_LARGE = Reason("file of keys that is larger than 16 MiB")
TOO_MANY = Reason("key that an answer has no room for")
LARGE = Reason("file of more than 1 MiB that is not called like one of keys", as_asked=True)
MAX_KEYS = 50_000
"""Keys below one place that are kept; an answer has room for about as many."""
_CHECK = 256
DAMAGED = Reason("key or entry that could not be understood")
BELOW_DEPTH = Reason("directory below maxdepth", as_asked=True)
BELOW_DEFAULT = Reason("directory below the default depth")
UNKNOWN = "unknown"
SERVER = ("/etc/ssh", "/.ssh", "/etc/dropbear", "/etc/credstore", "/run/credstore", "/usr/lib/credstore")
"""Where host keys and the keys of everybody lie, and what systemd makes authorized keys from at each start
(``ssh.authorized_keys.root``, systemd.system-credentials(7)); looked at besides home directories. ``/.ssh`` is of those
whose home is the root directory.
"""
NO_HOMES = frozenset({"/bin", "/usr/bin", "/usr/sbin", "/sbin", "/dev"})
"""What system accounts name for want of a home: there only ``.ssh`` is looked at."""


class SshkeyModule(TableModule):
    """Says which SSH keys there are, with their fingerprints."""

    info = ModuleInfo(
        name="sshkey",
        summary="find SSH keys, authorized keys and known hosts by fingerprint",
        needs_root=True,
        discloses="fingerprints, kinds, paths and comments of SSH keys; never a key",
        preload=("mig_sshkey.keyfile", "mig_endpoint.files.roots", "nacl.signing"),
    )
    rows_at = "keys[]"
    columns = (
        Column("path", ColumnKind.PATH, "the file", always=True, masked=True, option="file"),
        Column("type", ColumnKind.TEXT, "private, public, certificate, authorizedkeys or knownhosts", always=True),
        Column("encrypted", ColumnKind.BOOLEAN, "a private key that needs a passphrase"),
        Column("fingerprint_md5", ColumnKind.HASH, "MD5 fingerprint of the public half, with colons"),
        Column(
            "fingerprint_sha256", ColumnKind.HASH, "SHA-256 fingerprint of the public half, as ssh-keygen -l has it"
        ),
        Column("algorithm", ColumnKind.TEXT, "kind of key, like ssh-ed25519"),
        Column("bits", ColumnKind.INTEGER, "size of the key", unit="bits"),
        Column("format", ColumnKind.TEXT, "openssh, pem, pkcs8, putty, ssh2 or ssh.com"),
        Column("comment", ColumnKind.TEXT, "comment of the key", masked=True),
        Column("options", ColumnKind.TEXT, "options of an authorized key, marker of a known host", masked=True),
        Column("hosts", ColumnKind.TEXT, "hosts of a known host's key, perhaps hashed", masked=True),
        Column("line", ColumnKind.INTEGER, "line of the entry"),
        Column("owner", ColumnKind.INTEGER, "user id that owns the file"),
        Column("mode", ColumnKind.TEXT, "permissions of the file, like 0600"),
        Column("modified", ColumnKind.TIME, "when the file was changed last"),
    )
    options = (
        Parameter(
            name="root",
            key="root",
            metavar="DIRECTORY",
            check=absolute_path_or_none,
            help="look at the system whose file system is mounted here instead of at the endpoint's own",
        ),
        Parameter(
            name="path",
            key="paths",
            many=True,
            metavar="PATH",
            check=absolute_path,
            help="look at this file or below this directory instead of at home directories and /etc/ssh",
        ),
        Parameter(
            name="maxdepth",
            key="maxdepth",
            kind=Kind.INTEGER,
            minimum=0,
            maximum=1000,
            metavar="N",
            help="how deep to look; 0 is 8",
        ),
    )

    def look(self, context: TableContext, tally: Tally) -> Iterator[dict[str, Cell]]:
        """A row for each key, file by file."""
        from mig_endpoint.files.crossings import Crossings
        from mig_endpoint.files.doorways import root_of
        from mig_endpoint.files.roots import explore
        from mig_endpoint.packages.tree import Tree

        depth = context.values.integer("maxdepth")
        tree = Tree(top := root_of(context.values.text("root") or "/"), _silent(top))
        if not os.path.isdir(tree.root):
            tally.failed(NO_ROOT, tree.root, "not a directory on this endpoint")
            return
        visitor = _Visitor(context, tally, tree, depth or DEPTH, BELOW_DEPTH if depth else BELOW_DEFAULT)
        crossings = Crossings(context.remaining)
        try:
            for path in self._places(context, tree, tally):
                if context.expired():
                    return
                explore(path, visitor, tally, crossings, follow=tree.is_own)
                yield from visitor.taken()
        finally:
            crossings.close()

    @staticmethod
    def _places(context: TableContext, tree: Tree, tally: Tally) -> Iterator[str]:
        from mig_endpoint.files.doorways import root_of
        from mig_endpoint.packages.accounts import PASSWD, home_directories

        named = context.values.texts("path")
        places: list[str | OSError] = [*named]
        optional = {*SERVER}
        if not named:
            if not tree.exists(PASSWD):
                tally.skip(NO_PASSWD, PASSWD)
            homes = [*home_directories(tree)]
            own = [f"{home}/.ssh" for home in homes if isinstance(home, str)]  # it may be a link: sshd follows it
            optional |= {*own}
            places = [*(home for home in homes if home not in NO_HOMES), *own, *SERVER]
        seen: set[str] = set()
        for place in places:
            if isinstance(place, OSError):
                _book(tally, place.filename, place)
                continue
            try:
                real = tree.real(place)
                if named and tree.is_own:
                    real = root_of(place).removesuffix("/.")
            except OSError as error:
                is_absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
                if named or place not in optional or not is_absent:
                    _book(tally, place, error)
                continue
            if not _is_below(real, seen):
                seen.add(real)
                yield real

    def line(self, row: Row) -> str:
        """The original's line."""
        said = [f"{row.get('path')} [{row.get('type')}]"]
        if row.get("type") == "private":
            encrypted = row.get("encrypted")
            said.append(f"encrypted={UNKNOWN if encrypted is None else str(encrypted).lower()}")
        said.append(f"md5fp={row.get('fingerprint_md5') or UNKNOWN}")
        said.append(f"sha256fp={row.get('fingerprint_sha256') or UNKNOWN}")
        return " ".join(said)


class _Visitor:
    """Reads what may be keys, and keeps their rows until they are taken."""

    def __init__(self, context: TableContext, tally: Tally, tree: Tree, depth: int, below: Reason) -> None:
        self._context = context
        self._tally = tally
        self._tree = tree
        self.wants_others = not tree.is_own
        """Links of a system that is mounted somewhere are followed here, below its root."""
        self._depth = depth
        self._below = below
        self._rows: list[dict[str, Cell]] = []

    def taken(self) -> Iterator[dict[str, Cell]]:
        """The rows, once."""
        rows, self._rows = self._rows, []
        yield from rows

    def why_not(self, depth: int) -> Reason | None:
        """Why not to go deeper."""
        return self._below if depth > self._depth + 1 else None

    def stopped(self) -> bool:
        """Whether time is up; the table books it."""
        return self._context.expired()

    def visit(self, batch: Batch) -> None:
        """Looks at files."""
        from mig_endpoint import coverage

        for name in batch.names:
            if self._context.expired():
                return
            self._file(batch, name)

        if self.wants_others:
            for name, kind in batch.others.items():
                if kind == stat.S_IFLNK:
                    self._link(batch, name)
                elif kind != stat.S_IFDIR:
                    self._tally.skip(coverage.SPECIAL, batch.path_of(name))

    def _link(self, batch: Batch, name: str) -> None:
        """What a link leads to below the root."""
        from mig_endpoint import coverage
        from mig_endpoint.packages.folder import GONE

        path = str(batch.path_of(name))
        try:
            real = self._tree.real(self._tree.named(os.path.join(batch.path, name)))
            mode = os.lstat(real).st_mode
        except OSError as error:
            coverage.failed(self._tally, path, error, coverage.DANGLING if error.errno in GONE else None)
            return
        if stat.S_ISREG(mode):
            self._read(batch.path_of(name), name, real, None, batch.calls)
        else:
            self._tally.skip(coverage.DIRECTORY_LINK if stat.S_ISDIR(mode) else coverage.SPECIAL, path)

    def _file(self, batch: Batch, name: str) -> None:
        self._read(batch.path_of(name), name, name, batch.fd, batch.calls_for(name), follow=name in batch.links)

    def _read(
        self, path: PathText, name: str, place: str, folder: int | None, calls: Calls, *, follow: bool = False
    ) -> None:
        from mig_endpoint import coverage
        from mig_endpoint.files.opening import is_file, open_file
        from mig_sshkey import keyfile

        try:
            descriptor = open_file(place, folder, follow=follow, calls=calls)
        except OSError as error:
            coverage.failed(self._tally, path, error)
            return
        try:
            status = calls.fstat(descriptor)
            entries = keyfile.has_entries(name)
            if not is_file(status):
                return
            if status.st_size > keyfile.MAX_FILE and not entries:
                self._tally.skip(LARGE, path)
                return
            self._tally.examined("files")
            if status.st_size > keyfile.MAX_ENTRIES_FILE:
                self._tally.skip(TOO_LARGE, str(path))
                return
            content = calls.read(descriptor, keyfile.MAX_ENTRIES_FILE)
            while 0 < len(content) < status.st_size and (more := calls.read(descriptor, keyfile.MAX_ENTRIES_FILE)):
                content += more  # a network's file system may give less than was asked for
        except OSError as error:
            coverage.failed(self._tally, path, error)
            return
        finally:
            calls.close(descriptor)
        if entries or keyfile.is_candidate(content):
            self._keys(str(path).replace("/./", "/", 1), name, content, status)

    def _keys(self, path: str, name: str, content: bytes, status: os.stat_result) -> None:
        from mig_endpoint.ssh.blob import NotAKey
        from mig_sshkey import keyfile

        for place, found in enumerate(keyfile.keys_in(name, content)):
            if place % _CHECK == 0 and self._context.expired():
                return
            if isinstance(found, NotAKey):
                self._tally.failed(DAMAGED, path, str(found))
                continue
            try:
                row = _row(path, found, status)
            except NotAKey as problem:
                self._tally.failed(DAMAGED, path, str(problem))
                continue
            self._tally.examined("keys")
            if self._context.rules_out(**row):
                continue
            if len(self._rows) >= MAX_KEYS:
                self._tally.skip(TOO_MANY, path)
                continue
            self._rows.append(row)


def _silent(root: str) -> frozenset[str]:
    """What a container has mounted that may never answer. Our own mounts are asked with patience, by who walks."""
    from mig_endpoint.files.doorways import doorway, mounts_below
    from mig_endpoint.files.filesystems import may_hang

    if doorway(root) is None:
        return frozenset()
    return frozenset(point for point, mount in mounts_below(root).by_point.items() if may_hang(mount))


def _book(tally: Tally, path: str, error: OSError) -> None:
    from mig_endpoint import coverage

    if error.errno == errno.EREMOTE:
        tally.skip(ELSEWHERE, path)
    else:
        coverage.failed(tally, path, error)


def _is_below(path: str, places: set[str]) -> bool:
    """Whether a path is one of the places, or below one."""
    above = path
    while above:
        if above in places:
            return True
        above = above.rpartition("/")[0]
    return "/" in places


def _row(path: str, found: Found, status: os.stat_result) -> dict[str, Cell]:
    from mig_endpoint.ssh.blob import algorithm_of, bits_of, fingerprints

    row: dict[str, Cell] = {
        "path": path,
        "type": found.type,
        "format": found.format,
        "comment": found.comment,
        "options": found.options,
        "hosts": found.hosts,
        "algorithm": found.algorithm,
        "owner": status.st_uid,
        "mode": f"{status.st_mode & 0o7777:04o}",
        "modified": status.st_mtime,
    }
    if found.type == "private":
        row["encrypted"] = found.encrypted
        row["fingerprint_md5"] = row["fingerprint_sha256"] = None
    if found.line:
        row["line"] = found.line
    if found.blob:
        row["algorithm"] = algorithm_of(found.blob)
        row["fingerprint_md5"], row["fingerprint_sha256"] = fingerprints(found.blob)
        if bits := bits_of(found.blob):
            row["bits"] = bits
    return row
