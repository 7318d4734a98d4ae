"""A rule in the form in which it travels and is evaluated: what people need to know of it, and a tree of conditions.

JSON: ``{"format": 1, "rules": [{"id", "title", "level", "kind", "condition": NODE, …}]}``, and a NODE is one of
``{"all": [NODE, …]}``, ``{"any": [NODE, …]}``, ``{"not": NODE}`` and a test,
``{"field", "test", "values": [text, …], "cased"?}``: whether one of the field's values passes for one of the texts.
A test without a field looks at every text of the event (Sigma's keywords).

The form comes out of signed actions and files: reading it checks everything, with bounds, and is total.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.document import load, members
from mig_core.errors import InvalidDocument
from mig_sigma import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.domain.document import JSON, Members

FORMAT = 1
MAX_RULES = 5000
MAX_BYTES = 4 << 20
MAX_NODES = 20_000
"""Of one rule."""
MAX_VALUES = 20_000
MAX_TEXT = 16_384
LEVELS = ("informational", "low", "medium", "high", "critical")
TESTS = frozenset({
    "equals", "startswith", "endswith", "contains", "glob", "re", "cidr", "lt", "lte", "gt", "gte", "null", "exists",
    "field", "field_startswith", "field_endswith",
})  # fmt: skip
"""``glob`` has ``*`` and ``?``, and a backslash before those that are meant as they stand, and before itself."""
_TEXTS = ("description", "author", "status", "date")
_LISTS = ("references", "tags", "falsepositives")


@dataclass(frozen=True, slots=True)
class Test:
    """One condition on one field."""

    field: str
    """Empty: every text of the event."""
    test: str
    values: tuple[str, ...]
    """One of them suffices. ``null``: none; ``exists``: ``true`` or ``false``."""
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions."""

    word: str
    """``all``, ``any`` or ``not``."""
    nodes: tuple[Node, ...]


Node = Test | Group


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    id: str
    title: str
    level: str
    kind: str
    condition: Node
    more: dict[str, JSON] = field(default_factory=dict, hash=False)
    """Description, author, references, tags and so on, for people."""

    def to_json(self) -> dict[str, JSON]:
        """The JSON form."""
        return {"id": self.id, "title": self.title, "level": self.level, **self.more, "kind": self.kind,
                "condition": _written(self.condition)}  # fmt: skip

    def told(self) -> dict[str, JSON]:
        """What an alert says of it."""
        return {"id": self.id, "title": self.title, "level": self.level, **self.more}


def fields_of(node: Node) -> frozenset[str]:
    """The fields that a condition asks about."""
    if isinstance(node, Group):
        return frozenset().union(*(fields_of(one) for one in node.nodes))
    others = node.values if node.test.startswith("field") else ()
    return frozenset({node.field, *others}) - {""}


def document(rules: Sequence[Rule]) -> dict[str, JSON]:
    """Rules as they travel."""
    return {"format": FORMAT, "rules": [one.to_json() for one in rules]}


def read(raw: bytes | str, *, subject: str) -> list[Rule]:
    """The rules in a document.

    Args:
        subject: what it is, for errors.

    Raises:
        InvalidDocument: names the place.
    """
    data = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    document = members(load(data, subject=subject, max_bytes=MAX_BYTES, max_depth=200), subject=subject)
    if document.integer("format", minimum=0, maximum=1 << 30) != FORMAT:
        document.refuse("format", f"must be {FORMAT}")
    rules = list(_rules(document))
    document.close()
    return rules


def _rules(document: Members) -> Iterator[Rule]:
    seen: set[str] = set()
    for one in document.objects("rules", minimum=0, maximum=MAX_RULES):
        made = _rule(one)
        if made.id in seen:
            one.refuse("id", f"comes twice: {made.id}")
        seen.add(made.id)
        yield made


def _rule(one: Members) -> Rule:
    identifier = one.text("id", max_length=100)
    title = one.text("title", max_length=1000)
    level = one.text("level", max_length=20)
    if level not in LEVELS:
        one.refuse("level", f"must be one of {', '.join(LEVELS)}")
    more: dict[str, JSON] = {key: one.text(key, max_length=MAX_TEXT) for key in _TEXTS if one.has(key)}
    more.update({key: list(one.texts(key, maximum=200, max_length=2000)) for key in _LISTS if one.has(key)})
    kind = one.text("kind", max_length=50)
    if kind not in (*catalogue.FIELDS, catalogue.AUDITD, catalogue.ANY):
        one.refuse("kind", "is none that is evaluated here")
    budget = [MAX_NODES, MAX_VALUES]
    condition = _node(one.object("condition"), budget)
    one.close()
    if lacking := catalogue.missing(kind, fields_of(condition)):
        raise InvalidDocument("rule", f"{identifier} asks for {', '.join(lacking)}, which events of {kind} do not have")
    return Rule(identifier, title, level, kind, condition, more)


def _node(one: Members, budget: list[int]) -> Node:
    budget[0] -= 1
    if budget[0] < 0:
        one.refuse("", f"has more than {MAX_NODES} conditions")
    for word in ("all", "any"):
        if one.has(word):
            nodes = tuple(_node(inner, budget) for inner in one.objects(word, minimum=1, maximum=MAX_NODES))
            one.close()
            return Group(word, nodes)
    if one.has("not"):
        inner = _node(one.object("not"), budget)
        one.close()
        return Group("not", (inner,))
    return _test(one, budget)


def _test(one: Members, budget: list[int]) -> Test:
    name = one.text("field", max_length=200, default="")
    test = one.text("test", max_length=20)
    if test not in TESTS:
        one.refuse("test", "is none that is known")
    values = one.texts("values", maximum=MAX_VALUES, max_length=MAX_TEXT)
    budget[1] -= len(values)
    if budget[1] < 0:
        one.refuse("values", f"are more than {MAX_VALUES} in one rule")
    if not values and test != "null":
        one.refuse("values", "must hold at least one")
    cased = one.boolean("cased", default=False)
    one.close()
    return Test(name, test, values, cased)


def _written(node: Node) -> JSON:
    if isinstance(node, Group):
        if node.word == "not":
            return {"not": _written(node.nodes[0])}
        return {node.word: [_written(one) for one in node.nodes]}
    made: dict[str, JSON] = {"field": node.field, "test": node.test, "values": list(node.values)}
    if node.cased:
        made["cased"] = True
    return made
