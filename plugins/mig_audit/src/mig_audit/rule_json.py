"""Rules in the JSON form of the original MIG: ``{"audit_rules": [rule, …]}``, each a file rule or a syscall rule.

Its faults are not kept: a word that is no operator is an error, newer system calls and ``all`` are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_audit import rule, rule_fields, tables

if TYPE_CHECKING:
    from mig_core.domain.document import JSON, Members

MAX_RULES = 10_000
_OPERATORS = {
    "eq": "=", "nt_eq": "!=", "gt": ">", "gt_or_eq": ">=", "lt": "<", "lt_or_eq": "<=", "and": "&", "and_eq": "&=",
}  # fmt: skip
_WHOLE = ("delete", "enable", "buffer", "rate")
"""Keys of the whole file that the original read and did not obey; nor do we."""


def read(document: Members, accounts: rule_fields.AccountNumbers) -> tuple[list[rule.Rule], list[str]]:
    """The rules, and notes on what of the file is not obeyed.

    Raises:
        InvalidDocument: names the JSON path.
    """
    rules = []
    for index, one in enumerate(document.objects("audit_rules", minimum=0, maximum=MAX_RULES)):
        try:
            made = _file_rule(one) if one.has("path") else _syscall_rule(one, accounts)
        except ValueError as error:
            document.refuse(f"audit_rules[{index}]", str(error))
        one.close()
        rules.append(made)
    notes = []
    for key in _WHOLE:
        if document.has(key):
            document.take(key)
            notes.append(f"{key} is left out: the module's own settings say this")
    document.close()
    return rules, notes


def _file_rule(one: Members) -> rule.Rule:
    path = rule_fields.path(one.text("path", max_length=rule.MAX_STRING), "path ")
    letters = one.text("permission", max_length=10)
    key = one.text("key", max_length=rule.MAX_KEY, default="")
    required = one.boolean("strict_path_check", default=False)
    fields = [
        rule.Field(rule.WATCH, rule.EQUAL, path),
        rule.Field(rule.PERM, rule.EQUAL, rule_fields.permissions(letters)),
    ]
    if key:
        fields.append(rule.Field(rule.KEY, rule.EQUAL, rule_fields.key(key)))
    text = f"-w {path} -p {letters}" + (f" -k {key}" if key else "")
    return rule.Rule(text, rule.FILTERS["exit"], rule.ACTIONS["always"], tuple(fields), watched=path, required=required)


def _syscall_rule(one: Members, accounts: rule_fields.AccountNumbers) -> rule.Rule:
    names = one.texts("syscalls", maximum=2000, max_length=64)
    words = one.texts("actions", maximum=8, max_length=32)
    filter_, action = _place(words)
    key = one.text("key", max_length=rule.MAX_KEY, default="")
    if key and not names:
        raise ValueError("has a key and no syscalls")
    conditions = list(one.objects("fields", minimum=0, maximum=rule.MAX_FIELDS)) if one.has("fields") else []
    if not one.has("fields"):
        one.mapping("fields", default={})
    arch, fields, shown = tables.native(), [], [f"-a {','.join(words)}"]
    for condition in conditions:
        name = condition.text("name", max_length=32)
        operator = _operator(condition.text("op", max_length=16))
        value = _text(name, condition.take("value"))
        condition.close()
        if name == "arch" and value.isdecimal() and int(value) not in tables.ARCHITECTURES:
            value = "b64"  # the original took any number for its own architecture
        try:
            made = rule_fields.read(name, operator, value, accounts, filter_=filter_)
        except ValueError as error:
            raise ValueError(f"field {name}: {error}") from None
        if name == "arch":
            arch = tables.ARCHITECTURES[int(made.value)]
        fields.append(made)
        shown.append(f"-F {name}{operator}{value}")
    shown += [f"-S {name}" for name in names]
    if key:
        fields.append(rule.Field(rule.KEY, rule.EQUAL, rule_fields.key(key)))
        shown.append(f"-k {key}")
    if len(fields) > rule.MAX_FIELDS:
        raise ValueError(f"has {len(fields)} conditions, the kernel takes {rule.MAX_FIELDS}")
    mask = rule.NONE if filter_ == rule.FILTERS["task"] else _mask(names, filter_, arch)
    return rule.Rule(" ".join(shown), filter_, action, tuple(fields), mask)


def _place(words: tuple[str, ...]) -> tuple[int, int]:
    filters = [rule.FILTERS[word] for word in words if word in rule.FILTERS]
    actions = [rule.ACTIONS[word] for word in words if word in rule.ACTIONS]
    unknown = [word for word in words if word not in rule.FILTERS and word not in rule.ACTIONS]
    if unknown or len(filters) != 1 or len(actions) != 1:
        raise ValueError(f"actions must hold one action and one list, like always and exit; got {', '.join(words)!r}")
    entry, leave = rule.FILTERS["entry"], rule.FILTERS["exit"]
    return (leave if filters[0] == entry else filters[0]), actions[0]


def _operator(word: str) -> str:
    if word in _OPERATORS:
        return _OPERATORS[word]
    if word in rule.OPERATORS:
        return word
    raise ValueError(f"has the unknown operator {word!r}; known are {', '.join(_OPERATORS)}")


def _text(name: str, value: JSON) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"field {name}: the value must be a number or a string")
    if isinstance(value, float):
        if not value.is_integer():
            raise ValueError(f"field {name}: the value must be a whole number")
        value = int(value)
    return str(value)


def _mask(names: tuple[str, ...], filter_: int, arch: str) -> tuple[int, ...]:
    known, kind = rule_fields.calls_of(filter_, arch)
    unknown = [name for name in names if name not in known and name != "all"]
    if unknown:
        raise ValueError(f"names the unknown {kind} {unknown[0]!r:.40} (on {arch})")
    if not names or "all" in names:
        return rule.ALL
    return rule.mask_of({known[name] for name in names})
