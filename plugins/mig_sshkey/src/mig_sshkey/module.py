"""The module itself: its columns, and the walk. The composition root of the plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.plugin.checks import absolute_path, absolute_path_or_none
from mig_core.plugin.columns import Column, ColumnKind
from mig_core.plugin.coverage import Reason
from mig_core.plugin.module import ModuleInfo
from mig_core.plugin.parameters import Kind, Parameter
from mig_core.plugin.table import TableContext, TableModule

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from mig_core.plugin.cells import Cell
    from mig_core.plugin.columns import Row
    from mig_core.plugin.coverage import Tally
    from mig_endpoint.files.batch import Batch
    from mig_endpoint.ssh.blob import Found

DEPTH = 8
"""The original's default."""
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
        from mig_endpoint.files.roots import explore

        depth = context.values.integer("maxdepth")
        visitor = _Visitor(context, tally, depth or DEPTH, BELOW_DEPTH if depth else BELOW_DEFAULT)
        crossings = Crossings(context.remaining)
        try:
            for path in self._places(context, tally):
                if context.expired():
                    return
                explore(path, visitor, tally, crossings)
                yield from visitor.taken()
        finally:
            crossings.close()

    @staticmethod
    def _places(context: TableContext, tally: Tally) -> Iterator[str]:
        from mig_endpoint import coverage
        from mig_endpoint.packages.accounts import home_directories
        from mig_endpoint.packages.tree import Tree

        tree = Tree(context.values.text("root") or "/")
        named = context.values.texts("path")
        places: list[str | OSError] = [*named] if named else [*home_directories(tree), *SERVER]
        seen: set[str] = set()
        for place in places:
            if isinstance(place, OSError):
                coverage.failed(tally, place.filename, place)
                continue
            is_optional = not named and (place in SERVER or place in NO_HOMES)
            if not named and place in NO_HOMES:
                place = f"{place}/.ssh"  # sshd looks there all the same
            try:
                real = tree.real(place)
            except OSError as error:
                if not (is_optional and isinstance(error, FileNotFoundError)):
                    coverage.failed(tally, place, error)
                continue
            if not any(real == one or real.startswith(f"{one}/") for one in seen):
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

    wants_others = False

    def __init__(self, context: TableContext, tally: Tally, depth: int, below: Reason) -> None:
        self._context = context
        self._tally = tally
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
        for name in batch.names:
            if self._context.expired():
                return
            self._file(batch, name)

    def _file(self, batch: Batch, name: str) -> None:
        from mig_endpoint import coverage
        from mig_endpoint.files.opening import is_file, open_file
        from mig_sshkey import keyfile

        path, calls = batch.path_of(name), batch.calls_for(name)
        try:
            descriptor = open_file(name, batch.fd, follow=name in batch.links, calls=calls)
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
        except OSError as error:
            coverage.failed(self._tally, path, error)
            return
        finally:
            calls.close(descriptor)
        if entries or keyfile.is_candidate(content):
            self._keys(str(path), name, content, status)

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
