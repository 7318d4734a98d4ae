"""The rules of one configuration: a list of auditctl lines, or a file in auditctl's syntax or the original's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_audit import rule_json, rule_line
from mig_core.domain.document import load, members
from mig_core.errors import ConfigurationError, InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mig_audit.rule import Rule
    from mig_audit.rule_fields import AccountNumbers

MAX_FILE = 4 << 20


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in the order in which they are loaded, and notes on what of their text is not obeyed."""

    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: RuleSet) -> RuleSet:
        return RuleSet(self.rules + other.rules, self.notes + other.notes)


def read_lines(lines: Iterable[str], accounts: AccountNumbers, *, source: str, key: str) -> RuleSet:
    """The rules in auditctl's syntax.

    Args:
        source: the file, if any, for errors.
        key: the path of the setting; ``{}`` in it becomes the line's place, from 0.

    Raises:
        ConfigurationError: names the file, the key and the line.
    """
    rules, notes = [], []
    for index, line in enumerate(lines):
        try:
            made, note = rule_line.read(line.strip(), accounts)
        except ValueError as error:
            place = f"line {index + 1}" if source else key.format(index)
            raise ConfigurationError(
                source, place, f"rule {line.strip()!r:.120} {error}", next_step="auditctl(8) describes the syntax"
            ) from None
        if made is not None:
            rules.append(made)
        if note:
            notes.append(note)
    return RuleSet(tuple(rules), tuple(notes))


def read_file(path: str, accounts: AccountNumbers, *, key: str) -> RuleSet:
    """The rules in a file, in either syntax: JSON begins with a brace.

    Raises:
        ConfigurationError: names the setting or the file, and the place in it.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError("", key, f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE:
        raise ConfigurationError("", key, f"{path} is larger than {MAX_FILE} bytes")
    return read_text(raw, accounts, source=path)


def read_text(raw: bytes, accounts: AccountNumbers, *, source: str) -> RuleSet:
    """The rules in a file's contents.

    Raises:
        ConfigurationError: names the file and the place in it.
    """
    if raw.lstrip()[:1] == b"{":
        try:
            document = members(load(raw, subject=source, max_bytes=MAX_FILE), subject=source)
            rules, notes = rule_json.read(document, accounts)
        except InvalidDocument as error:
            raise ConfigurationError(source, error.path, error.problem) from None
        return RuleSet(tuple(rules), tuple(notes))
    text = raw.decode("utf-8", "surrogateescape")
    return read_lines(text.splitlines(), accounts, source=source, key="")
