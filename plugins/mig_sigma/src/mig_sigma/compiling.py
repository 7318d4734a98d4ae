"""From Sigma's YAML to the compiled form, with pySigma: on the machine of whoever writes rules, or on an endpoint where
``mig-plugin-sigma[rules]`` is installed.

pySigma reads the rule, applies the modifiers (``contains``, ``all``, ``base64``, ``windash`` and so on) and parses the
condition; here its tree becomes ours. What this endpoint could not evaluate as it is meant is refused with the reason,
and never evaluated in part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mig_core.errors import MigError
from mig_sigma import catalogue
from mig_sigma.conditions import compiled
from mig_sigma.rule import LEVELS, Group, Rule, Test, fields_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mig_core.domain.document import JSON
    from mig_sigma.rule import Node

MAX_FILE = 1 << 20


@dataclass(slots=True)
class Compiled:
    """What became of rules."""

    rules: list[Rule] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """File or title -> why."""


def compile_text(text: str, name: str, into: Compiled) -> None:
    """Compiles the rules in one YAML document, or several.

    Args:
        name: of the file, for what is left out.
        into: gets rules and reasons.

    Raises:
        MigError: pySigma is not installed.
    """
    try:
        from sigma.collection import SigmaCollection
        from sigma.exceptions import SigmaError
        from sigma.rule import SigmaRule
    except ImportError:
        raise MigError(
            "Sigma's YAML cannot be read: pySigma is not installed here",
            next_step="pip install 'mig-plugin-sigma[rules]', or use rules that mig sigma compile has made",
        ) from None
    if len(text) > MAX_FILE:
        into.left_out[name] = f"is larger than {MAX_FILE} characters"
        return
    try:
        collection = SigmaCollection.from_yaml(text)
    except (SigmaError, ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        into.left_out[name] = f"cannot be read: {_line(error)}"
        return
    except Exception as error:  # PyYAML's errors, without importing it for their name
        into.left_out[name] = f"is no YAML: {_line(error)}"
        return
    for one in collection.rules:
        label = name if len(collection.rules) == 1 else f"{name}: {one.title}"
        if not isinstance(one, SigmaRule):
            into.left_out[label] = "is a correlation of rules, which is not evaluated here"
            continue
        try:
            into.rules.append(_rule(one))
        except (SigmaError, ValueError, RecursionError) as error:
            into.left_out[label] = _line(error)


def _rule(one: Any) -> Rule:
    source = one.logsource
    kind = catalogue.kind_of(source.category, source.product, source.service)
    parsed = [_node(condition.parsed) for condition in one.detection.parsed_condition]
    condition = parsed[0] if len(parsed) == 1 else Group("any", tuple(parsed))
    if kind == catalogue.ANY and fields_of(condition):
        raise ValueError("has fields and names no category or service whose fields they are")
    if lacking := catalogue.missing(kind, fields_of(condition)):
        raise ValueError(f"asks for {', '.join(lacking)}, which events of {kind} do not have here")
    compiled(condition)
    level = one.level.name.lower() if one.level is not None else "medium"
    return Rule(
        str(one.id) if one.id else f"title:{one.title}", str(one.title), level if level in LEVELS else "medium", kind,
        condition, _more(one),
    )  # fmt: skip


def _more(one: Any) -> dict[str, JSON]:
    more: dict[str, JSON] = {}
    if one.description:
        more["description"] = str(one.description).strip()[:4000]
    if one.author:
        more["author"] = str(one.author)[:1000]
    if one.status is not None:
        more["status"] = one.status.name.lower()
    for key, values in (
        ("references", one.references), ("tags", one.tags), ("falsepositives", one.falsepositives),
    ):  # fmt: skip
        if values:
            listed: list[JSON] = [str(value)[:2000] for value in values]
            more[key] = listed[:200]
    return more


def _node(node: Any) -> Node:
    from sigma import conditions

    if isinstance(node, conditions.ConditionNOT):
        return Group("not", (_node(node.args[0]),))
    if isinstance(node, conditions.ConditionAND):
        return Group("all", tuple(_node(one) for one in node.args))
    if isinstance(node, conditions.ConditionOR):
        return _together([_node(one) for one in node.args])
    if isinstance(node, conditions.ConditionFieldEqualsValueExpression):
        return _test(node.field, node.value)
    if isinstance(node, conditions.ConditionValueExpression):
        return _keyword(node.value)
    raise ValueError(f"has a condition that is not known: {type(node).__name__}")


def _together(nodes: Iterable[Node]) -> Node:
    """One of several: tests that differ in their values only become one."""
    merged: dict[tuple[str, str, bool], list[str]] = {}
    rest: list[Node] = []
    for one in nodes:
        if isinstance(one, Group) or one.test in ("null", "exists"):
            rest.append(one)
        else:
            merged.setdefault((one.field, one.test, one.cased), []).extend(one.values)
    made: list[Node] = [
        Test(name, test, tuple(dict.fromkeys(values)), cased) for (name, test, cased), values in merged.items()
    ]
    made += rest
    return made[0] if len(made) == 1 else Group("any", tuple(made))


def _test(name: str, value: Any) -> Node:
    from sigma import types

    match value:
        case types.SigmaExpansion():
            return _together([_test(name, one) for one in value.values])
        case types.SigmaString():
            return _text(name, value, cased=isinstance(value, types.SigmaCasedString))
        case types.SigmaTimestampPart() | types.SigmaQueryExpression():
            raise ValueError(f"compares {name} with a part of a time or a query, which is not evaluated here")
        case types.SigmaFieldReference():
            return _reference(name, value)
    for kind, test, written in _SIMPLE:
        if isinstance(value, getattr(types, kind)):
            return Test(name, test or value.op.name.lower(), written(value))
    raise ValueError(f"compares {name} with what is not known: {type(value).__name__}")


_SIMPLE: tuple[tuple[str, str, Callable[[Any], tuple[str, ...]]], ...] = (
    ("SigmaRegularExpression", "re", lambda value: (_expression(value),)),
    ("SigmaCIDRExpression", "cidr", lambda value: (str(value.network),)),
    ("SigmaCompareExpression", "", lambda value: (str(value.number),)),
    ("SigmaNumber", "equals", lambda value: (str(value),)),
    ("SigmaBool", "equals", lambda value: (str(value).lower(),)),
    ("SigmaNull", "null", lambda _value: ()),
    ("SigmaExists", "exists", lambda value: ("true" if value.exists else "false",)),
)
"""pySigma's types whose values become one test -> that test, and its values."""


def _expression(value: Any) -> str:
    flags = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return f"(?{flags}){value.regexp}" if flags else str(value.regexp)


def _reference(name: str, value: Any) -> Node:
    if value.starts_with and value.ends_with:
        raise ValueError(f"compares {name} with a part of another field, which is not evaluated here")
    suffix = "_startswith" if value.starts_with else "_endswith" if value.ends_with else ""
    return Test(name, f"field{suffix}", (value.field,))


def _keyword(value: Any) -> Node:
    made = _test("", value)
    if isinstance(made, Test) and made.test in ("equals", "startswith", "endswith"):
        return Test("", "contains", made.values, made.cased)
    return made


def _text(name: str, value: Any, *, cased: bool) -> Node:
    from sigma.types import SpecialChars

    many, one = SpecialChars.WILDCARD_MULTI, SpecialChars.WILDCARD_SINGLE
    parts = list(value.s)
    if any(not isinstance(part, str) and part not in (many, one) for part in parts):
        raise ValueError(f"has a placeholder in {name}, whose values nobody has given")
    plain = [part for part in parts if isinstance(part, str)]
    if not parts:
        return Test(name, "equals", ("",), cased)
    if not plain and one not in parts:
        return Test(name, "exists", ("true",))
    if len(plain) == 1 and one not in parts and len(parts) <= 3:
        before, after = parts[0] is many, parts[-1] is many
        test = ("equals", "startswith", "endswith", "contains")[before * 2 + after]
        return Test(name, test, (plain[0],), cased)
    return Test(name, "glob", ("".join(_glob(part) for part in parts),), cased)


def _glob(part: Any) -> str:
    from sigma.types import SpecialChars

    if isinstance(part, str):
        return "".join(f"\\{one}" if one in "*?\\" else one for one in part)
    return "*" if part is SpecialChars.WILDCARD_MULTI else "?"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
