"""A case on this machine: a folder below ``$XDG_DATA_HOME/mig/cases``, readable for nobody else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_core.client.cases import layout
from mig_core.domain.document import load, members
from mig_core.domain.ids import check_uuid
from mig_core.domain.times import format_time
from mig_core.durable import replace_file
from mig_core.errors import InvalidDocument, MigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

MAX_CASE_BYTES = 64 << 20
MAX_NOTE = 100_000


def cases_folder(environment: Mapping[str, str]) -> Path:
    """``$XDG_DATA_HOME/mig/cases``, else ``~/.local/share/mig/cases``."""
    given = environment.get("XDG_DATA_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".local" / "share") / "mig" / "cases"


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote down, and when."""

    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """A case's own facts; questions and answers lie beside them, see :mod:`mig_core.client.cases.layout`."""

    folder: Path
    name: str
    created: str
    actions: tuple[str, ...] = ()
    """Ids of the questions, in the order they were added."""
    notes: tuple[Note, ...] = field(default=())

    def path(self, member: str) -> Path:
        """Where a part of it lies."""
        return self.folder / member

    def with_action(self, action: str) -> Case:
        """The case, as others have left it meanwhile, with one question more, kept on disk."""
        with alone(self.folder):
            now = open_case(self.folder.parent, self.folder.name)
            return now if action in now.actions else _kept(replace(now, actions=(*now.actions, action)))

    def with_note(self, text: str, now: datetime) -> Case:
        """The case, as others have left it meanwhile, with one note more, kept on disk.

        Raises:
            MigError: it is empty, or too long.
        """
        if not text.strip() or len(text) > MAX_NOTE:
            raise MigError(f"a note has 1 to {MAX_NOTE:,} characters")
        with alone(self.folder):
            case = open_case(self.folder.parent, self.folder.name)
            return _kept(replace(case, notes=(*case.notes, Note(format_time(now), text.strip()))))

    def to_json(self) -> dict[str, Any]:
        """Its document."""
        return {
            "format": layout.FORMAT,
            "name": self.name,
            "created": self.created,
            "actions": list(self.actions),
            "notes": [{"time": one.time, "text": one.text} for one in self.notes],
        }


def new_case(folder: Path, name: str, now: datetime) -> Case:
    """A fresh case.

    Args:
        folder: of all cases.
        name: becomes the name of a folder.

    Raises:
        MigError: the name cannot be one, or there is such a case.
    """
    place = folder / _checked(name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.mkdir(mode=0o700)
    except FileExistsError:
        raise MigError(f"there is a case {name} already", next_step=f"mig case show {name}") from None
    return _kept(Case(place, name, format_time(now)))


def open_case(folder: Path, name: str) -> Case:
    """A case that there is.

    Raises:
        MigError: there is none of this name.
        InvalidDocument: its file is damaged.
    """
    place = folder / _checked(name)
    try:
        raw = (place / layout.CASE).read_bytes()
    except FileNotFoundError:
        raise MigError(f"there is no case {name}", next_step="mig cases lists them; mig case new makes one") from None
    return read_case(raw, place)


def read_case(raw: bytes, place: Path) -> Case:
    """The case in a document.

    Raises:
        InvalidDocument: it is none.
    """
    fields = members(load(raw, subject="case", max_bytes=MAX_CASE_BYTES), subject="case")
    kind = fields.text("format", max_length=100)
    if kind != layout.FORMAT:
        fields.refuse("format", f"must be {layout.FORMAT}, got {kind!r}")
    name, created = fields.text("name", max_length=100), fields.text("created", max_length=40)
    actions = tuple(
        check_uuid(one, subject="case", path="actions") for one in fields.items("actions", minimum=0, maximum=100_000)
    )
    notes = []
    for one in fields.objects("notes", minimum=0, maximum=1_000_000):
        notes.append(Note(one.text("time", max_length=40), one.text("text", max_length=MAX_NOTE)))
        one.close()
    fields.close()
    return Case(place, name, created, actions, tuple(notes))


def cases(folder: Path) -> Iterator[Case]:
    """All cases, by name; one that cannot be read is left out."""
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if layout.NAME.fullmatch(place.name) and (place / layout.CASE).is_file():
            with contextlib.suppress(OSError, InvalidDocument):
                yield read_case((place / layout.CASE).read_bytes(), place)


def _checked(name: str) -> str:
    if not layout.NAME.fullmatch(name):
        raise MigError(
            f"{name!r:.60} cannot be a case's name", next_step="letters, digits, '.', '_' and '-', at most 100"
        )
    return name


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While it lasts, nobody else does in this folder what is done under this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks keeps cases too
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _kept(case: Case) -> Case:
    replace_file(case.path(layout.CASE), json.dumps(case.to_json(), indent=1, ensure_ascii=True).encode())
    return case
