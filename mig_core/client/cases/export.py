"""A case as one file: a ZIP archive with a manifest that whoever exports it signs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

from mig_core.client.answer_rows import AnswerReader
from mig_core.client.cases import layout
from mig_core.client.cases.collect import answers_of, question_of
from mig_core.client.cases.report import report_of
from mig_core.client.csv_answers import CsvAnswers
from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump
from mig_core.domain.envelope import Envelope
from mig_core.domain.times import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import IO

    from mig_core.client.cases.folder import Case
    from mig_core.domain.document import JSON
    from mig_core.pgp.base import Signer

_CHUNK = 1 << 20


def export_case(case: Case, file: Path, signer: Signer, now: datetime) -> dict[str, str]:
    """Writes the file; returns the SHA-256 of each of its members. Nothing is asked of the platform.

    Args:
        file: must not exist.
        signer: of the manifest; its public key is put in.

    Raises:
        FileExistsError: it is there already.
        SignatureInvalid: the key cannot sign.
        OSError: it cannot be written; what there is of it is removed.
    """
    digests: dict[str, str] = {}
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, pieces in _members(case, signer, now):
                digest = hashlib.sha256()
                with archive.open(_entry(name, now), "w", force_zip64=True) as member:
                    for piece in pieces:
                        digest.update(piece)
                        member.write(piece)
                digests[name] = digest.hexdigest()
            members: dict[str, JSON] = {**digests}
            manifest: JSON = {"format": layout.FORMAT, "exported": format_time(now), "sha256": members}
            signed = signer.sign(Envelope(envelopes.CASE, dump(manifest)))
            with archive.open(_entry(layout.MANIFEST, now), "w") as member:
                member.write(signed.to_bytes())
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return digests


def _members(case: Case, signer: Signer, now: datetime) -> Iterator[tuple[str, Iterator[bytes]]]:
    yield layout.CASE, iter([json.dumps(case.to_json(), indent=1, ensure_ascii=True).encode()])
    keys = {layout.key(signer.fingerprint): signer.public_key()}
    for place in sorted(case.path(layout.KEYS).glob("*.asc")) if case.path(layout.KEYS).is_dir() else ():
        keys.setdefault(f"{layout.KEYS}/{place.name}", place.read_bytes())
    for name, armored in keys.items():
        yield name, iter([armored])
    reader = AnswerReader()
    for action in case.actions:
        yield layout.question(action), _file(case.path(layout.question(action)))
        yield layout.answers(action), _file(case.path(layout.answers(action)))
        yield layout.rows(action), _csv(case, action, reader)
    yield layout.REPORT, iter([report_of(case, now).encode()])


def _csv(case: Case, action: str, reader: AnswerReader) -> Iterator[bytes]:
    names = [str(one["module"]) for one in question_of(case, action)["operations"]]
    sink = _Pieces()
    answers = CsvAnswers(sink, names, reader.module)
    for command in answers_of(case, action):
        answers.write(command)
        yield sink.taken()
    yield sink.taken()


class _Pieces(io.StringIO):
    """Text that is given away bit by bit."""

    def taken(self) -> bytes:
        """What was written since the last call."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text.encode("utf-8", "backslashreplace")


def _file(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from _chunks(file)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    read: Callable[[], bytes] = lambda: file.read(_CHUNK)  # noqa: E731  what iter() takes
    return iter(read, b"")


def _entry(name: str, now: datetime) -> Any:
    entry = zipfile.ZipInfo(name, date_time=(now.year, now.month, now.day, now.hour, now.minute, now.second))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100600 << 16
    return entry
