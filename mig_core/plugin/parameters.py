"""Declared parameters: one declaration gives validation, command line options, console questions, help and JSON schema.

A :class:`Parameter` is one option: its word on the command line (``path``), its key in the JSON (``paths``), its kind
and limits. :class:`Parameters` is the whole set. Parameters may sit in a nested object (``group="options"``), and the
set may be *labelled*: then the operation carries a map of labels to such objects (``{"searches": {"s1": {…}}}``), as
``file`` and ``memory`` do.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from mig_core.domain.document import kind_of
from mig_core.errors import ParameterError
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_core.domain.document import JSON

Value = str | int | bool
MAX_VALUES = 1000
RESERVED = frozenset(
    {
        *("target", "t", "expiry", "e", "action-name", "n", "show", "target-found", "target-notfound", "dry-run", "p"),
        *("sign-only", "s", "json", "jsonl", "csv", "yes", "y", "exit-found", "detach", "compress", "z", "help"),
        *("columns", "where", "stack", "rare", "group-by", "sort", "wait", "no-wait-offline"),
    }
)
"""Words that no parameter can have: ``mig MODULE`` has options of these names."""
CLI_LABEL = "s1"
"""The label that the command line gives to its one search."""


class Kind(Enum):
    """The JSON type of a value."""

    TEXT = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter."""

    name: str
    """Its word on the command line and in the console: lower case, no dash in front."""
    key: str
    """Its key in the JSON."""
    help: str
    """What it does, in one sentence without a full stop."""
    kind: Kind = Kind.TEXT
    many: bool = False
    """Whether the JSON holds a list and the option may be repeated."""
    most: int = MAX_VALUES
    """Entries of that list, at most."""
    required: bool = False
    default: Value | None = None
    """What a missing key means; None is the kind's zero (``""``, 0, false). A list is empty."""
    cli_default: Value | None = None
    """What ``mig`` sends when the option is not given; None: it sends nothing."""
    group: str = ""
    """Key of the nested object it lives in."""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int = 4096
    check: Callable[[str], object] | None = None
    """Further check of a text; raises ValueError with the problem."""
    cli: bool = True
    """Whether it is offered on the command line and in the console."""
    reads_file: bool = False
    """Whether it is given there as the path of a file on the investigator's machine, whose text is the value."""


def text_of_file(one: Parameter, path: str) -> str:
    """The text of a file that a parameter names (``reads_file``).

    Raises:
        ParameterError: it cannot be read, is too long, or is no UTF-8.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read(one.max_length + 1)
    except OSError as error:
        raise ParameterError(one.key, f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ParameterError(one.key, f"{path} is not UTF-8 text") from None
    if len(text) > one.max_length:
        raise ParameterError(one.key, f"{path} is longer than {one.max_length} characters")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A command line word that sets another parameter:

    ``matchany`` is ``matchall = false``. A switch wins over the plain option; to a repeatable one it adds its value.
    """

    name: str
    sets: str
    """The ``name`` of the parameter."""
    value: Value
    help: str


@dataclass(frozen=True, slots=True)
class Values:
    """Checked values of one object, by the parameter's *name*."""

    by_name: Mapping[str, Value | tuple[Value, ...]]
    ignored: tuple[str, ...] = ()
    """Paths of unknown keys that were let pass (only without ``strict``)."""
    present: frozenset[str] = frozenset()
    """Names of the parameters that were there, and not null."""

    def given(self, name: str) -> bool:
        """Whether the parameter was there: what tells false from not asked."""
        return name in self.present

    def given_values(self) -> dict[str, Any]:
        """Those that were there, by name: arguments for a class that has its own defaults."""
        return {name: self.by_name[name] for name in self.present}

    def text(self, name: str) -> str:
        """A text."""
        return cast("str", self.by_name[name])

    def integer(self, name: str) -> int:
        """A whole number."""
        return cast("int", self.by_name[name])

    def boolean(self, name: str) -> bool:
        """True or false."""
        return cast("bool", self.by_name[name])

    def texts(self, name: str) -> tuple[str, ...]:
        """All texts of a repeatable parameter."""
        return cast("tuple[str, ...]", self.by_name[name])


class Parameters:
    """All parameters of a module."""

    def __init__(
        self,
        *members: Parameter | Switch,
        label: str = "",
        check_label: Callable[[str], object] | None = None,
        maximum_labels: int = 64,
    ) -> None:
        """Declares the set.

        Args:
            members: in the order help shows them.
            label: key of the map of labelled objects; empty for a flat set.
            check_label: raises ValueError for a label that will not do.
            maximum_labels: how many labelled objects one operation may carry.
        """
        self.members = tuple(one for one in members if isinstance(one, Parameter))
        self.switches = tuple(one for one in members if isinstance(one, Switch))
        self.label = label
        self._check_label = check_label
        self._maximum_labels = maximum_labels
        self._by_name = {one.name: one for one in self.members}

    def parse(self, raw: object, *, strict: bool = True) -> Values:
        """The values of a flat set.

        Raises:
            ParameterError: names the JSON path.
        """
        return self._parse_object(raw, "", strict)

    def parse_labelled(self, raw: object, *, strict: bool = True) -> dict[str, Values]:
        """The values of each labelled object, in the order of the JSON.

        Raises:
            ParameterError: names the JSON path.
        """
        outer = _object(raw, "")
        ignored = []
        inner: object = {}
        for key, value in outer.items():
            if key.casefold() == self.label:
                inner = {} if value is None else value
            elif strict:
                raise ParameterError(key[:80], "is not a known key", next_step=f"the only key here is {self.label}")
            else:
                ignored.append(key)
        labelled = _object(inner, self.label)
        if len(labelled) > self._maximum_labels:
            raise ParameterError(
                self.label, f"has {len(labelled)} entries, at most {self._maximum_labels} are accepted"
            )
        parsed = {}
        for name, value in labelled.items():
            if self._check_label is not None:
                try:
                    self._check_label(name)
                except ValueError as error:
                    raise ParameterError(self.label, str(error)) from None
            parsed[name] = self._parse_object(value, f"{self.label}.{name}", strict)
        return parsed

    def from_options(self, options: Mapping[str, object]) -> dict[str, JSON]:
        """The raw parameters for one invocation of the command line.

        Args:
            options: name -> value, or list of values; options not given are absent or None.
        """
        chosen: dict[str, object] = {one.name: one.cli_default for one in self.members if one.cli_default is not None}
        chosen.update(
            {name: value for name, value in options.items() if name in self._by_name and value not in (None, [], ())}
        )
        for switch in self.switches:
            if options.get(switch.name):
                earlier = cast("tuple[object, ...]", chosen.get(switch.sets, ()))
                many = self._by_name[switch.sets].many
                chosen[switch.sets] = (*earlier, switch.value) if many else switch.value
        built: dict[str, JSON] = {}
        for one in self.members:
            if one.name not in chosen:
                continue
            value = chosen[one.name]
            place = cast("dict[str, JSON]", built.setdefault(one.group, {})) if one.group else built
            place[one.key] = cast("JSON", list(cast("tuple[str, ...]", value)) if one.many else value)
        return {self.label: {CLI_LABEL: built}} if self.label else built

    def json_schema(self) -> dict[str, JSON]:
        """JSON Schema (2020-12) of an operation's parameters."""
        properties: dict[str, JSON] = {}
        required: list[JSON] = []
        for one in self.members:
            place = properties
            if one.group:
                nested = cast(
                    "dict[str, JSON]",
                    properties.setdefault(
                        one.group, {"type": "object", "additionalProperties": False, "properties": {}}
                    ),
                )
                place = cast("dict[str, JSON]", nested["properties"])
            elif one.required:
                required.append(one.key)
            place[one.key] = _schema_of(one)
        schema: dict[str, JSON] = {"type": "object", "additionalProperties": False, "properties": properties}
        if required:
            schema["required"] = required
        if self.label:
            labelled: JSON = {"type": "object", "additionalProperties": schema, "maxProperties": self._maximum_labels}
            schema = {"type": "object", "additionalProperties": False, "properties": {self.label: labelled}}
        return schema

    def _parse_object(self, raw: object, path: str, strict: bool) -> Values:
        given: dict[tuple[str, str], tuple[str, object]] = {}
        ignored: list[str] = []
        groups = {one.group.casefold() for one in self.members if one.group}
        known = {(one.group.casefold(), one.key.casefold()) for one in self.members}

        def collect(source: Mapping[str, object], group: str, prefix: str) -> None:
            for key, value in source.items():
                where = f"{prefix}.{key[:80]}" if prefix else key[:80]
                folded = key.casefold()
                if not group and folded in groups:
                    if value is not None:
                        collect(_object(value, where), folded, where)
                elif (group, folded) in known:
                    given[group, folded] = (where, value)
                elif strict:
                    raise ParameterError(where, "is not a known key", next_step=self._suggest(folded))
                else:
                    ignored.append(where)

        collect(_object(raw, path), "", path)
        values: dict[str, Value | tuple[Value, ...]] = {}
        present: set[str] = set()
        for one in self.members:
            natural = ".".join(part for part in (path, one.group, one.key) if part)
            where, value = given.get((one.group.casefold(), one.key.casefold()), (natural, None))
            values[one.name] = _parse_value(one, value, where)
            if value is not None:
                present.add(one.name)
        return Values(values, tuple(ignored), frozenset(present))

    def _suggest(self, key: str) -> str:
        from difflib import get_close_matches  # only for errors

        close = get_close_matches(key, [one.key for one in self.members], n=1)
        return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(one.key for one in self.members)}"


def _object(value: object, path: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ParameterError(path, f"must be an object, got {kind_of(value)}")
    return value


def _parse_value(one: Parameter, value: object, path: str) -> Value | tuple[Value, ...]:
    if one.many:
        if value is None:
            value = []
        if not isinstance(value, list):
            raise ParameterError(path, f"must be a list, got {kind_of(value)}")
        if len(value) > one.most:
            raise ParameterError(path, f"has {len(value)} entries, at most {one.most} are accepted")
        if one.required and not value:
            raise ParameterError(path, "must have at least one entry")
        return tuple(_parse_one(one, entry, f"{path}[{index}]") for index, entry in enumerate(value))
    if value is None:
        if one.required:
            raise ParameterError(path, "is missing")
        if one.default is not None:
            return one.default
        zeros: dict[Kind, Value] = {Kind.TEXT: "", Kind.INTEGER: 0, Kind.BOOLEAN: False}
        return zeros[one.kind]
    return _parse_one(one, value, path)


def _parse_one(one: Parameter, value: object, path: str) -> Value:
    if one.kind is Kind.BOOLEAN:
        if not isinstance(value, bool):
            raise ParameterError(path, f"must be true or false, got {kind_of(value)}")
        return value
    return _parse_integer(one, value, path) if one.kind is Kind.INTEGER else _parse_text(one, value, path)


def _parse_integer(one: Parameter, value: object, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ParameterError(path, f"must be a whole number, got {kind_of(value)}")
    if (one.minimum is not None and value < one.minimum) or (one.maximum is not None and value > one.maximum):
        raise ParameterError(path, f"must be from {one.minimum} to {one.maximum}, got {value}")
    return value


def _parse_text(one: Parameter, value: object, path: str) -> str:
    if not isinstance(value, str):
        raise ParameterError(path, f"must be a string, got {kind_of(value)}")
    if len(value) > one.max_length:
        raise ParameterError(path, f"is {len(value)} characters long, at most {one.max_length} are accepted")
    if one.choices and value not in one.choices:
        raise ParameterError(path, f"must be one of {', '.join(one.choices)}, got {value!r:.60}")
    if one.check is not None:
        try:
            one.check(value)
        except ValueError as error:
            raise ParameterError(path, str(error)) from None
    return value


def _schema_of(one: Parameter) -> JSON:
    schema: dict[str, JSON] = {"type": one.kind.value}
    if one.choices:
        schema["enum"] = list(one.choices)
    if one.minimum is not None:
        schema["minimum"] = one.minimum
    if one.maximum is not None:
        schema["maximum"] = one.maximum
    if one.kind is Kind.TEXT:
        schema["maxLength"] = one.max_length
    if one.many:
        schema = {"type": "array", "items": schema, "maxItems": one.most}
    schema["description"] = one.help
    return schema
