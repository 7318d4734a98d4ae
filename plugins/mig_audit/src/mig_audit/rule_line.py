"""Rules in auditctl's syntax (auditctl(8), audit.rules(7)): one line, one rule.

Options that change the whole of auditing (``-D -b -e -f -r`` and so on) are understood and not obeyed: existing rules
are left alone and the settings say the rest. What is left out is said in the notes.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from mig_audit import rule, rule_fields, tables

MAX_LINE = 16_384
_CONDITION = re.compile(r"([a-z0-9_]+)\s*(&=|!=|>=|<=|=|>|<|&)\s*(.*)", re.DOTALL)
_ALONE = {"-D", "-i", "-c", "--loginuid-immutable", "--reset-lost", "--reset_backlog_wait_time_actual"}
_WITH_VALUE = {"-b", "-e", "-f", "-r", "--backlog_wait_time", "-q", "-t"}
_QUIET = {"-i", "-c"}


@dataclass(slots=True)
class _Draft:
    accounts: rule_fields.AccountNumbers
    where: tuple[int, int, bool] | None = None
    watched: str = ""
    permissions: int = 0
    keys: list[str] = field(default_factory=list)
    fields: list[rule.Field] = field(default_factory=list)
    calls: set[int] = field(default_factory=set)
    all_calls: bool = False
    arch: str = ""


def read(text: str, accounts: rule_fields.AccountNumbers) -> tuple[rule.Rule | None, str]:
    """The rule in a line, if it holds one, and a note on what of it is not obeyed.

    Raises:
        ValueError: with the problem, for a person.
    """
    if len(text) > MAX_LINE:
        raise ValueError(f"is {len(text)} characters long, at most {MAX_LINE} are accepted")
    try:
        words = shlex.split(text, comments=text.lstrip().startswith("#"))
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from None
    if not words:
        return None, ""
    if words[0] in _ALONE | _WITH_VALUE:
        return None, _setting(words)
    draft = _Draft(accounts)
    rest = iter(words)
    for option in rest:
        if len(option) > 2 and option[0] == "-" and option[1] in "aAdwpkFSC":
            raise ValueError(f"has {option!r:.40}; put a blank between option and value")
        if option not in _OPTIONS:
            raise ValueError(f"has the unknown option {option!r:.40}")
        value = next(rest, None)
        if value is None:
            raise ValueError(f"has nothing after {option}")
        _OPTIONS[option](draft, value)
    return _finish(draft, " ".join(text.split())), ""


def _setting(words: list[str]) -> str:
    expected = 1 if words[0] in _ALONE else 2
    if len(words) < expected or (words[0] != "-D" and len(words) != expected):
        raise ValueError(f"must have {expected - 1} values after {words[0]}")
    return "" if words[0] in _QUIET else f"{' '.join(words):.60} is left out: the module's own settings say this"


def _list(draft: _Draft, value: str, *, prepend: bool = False) -> None:
    parts = [part.strip() for part in value.split(",")]
    filters = [part for part in parts if part in rule.FILTERS]
    actions = [part for part in parts if part in rule.ACTIONS]
    if len(parts) != 2 or len(filters) != 1 or len(actions) != 1:
        raise ValueError(f"must say a list and an action, like always,exit; got {value!r:.40}")
    if filters == ["entry"]:
        raise ValueError("names the list entry, which kernels no longer have; use exit")
    if actions == ["possible"]:
        raise ValueError("has the action possible, which kernels no longer have; use always or never")
    if draft.where is not None or draft.watched:
        raise ValueError("names more than one list")
    draft.where = (rule.FILTERS[filters[0]], rule.ACTIONS[actions[0]], prepend)


def _insert(draft: _Draft, value: str) -> None:
    _list(draft, value, prepend=True)


def _delete(draft: _Draft, value: str) -> None:
    raise ValueError("deletes a rule; rules of others are left alone, and our own go at the module's end")


def _watch(draft: _Draft, value: str) -> None:
    if draft.where is not None or draft.watched:
        raise ValueError("has -w beside another list or watch; use -F path= there")
    draft.watched = rule_fields.path(value, "-w ")


def _permission(draft: _Draft, value: str) -> None:
    if not draft.watched:
        raise ValueError("has -p without -w; use -F perm= there")
    draft.permissions = rule_fields.permissions(value)


def _key(draft: _Draft, value: str) -> None:
    draft.keys.append(rule_fields.key(value))


def _condition(draft: _Draft, value: str) -> None:
    if draft.where is None:
        raise ValueError("has -F before -a; say the list first")
    matched = _CONDITION.fullmatch(value.strip())
    if matched is None:
        raise ValueError(f"must say field, operator and value after -F, got {value!r:.80}")
    name, operator, text = matched.groups()
    if name == "key":
        _key(draft, text)
        return
    if name == "arch" and draft.calls:
        raise ValueError("has -F arch after -S; the architecture comes first")
    try:
        made = rule_fields.read(name, operator, text, draft.accounts, filter_=draft.where[0])
    except ValueError as error:
        raise ValueError(f"field {name}: {error}") from None
    if name == "arch":
        draft.arch = tables.ARCHITECTURES[int(made.value)]
    draft.fields.append(made)


def _calls(draft: _Draft, value: str) -> None:
    if draft.where is None:
        raise ValueError("has -S before -a; say the list first")
    if draft.where[0] not in (rule.FILTERS["exit"], rule.FILTERS["io_uring"]):
        raise ValueError("has -S in a list other than exit")
    known, kind = rule_fields.calls_of(draft.where[0], draft.arch or tables.native())
    for name in value.split(","):
        if name == "all":
            draft.all_calls = True
        elif name.isascii() and name.isdecimal() and int(name) < 32 * (rule.WORDS - 1):
            draft.calls.add(int(name))
        elif name in known:
            draft.calls.add(known[name])
        else:
            raise ValueError(f"names the unknown {kind} {name!r:.40} (on {draft.arch or tables.native()})")


def _compare(draft: _Draft, value: str) -> None:
    matched = _CONDITION.fullmatch(value.strip())
    if matched is None:
        raise ValueError(f"must say field, operator and field after -C, got {value!r:.80}")
    draft.fields.append(rule_fields.comparison(matched[1], matched[2], matched[3]))


_OPTIONS = {
    "-a": _list, "-A": _insert, "-d": _delete, "-W": _delete, "-w": _watch, "-p": _permission, "-k": _key,
    "-F": _condition, "-S": _calls, "-C": _compare,
}  # fmt: skip


def _finish(draft: _Draft, text: str) -> rule.Rule:
    fields = list(draft.fields)
    if draft.watched:
        if draft.fields or draft.calls:
            raise ValueError("has -w beside -F, -C or -S")
        everything = rule.READ | rule.WRITE | rule.EXECUTE | rule.ATTRIBUTES
        fields.append(rule.Field(rule.WATCH, rule.EQUAL, draft.watched))
        fields.append(rule.Field(rule.PERM, rule.EQUAL, draft.permissions or everything))
        draft.where = (rule.FILTERS["exit"], rule.ACTIONS["always"], False)
    if draft.where is None:
        raise ValueError("says neither a list (-a) nor a path (-w)")
    if draft.keys:
        joined = rule.KEY_SEPARATOR.join(draft.keys)
        fields.append(rule.Field(rule.KEY, rule.EQUAL, rule_fields.key(joined)))
    if len(fields) > rule.MAX_FIELDS:
        raise ValueError(f"has {len(fields)} conditions, the kernel takes {rule.MAX_FIELDS}")
    if draft.keys and not draft.watched and not draft.calls and not draft.all_calls and len(fields) == 1:
        raise ValueError("has a key and nothing that it could be the key of")
    filter_, action, prepend = draft.where
    mask = rule.mask_of(draft.calls) if draft.calls and not draft.all_calls else rule.ALL
    if filter_ == rule.FILTERS["task"]:
        mask = rule.NONE
    return rule.Rule(text, filter_, action, tuple(fields), mask, prepend, watched=draft.watched)
