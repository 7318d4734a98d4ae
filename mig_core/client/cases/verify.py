"""Checking a case file without believing anybody: neither the platform, nor whoever made the file.

What is checked: that the file is what its manifest says and whose key signed that; for each question whose key signed
it; for each answer that it is what its agent signed, as an answer to this very question. Keys come with the file. A
key proves who signed only to those who know its fingerprint from elsewhere, so fingerprints are said; an agent's id
*is* its key's fingerprint. The file may come from anybody: names and sizes are bounded, and nothing is unpacked.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mig_core.client.cases import layout
from mig_core.client.cases.folder import MAX_CASE_BYTES, read_case
from mig_core.client.proofs import check_answer, check_question
from mig_core.domain import envelope as envelopes
from mig_core.domain.document import MAX_DEPTH, load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES, MAX_RESULT_BYTES, read_envelope
from mig_core.errors import InvalidDocument, MigError, SignatureInvalid
from mig_core.pgp.keyring import GnupgKeyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

MAX_MEMBERS = 100_000
MAX_BYTES = 64 << 30
"""Of all members together, once they are unpacked."""
MAX_KEYS = 1000
MAX_KEY_BYTES = 1 << 20
MAX_QUESTION_BYTES = 4 * MAX_ACTION_BYTES
MAX_LINE_BYTES = 4 * MAX_RESULT_BYTES
"""An answer is there twice: as the platform shows it, and as it was signed."""
_CHUNK = 1 << 20
_DAMAGED = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OverflowError,
)
"""What zipfile raises, depending on where in an archive the damage is."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing."""

    verdict: str
    """``good``, ``WRONG``, ``unknown`` (the key is not at hand) or ``missing``."""
    subject: str
    text: str


class CaseFile:
    """A case file that is being checked. A context manager.

    Args:
        most_bytes: of all members together, once they are unpacked; a larger file is refused unread.

    Raises:
        MigError: it is no ZIP archive.
    """

    def __init__(self, path: Path, *, most_bytes: int = MAX_BYTES) -> None:
        self._most_bytes = most_bytes
        try:
            if path.exists() and not path.is_file():
                raise MigError(f"{path} is no file", next_step="mig case export makes one")  # a device has no end
            self._zip = zipfile.ZipFile(path)
        except _DAMAGED as error:
            problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise MigError(f"{path} is no case file: {problem}", next_step="mig case export makes one") from error
        self._folder = tempfile.TemporaryDirectory(prefix="mig-case-")
        self._keyring = GnupgKeyring(Path(self._folder.name) / "keyring")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()
        self._folder.cleanup()

    def findings(self) -> Iterator[Finding]:
        """Everything, line by line. Damage to one part hides nothing of the others."""
        # 1. The archive's own list: no name twice, none that has no business here.
        yield from self._names()
        if self._too_large():
            yield Finding("WRONG", "file", "it is larger than a case file may be: nothing in it was looked at")
            return
        # 2. The keys that came along; what they signed is said with their fingerprints.
        yield from self._keys()
        # 3. The manifest, and every member against it.
        yield from self._manifest()
        # 4. Each question, and the answers to it.
        try:
            case = read_case(self._read(layout.CASE, MAX_CASE_BYTES), Path())
        except (InvalidDocument, MigError, KeyError) as error:
            yield Finding("WRONG", layout.CASE, str(error))
            return
        yield from self._strays(case.actions)
        for action in dict.fromkeys(case.actions):
            yield from self._question(action)

    def _names(self) -> Iterator[Finding]:
        for name, count in sorted(Counter(one.filename for one in self._zip.infolist()).items()):
            if count > 1:
                yield Finding("WRONG", name, "is in the file more than once")
            if not layout.MEMBER.fullmatch(name):
                yield Finding("WRONG", name, "does not belong into a case file")

    def _too_large(self) -> bool:
        entries = self._zip.infolist()
        return len(entries) > MAX_MEMBERS or sum(one.file_size for one in entries) > self._most_bytes

    def _strays(self, actions: tuple[str, ...]) -> Iterator[Finding]:
        """What would look like a part of the case, and is of a question that is not checked."""
        for name in self._zip.namelist():
            folder, _, rest = name.partition("/")
            if folder in ("questions", "answers", "rows") and rest[:36] not in actions:
                yield Finding("WRONG", name, "is of a question that is not in the case: it was not checked")

    def _keys(self) -> Iterator[Finding]:
        names = [
            one
            for one in dict.fromkeys(self._zip.namelist())
            if one.startswith(f"{layout.KEYS}/") and layout.MEMBER.fullmatch(one)
        ]
        if len(names) > MAX_KEYS:
            yield Finding("WRONG", layout.KEYS, f"there are {len(names)} keys; the first {MAX_KEYS} are looked at")
        for name in names[:MAX_KEYS]:
            try:
                self._keyring.add(self._read(name, MAX_KEY_BYTES))
            except (InvalidDocument, MigError) as error:
                yield Finding("unknown", name, f"the key cannot be used: {error}")

    def _manifest(self) -> Iterator[Finding]:
        try:
            envelope = read_envelope(
                self._read(layout.MANIFEST, MAX_CASE_BYTES), expected_type=envelopes.CASE, max_bytes=MAX_CASE_BYTES
            )
            for signature in envelope.signatures:
                fingerprint = self._keyring.verify(envelope.signed_bytes(), signature)
                yield Finding("good", layout.MANIFEST, f"exported and signed by {fingerprint}, with a key in the file")
            fields = members(load(envelope.payload, subject="manifest", max_bytes=MAX_CASE_BYTES), subject="manifest")
            kind = fields.text("format", max_length=100)
            if kind != layout.FORMAT:
                fields.refuse("format", f"must be {layout.FORMAT}, got {kind!r}")
            listed = fields.mapping("sha256")
        except (InvalidDocument, MigError, KeyError) as error:
            yield Finding("WRONG", layout.MANIFEST, str(error))
            return
        present = set(self._zip.namelist()) - {layout.MANIFEST}
        for name in sorted(set(listed) - present):
            yield Finding("missing", name, "is in the manifest and not in the file")
        for name in sorted(present - set(listed)):
            yield Finding("WRONG", name, "is in the file and not in the manifest")
        for name in sorted(present & set(listed)):
            if self._digest(name) != listed[name]:
                yield Finding("WRONG", name, "is not what the manifest says")

    def _question(self, action: str) -> Iterator[Finding]:
        subject = f"question {action}"
        try:
            document = _object(self._read(layout.question(action), MAX_QUESTION_BYTES), "question", MAX_QUESTION_BYTES)
            checked = check_question(document, self._keyring)
            if document["id"] != action:
                raise InvalidDocument("question", f"is another: {document['id']!r:.60}")
        except (MigError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            yield Finding("WRONG", subject, _why(error))
            return
        for fingerprint in checked.signed_by:
            yield Finding("good", subject, f"{document['name']!r:.200} is signed by {fingerprint}")
        for fingerprint in checked.unknown:
            yield Finding(
                "unknown", subject, f"nobody checked that {fingerprint} signed it: the key is not in the file"
            )
        if not checked.signed_by and not checked.unknown:
            yield Finding("WRONG", subject, "nobody signed it")
        seen: set[str] = set()
        yield from self._answers(action, seen)
        asked = document.get("targeted")
        if not isinstance(asked, int) or isinstance(asked, bool):
            yield Finding("WRONG", subject, "it is not said how many agents were asked")
        elif asked > len(seen):
            yield Finding(
                "missing", subject, f"{asked - len(seen)} of {asked} agents that were asked are not in the file"
            )

    def _answers(self, action: str, seen: set[str]) -> Iterator[Finding]:
        try:
            lines = self._lines(layout.answers(action))
            for number, line in enumerate(lines, 1):
                yield self._answer(action, line, f"answers to {action}, line {number}", seen)
        except MigError as error:
            yield Finding("WRONG", f"answers to {action}", _why(error))

    @staticmethod
    def _answer(action: str, line: bytes, place: str, seen: set[str]) -> Finding:
        try:
            command = _object(line, "answer", MAX_LINE_BYTES)
            subject = f"answer of {command['agentname']!s:.200} ({command['agent']!s:.60}) to {action}"
        except (MigError, ValueError, KeyError, TypeError, RecursionError) as error:
            return Finding("WRONG", place, f"cannot be read: {_why(error)}")
        try:
            if command["agent"] in seen:
                raise SignatureInvalid(str(command["agent"]), "this agent's answer is there twice")
            seen.add(command["agent"])
            if command["action"] != action:
                raise SignatureInvalid(str(command["agent"]), "this is an answer to another question")
            signed = check_answer(command)
        except (MigError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return Finding("WRONG", subject, _why(error))
        if signed is None:
            reason = f": {command['reason']!s:.500}" if command.get("reason") else ""
            return Finding("missing", subject, f"no answer, the platform says {command.get('state')!s:.60}{reason}")
        return Finding("good", subject, f"signed by this agent: {command['state']}")

    def _read(self, name: str, most: int) -> bytes:
        """A member, whole.

        Raises:
            MigError: it is not there, larger than it may be, or damaged.
        """
        with self._open(name, "is not in the file") as member:
            content = member.read(most + 1)
        if len(content) > most:
            raise MigError(f"is larger than {most} bytes")
        return content

    def _lines(self, name: str) -> Iterator[bytes]:
        with self._open(name, "are not in the file") as member:
            while line := member.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise MigError(f"has a line of more than {MAX_LINE_BYTES} bytes")
                yield line

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        try:
            with self._open(name, "") as member:
                while piece := member.read(_CHUNK):
                    digest.update(piece)
        except MigError:
            return ""
        return digest.hexdigest()

    @contextlib.contextmanager
    def _open(self, name: str, absent: str) -> Iterator[IO[bytes]]:
        """A member, to be read.

        Raises:
            MigError: it is not there (``absent`` says so), damaged, or compressed as no case file is.
        """
        try:
            entry = self._zip.getinfo(name)
        except KeyError:
            raise MigError(absent) from None
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise MigError("is compressed as no case file is")
        try:
            with self._zip.open(entry) as member:
                yield member
        except _DAMAGED as error:
            raise MigError(f"cannot be read: {_why(error)}") from error


def _object(raw: bytes, subject: str, most: int) -> dict[str, Any]:
    """A document that is an object: no key twice, not too deep, not too many values."""
    document = load(raw, subject=subject, max_bytes=most, max_depth=MAX_DEPTH + 4)
    if not isinstance(document, dict):
        raise InvalidDocument(subject, "is no object")
    return document


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
