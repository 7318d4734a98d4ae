"""STIX patterns as sets of terms. Source: STIX 2.1, section 9; parsed by stix2-patterns, the committee's own parser.

A pattern is brought into the form "any of these, of which each is all of those". What follows what, how often and
within which time nobody can ask of an endpoint as it is now: observations are asked each by itself, and it is said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from mig_sweep.indicator import DocumentError, Kind, Term, in_order
from mig_sweep.recognise import address_of

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_ALTERNATIVES = 2000
MAX_PATTERN = 200_000
"""Characters of a pattern."""
_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(path), kind)
    for path, kind in (
        (r"file:hashes\..*", Kind.HASH),
        (r"artifact:hashes\..*", Kind.HASH),
        (r"file:name", Kind.FILE_NAME),
        (r"file:size", Kind.SIZE),
        (r"file:parent_directory_ref\.path", Kind.FOLDER),
        (r"directory:path", Kind.PATH),
        (r"ipv[46]-addr:value", Kind.ADDRESS),
        (r"network-traffic:(src|dst)_ref\.value", Kind.ADDRESS),
        (r"network-traffic:(src|dst)_port", Kind.PORT),
        (r"domain-name:value", Kind.DOMAIN),
        (r"url:value", Kind.URL),
        (r"process:(name|image_ref\.name|binary_ref\.name)", Kind.PROCESS),
        (r"process:command_line", Kind.COMMAND_LINE),
        (r"user-account:(account_login|user_id|display_name)", Kind.ACCOUNT),
        (r"(x-)?ssh-key:.*", Kind.SSH_KEY),
        (r"software:name", Kind.PACKAGE),
        (r"software:version", Kind.VERSION),
    )
)
_HASHES = frozenset({"md5", "sha1", "sha256", "sha384", "sha512"})
"""Those that files are compared by; imphash, SHA-3 and others are as long as one of these, and are none."""
Alternatives = list[tuple[Term, ...]]


class Asked(NamedTuple):
    """What a pattern comes to."""

    alternatives: Alternatives
    note: str = ""


def asked_of(pattern: str) -> Asked:
    """The sets of terms that a pattern asks for.

    Raises:
        DocumentError: it is none.
    """
    from stix2patterns.exceptions import ParseException
    from stix2patterns.v21.pattern import Pattern

    if len(pattern) > MAX_PATTERN:
        raise DocumentError(f"the pattern is longer than {MAX_PATTERN} characters")
    visitor = _Visitor()
    try:
        alternatives = visitor.visit(_root_of(Pattern(pattern)))
    except ParseException as error:
        raise DocumentError(f"the pattern cannot be parsed: {error}") from None
    except RecursionError:
        raise DocumentError("the pattern is nested too deeply") from None
    ordered = [in_order(one) for one in alternatives if one]
    return Asked(list(dict.fromkeys(ordered)), "; ".join(dict.fromkeys(visitor.notes)))


def _root_of(pattern: Any) -> Any:
    """The tree of a parsed pattern; the parser shows it to listeners only."""
    from stix2patterns.v21.grammars.STIXPatternListener import STIXPatternListener

    roots = []

    class Listener(STIXPatternListener):  # type: ignore[misc]  # generated, and without types
        def enterPattern(self, ctx: Any) -> None:  # noqa: N802  # the generated name
            roots.append(ctx)

    pattern.walk(Listener())
    return roots[0]


class _Visitor:
    """Goes through the tree by the names of its nodes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def visit(self, node: Any) -> Alternatives:
        name = type(node).__name__.removesuffix("Context")
        children = list(node.getChildren()) if hasattr(node, "getChildren") else []
        words = {one.getText() for one in children if not hasattr(one, "getChildren")}
        inner = [one for one in children if hasattr(one, "getChildren")]
        if name == "PropTestSet" and "NOT" not in words:
            return [(self._comparison("PropTestEqual", [children[0], one]),) for one in _members(inner[-1])]
        if name.startswith("PropTest") and name != "PropTestParen":
            return [(self._comparison(name, children),)]
        if name.endswith("Qualifier"):
            return []
        if name.startswith("ObservationExpression"):
            return self._observation(name, words, inner)
        found = [self.visit(one) for one in inner]
        if name == "ComparisonExpressionAnd" and "AND" in words:
            return _both(found)
        return [one for alternatives in found for one in alternatives]

    def _observation(self, name: str, words: set[str], inner: list[Any]) -> Alternatives:
        if words & {"AND", "FOLLOWEDBY"}:
            self.notes.append("several observations, which are asked each by itself")
        if name.endswith(("Within", "Repeated", "StartStop")):
            self.notes.append("its qualifier (time, repetition) is left out: endpoints are asked as they are now")
        return [one for child in inner for one in self.visit(child)]

    def _comparison(self, name: str, children: list[Any]) -> Term:
        texts = [one.getText() for one in children]
        path = texts[0].replace("'", "")
        value = texts[-1]
        negated = any(one in ("NOT", "!=", "<>") for one in texts)
        kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(path)), None)
        if kind is None or (kind is Kind.HASH and _algorithm(path) not in _HASHES):
            return Term(Kind.OTHER, f"{path}: no module is asked about that")
        if negated or name in ("PropTestIsSuperset", "PropTestExists", "PropTestSet"):
            return Term(Kind.OTHER, f"{path}: this comparison cannot be asked")
        text = _literal(value)
        convert = _CONVERT.get(name)
        if convert is None:
            return Term(Kind.OTHER, f"{path}: this comparison cannot be asked")
        return convert(kind, text, path)


def _algorithm(path: str) -> str:
    return re.sub("[-_]", "", path.rpartition(".")[2]).casefold()


def _equal(kind: Kind, value: str, path: str) -> Term:
    if kind is Kind.HASH:
        return Term(kind, value.lower())
    if kind is Kind.FILE_NAME and value.startswith("/"):  # as misp-stix writes what MISP calls a file's name
        return Term(Kind.PATH, value)
    if kind is Kind.ADDRESS:
        address = address_of(value)
        return Term(kind, address) if address else Term(Kind.OTHER, f"{path}: {value[:60]!r} is no address")
    return Term(kind, value)


def _like(kind: Kind, value: str, path: str) -> Term:
    regex = "".join({"%": ".*", "_": "."}.get(one, re.escape(one)) for one in value)
    return _matches(kind, f"^{regex}$", path)


def _matches(kind: Kind, value: str, path: str) -> Term:
    if kind is Kind.FILE_NAME:
        return Term(Kind.FILE_PATTERN, value)
    return Term(Kind.OTHER, f"{path}: expressions are asked of file names only")


_CONVERT: dict[str, Callable[[Kind, str, str], Term]] = {
    "PropTestEqual": _equal,
    "PropTestLike": _like,
    "PropTestRegex": _matches,
    "PropTestIsSubset": _equal,
}


def _members(node: Any) -> list[Any]:
    """Of a set: ``IN ('a', 'b')``."""
    return [one for one in node.getChildren() if hasattr(one, "getChildren")]


def _both(parts: list[Alternatives]) -> Alternatives:
    """All combinations."""
    found: Alternatives = [()]
    for part in parts:
        found = [(*one, *other) for one in found for other in part]
        if len(found) > MOST_ALTERNATIVES:
            raise DocumentError(f"the pattern has more than {MOST_ALTERNATIVES} alternatives")
    return found


def _literal(text: str) -> str:
    """``'it''s'`` as text; numbers as they are."""
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
