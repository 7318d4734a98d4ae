"""From rows back to indicators: which of them a row is a sign of.

A row is matched by the value that was asked for; the indicator's other terms must not contradict it where the row says
something about them. Total: rows come from hostile endpoints.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mig_sweep.indicator import Indicator, Kind
from mig_sweep.plan import NAME_LENGTH, is_wild
from mig_sweep.versions import is_affected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mig_core.domain.action import Operation
    from mig_sweep.plan import Plan


LONGEST_PATH = 4096


class Matching:
    """The indicators of a plan, ready to be looked up."""

    def __init__(self, plan: Plan) -> None:
        self._by_value: dict[tuple[Kind, str], list[Indicator]] = {}
        self._networks: list[tuple[Any, Indicator]] = []
        self._patterns: list[tuple[re.Pattern[str], Indicator]] = []
        self._wild: list[tuple[re.Pattern[str], Indicator]] = []
        for one in plan.indicators:
            self._by_value.setdefault((one.kind, _normal(one.kind, one.value)), []).append(one)
            if one.kind is Kind.PROCESS and len(short := _normal(one.kind, one.value)) > NAME_LENGTH:
                self._by_value.setdefault((one.kind, short[:NAME_LENGTH]), []).append(one)
            if one.kind is Kind.ADDRESS and "/" in one.value:
                self._networks.append((ipaddress.ip_network(one.value), one))
            if one.kind is Kind.PATH and is_wild(one.value):
                self._wild.append((_wild(one.value), one))
            if one.kind is Kind.FILE_PATTERN:
                self._patterns.append((re.compile(one.value), one))

    def of_row(self, operation: Operation, row: Mapping[str, Any]) -> list[Indicator]:
        """The indicators that a row is a sign of.

        Args:
            operation: to which it is an answer.
            row: as the module's columns have it; of ``memory`` with ``content``, the expression that was found.
        """
        found = dict.fromkeys(self._of(operation, row))
        return [one for one in found if _agrees(one, row)]

    def _of(self, operation: Operation, row: Mapping[str, Any]) -> Iterator[Indicator]:
        module = operation.module
        look = _LOOKS.get(module)
        if look is not None:
            for kind, value in look(row):
                yield from self._by_value.get((kind, _normal(kind, value)), ())
        if module == "file":
            path = _text(row.get("file"))
            name = path.rpartition("/")[2]
            yield from (one for pattern, one in self._wild if len(path) < LONGEST_PATH and pattern.fullmatch(path))
            yield from (one for pattern, one in self._patterns if len(name) < 300 and pattern.search(name))
        if module == "netstat":
            yield from self._in_networks(_text(row.get("remote_address")))
        if module == "process":
            yield from self._in_command_line(_text(row.get("cmdline")))
        if module == "yara":
            yield from self._of_rules(operation, _text(row.get("namespace")))

    def _in_networks(self, text: str) -> Iterator[Indicator]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return
        yield from (one for network, one in self._networks if address in network)

    def _in_command_line(self, text: str) -> Iterator[Indicator]:
        for (kind, value), found in self._by_value.items():
            if kind is Kind.COMMAND_LINE and value in text:
                yield from found

    def _of_rules(self, operation: Operation, namespace: str) -> Iterator[Indicator]:
        """A rule's namespace tells its source: ``default``, or ``rules2`` for the second."""
        texts = operation.parameters.get("rules")
        number = 0 if namespace == "default" else int(namespace[5:]) - 1 if namespace[5:].isdecimal() else -1
        if isinstance(texts, list) and 0 <= number < len(texts):
            yield from self._by_value.get((Kind.YARA, str(texts[number])), ())


def _of_file(row: Mapping[str, Any]) -> Iterable[tuple[Kind, str]]:
    path, member = _text(row.get("file")), _text(row.get("member"))
    return (
        (Kind.HASH, _text(row.get("hash"))),
        (Kind.PATH, path),
        (Kind.FILE_NAME, (member or path).rpartition("/")[2]),
    )


def _of_process(row: Mapping[str, Any]) -> Iterable[tuple[Kind, str]]:
    exe = _text(row.get("exe")).removesuffix(" (deleted)")
    return ((Kind.PROCESS, exe), (Kind.PROCESS, exe.rpartition("/")[2]), (Kind.PROCESS, _text(row.get("name"))))


def _plain_name(row: Mapping[str, Any]) -> str:
    """Without the architecture: ``libc6`` of ``libc6:amd64``."""
    return _text(row.get("name")).removesuffix(f":{_text(row.get('arch')) or '-'}")


def _artifact(row: Mapping[str, Any]) -> str:
    """Of a jar without its group: people write ``log4j-core`` for ``org.apache.logging.log4j:log4j-core``."""
    is_jar = "jar" in (row.get("type"), row.get("ecosystem"))
    return _text(row.get("name")).rpartition(":")[2] if is_jar else ""


_Look = Callable[["Mapping[str, Any]"], "Iterable[tuple[Kind, str]]"]
_LOOKS: dict[str, _Look] = {
    "file": _of_file,
    "netstat": lambda row: ((Kind.ADDRESS, _text(row.get("remote_address"))),),
    "pkg": lambda row: (
        (Kind.PACKAGE, _text(row.get("name"))),
        (Kind.PACKAGE, _plain_name(row)),
        (Kind.PACKAGE, _artifact(row)),
        (Kind.SOURCE, _plain_name(row)),
        (Kind.SOURCE, _text(row.get("source"))),
    ),
    "process": _of_process,
    "sshkey": lambda row: (
        (Kind.SSH_KEY, _text(row.get("fingerprint_sha256"))),
        (Kind.SSH_KEY, _text(row.get("fingerprint_md5"))),
    ),
    "account": lambda row: ((Kind.ACCOUNT, _text(row.get("name"))),),
    "memory": lambda row: (
        (Kind.DOMAIN, _plain(_text(row.get("content")))),
        (Kind.URL, _plain(_text(row.get("content")))),
    ),
}


def _agrees(one: Indicator, row: Mapping[str, Any]) -> bool:
    """Whether a row contradicts no other term of an indicator. A hash says enough, whatever the file is called."""
    if one.kind is Kind.HASH:
        return True
    by_kind: dict[Kind, list[str]] = {}
    for term in one.terms[1:]:
        by_kind.setdefault(term.kind, []).append(term.value)
    path = _text(row.get("member")) or _text(row.get("file"))
    name, size = path.rpartition("/")[2], row.get("size")
    ports = {str(row.get("remote_port"))} if row.get("remote_port") else None
    checks: Sequence[tuple[Kind, Any]] = (
        (Kind.FILE_NAME, {name} if path and one.kind is not Kind.PATH else None),
        (Kind.SIZE, {str(size)} if isinstance(size, int) else None),
        (Kind.FOLDER, {path.rpartition("/")[0] or "/"} if path else None),
        (Kind.PORT, ports),
    )
    if any(said is not None and kind in by_kind and not said & set(by_kind[kind]) for kind, said in checks):
        return False
    if one.kind not in (Kind.PACKAGE, Kind.SOURCE):
        return True
    kinds = {_text(row.get("type")), _text(row.get("ecosystem"))} - {""}
    if kinds and by_kind.get(Kind.ECOSYSTEM) and not kinds & set(by_kind[Kind.ECOSYSTEM]):
        return False
    kind = _text(row.get("ecosystem")) or _text(row.get("type")) or next(iter(by_kind.get(Kind.ECOSYSTEM, ())), "")
    version = _text(row.get("version"))
    if one.kind is Kind.SOURCE and kind == "dpkg":  # rpm's name of a source package lacks the epoch
        version = _text(row.get("sourceversion")) or version
    return not version or all(is_affected(version, each, kind) for each in by_kind.get(Kind.VERSION, ()))


def _normal(kind: Kind, value: str) -> str:
    if kind in (Kind.PACKAGE, Kind.SOURCE):
        return re.sub(r"[-_.]+", "-", value).casefold()
    if kind is Kind.PROCESS:
        return value.rpartition("/")[2]
    if kind in (Kind.HASH, Kind.DOMAIN):
        return value.lower()
    return value.rstrip("=") if kind is Kind.SSH_KEY else value.rstrip("/") if kind is Kind.PATH else value


def _wild(path: str) -> re.Pattern[str]:
    """A path with wildcards; ``~`` is any home."""
    path = path.rstrip("/")
    before, rest = ("(?:/.*)?", path[1:]) if path.startswith("~") else ("", path)
    parts = ({"*": "[^/]*", "?": "[^/]"}.get(one, re.escape(one)) for one in re.sub(r"[*]+", "*", rest))
    return re.compile(before + "".join(parts), re.DOTALL)


def _plain(expression: str) -> str:
    return re.sub(r"\\(.)", r"\1", expression)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
