"""Forms from what a module declares: a field for each parameter, and back from what was filled in.

The module itself checks what it is given; here only the fault's place is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mig_core.domain.action import Operation
from mig_core.plugin.parameters import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mig_core.errors import ParameterError
    from mig_core.plugin.module import Module
    from mig_core.plugin.parameters import Parameter

Form = dict[str, list[str]]
LARGEST_SHOWN = 1 << 32
"""An upper limit beyond this is there for parsers, and is not told."""
_WORDS = {"yes": True, "no": False}


@dataclass(slots=True)
class Field:
    """One parameter, or one switch, as a form shows it."""

    name: str
    """Its word on the command line; in the form behind ``p.``."""
    kind: str
    """``text``, ``file`` (a text that is read from a file), ``integer``, ``choice``, ``boolean`` or ``switch``."""
    help: str
    notes: str = ""
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False
    required: bool = False
    values: list[str] = field(default_factory=list)
    wrong: str = ""


def fields_of(module: Module[Any], form: Mapping[str, Sequence[str]], error: ParameterError | None) -> list[Field]:
    """The fields, filled with what a form had, and with the problem at the field that it came from."""
    fields = [_field(one) for one in module.parameters.members if one.cli]
    fields += [Field(one.name, "switch", _sentence(one.help)) for one in module.parameters.switches]
    wrong = "" if error is None else wrong_name(module, error.path)
    for one in fields:
        one.values = [value for value in form.get(f"p.{one.name}", ()) if value]
        if error is not None and one.name == wrong:
            one.wrong = error.problem
    return fields


def wrong_name(module: Module[Any], path: str) -> str:
    """The parameter that a JSON path came from: ``name`` for ``searches.s1.names[0]``; empty: none."""
    key = re.sub(r"\[[0-9]+\].*$", "", path).rpartition(".")[2]
    return next((one.name for one in module.parameters.members if one.cli and one.key == key), "")


def operation_of(module: Module[Any], form: Mapping[str, Sequence[str]]) -> Operation:
    """The operation that a form describes, not checked yet."""
    options: dict[str, object] = {}
    for one in module.parameters.members:
        given = [text.replace("\r\n", "\n") for text in form.get(f"p.{one.name}", ()) if text and one.cli]
        if given:
            options[one.name] = [_value(one, text) for text in given] if one.many else _value(one, given[-1])
    for switch in module.parameters.switches:
        options[switch.name] = form.get(f"p.{switch.name}", [""])[-1] == "yes"
    return Operation(module.info.name, module.parameters.from_options(options))


def words_of(module: Module[Any], operation: Operation) -> list[str] | None:
    """The words of ``mig MODULE`` that ask exactly this; None where no words do."""
    parameters = module.parameters
    inner: Any = operation.parameters
    if parameters.label:
        labelled = inner.get(parameters.label)
        inner = labelled.get("s1") if isinstance(labelled, dict) else None
    if not isinstance(inner, dict):
        return None
    options: dict[str, object] = {}
    words: list[str] = []
    for one in parameters.members:
        place = inner.get(one.group, {}) if one.group else inner
        if not isinstance(place, dict) or one.key not in place:
            continue
        if not one.cli or one.reads_file:
            return None
        value = options[one.name] = place[one.key]
        if one.cli_default is None or value != one.cli_default:
            words += _words(one, value)
    try:
        same = parameters.from_options(options) == operation.parameters
    except (TypeError, ValueError):
        return None
    return words if same else None


def _words(one: Parameter, value: Any) -> Iterable[str]:
    if one.kind is Kind.BOOLEAN:
        yield f"--{one.name}" if value is True else f"--no-{one.name}"
        return
    for single in value if isinstance(value, list) else [value]:
        yield from (f"--{one.name}", str(single)) if not str(single).startswith("-") else (f"--{one.name}={single}",)


def _value(one: Parameter, text: str) -> object:
    """As JSON has it; what is none of its kind stays a text, which the module refuses in its own words."""
    if one.kind is Kind.BOOLEAN:
        return _WORDS.get(text, text)
    if one.kind is Kind.INTEGER and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text, re.ASCII):
        return int(text)
    return text


def _field(one: Parameter) -> Field:
    kind = {Kind.TEXT: "text", Kind.INTEGER: "integer", Kind.BOOLEAN: "boolean"}[one.kind]
    return Field(
        one.name,
        "file" if one.reads_file else "choice" if one.choices else kind,
        _sentence(one.help),
        notes=_notes(one),
        placeholder=one.metavar,
        choices=one.choices,
        many=one.many,
        required=one.required,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _notes(one: Parameter) -> str:
    notes = []
    if one.minimum is not None and one.maximum is not None and one.maximum <= LARGEST_SHOWN:
        notes.append(f"{one.minimum} to {one.maximum}")
    default = one.cli_default if one.cli_default is not None else one.default
    if default not in (None, "", False):
        notes.append(f"if not given: {'yes' if default is True else default}")
    if one.required:
        notes.append("required")
    if one.many:
        notes.append("may be given several times")
    return "; ".join(notes)
