"""From indicators to as few operations as there can be, within what an action may carry.

Each kind is asked of one module, all its values together: hashes of ``file`` as packed lists, paths and names of
``file`` too, addresses of ``netstat``, packages of ``pkg``, domains of ``memory``, rules of ``yara``, and so on. What
has several terms is asked by the first, and ``matching`` looks at the others in the rows.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mig_core.domain.action import MAX_OPERATIONS, Operation
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_endpoint.finding.known import LARGEST, LENGTHS, Hash, packed
from mig_sweep.indicator import Indicator, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ROOTS = (
    *("/bin", "/boot", "/dev/shm", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/root", "/run"),  # noqa: S108  # where to look
    *("/sbin", "/srv", "/tmp", "/usr", "/var"),  # noqa: S108  # as above
)
"""Where files are looked for unless said otherwise: all but what the kernel makes up."""
PROGRAM_ROOTS = ("/usr", "/bin", "/sbin", "/opt", "/srv")
"""Where programs are looked into unless said otherwise: every file there is opened, and homes may be on a network."""
_ANY = "all"
"""What packages are asked for whose document does not say of which kind they are: all that need no path."""
_IN_PROGRAMS = ("cargo", "go")
"""Found below a path only."""
ROOM = MAX_ACTION_BYTES - 40_000
"""Bytes of an action that its operations may take."""
MOST_SEARCHES = 60
NAME_LENGTH = 15
"""Bytes that the kernel keeps of a process's name."""
MOST_VALUES = 900
"""Of a parameter's list; 1,000 are accepted."""
MOST_CHARACTERS = 3500
"""Of a regular expression; 4,096 are accepted."""
HASHES_AT_ONCE = 20_000
_ALGORITHMS = {2 * length: name for name, length in LENGTHS.items()}
_OF_NOTHING = frozenset(hashlib.new(name, usedforsecurity=False).hexdigest() for name in LENGTHS)
"""The hashes of an empty file: feeds have them, from files that could not be fetched."""
_NOT_ASKED = {
    Kind.FOLDER: "a folder by itself is no sign; with a file's name it is looked at in the rows",
    Kind.SIZE: "a size by itself is no sign",
    Kind.PORT: "a port by itself is no sign",
    Kind.VERSION: "a version without its package is no sign",
    Kind.ECOSYSTEM: "an ecosystem by itself is no sign",
    Kind.OTHER: "no module is asked about that",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the investigator chose."""

    roots: tuple[str, ...] = ROOTS
    memory: bool = True
    """Whether what only memory can show is looked for there."""


@dataclass(slots=True)
class Piece:
    """A part of an operation that is not divided."""

    module: str
    parameters: dict[str, Any]
    searches: int = 0
    """How many searches it has, in a module whose parameters are searches."""

    @property
    def size(self) -> int:
        """Bytes in the action."""
        return len(json.dumps(self.parameters, ensure_ascii=False).encode()) + 50


@dataclass(slots=True)
class Plan:
    """What is asked, and what is not."""

    indicators: list[Indicator]
    """Those that are asked."""
    refused: list[Indicator]
    """Those that are not; each says why."""
    actions: list[list[Operation]] = field(default_factory=list)

    @property
    def operations(self) -> int:
        """Of all actions."""
        return sum(map(len, self.actions))


def plan_of(found: Iterable[Indicator], settings: Settings) -> Plan:
    """Plans a sweep."""
    asked: list[Indicator] = []
    refused: list[Indicator] = []
    for one in dict.fromkeys(found):
        judged = _judged(one, settings)
        (refused if judged.refused else asked).append(judged)
    plan = Plan(asked, refused)
    by_kind: dict[Kind, list[Indicator]] = {}
    for one in asked:
        by_kind.setdefault(one.kind, []).append(one)
    plan.actions.extend(_actions(_pieces(by_kind, settings)))
    return plan


def _judged(one: Indicator, settings: Settings) -> Indicator:
    """The indicator, refused if nobody can be asked."""
    kind, value = one.terms[0]
    if one.refused:
        return one
    if kind in _NOT_ASKED:
        return one.refuse(_NOT_ASKED[kind])
    if not value or (len(value) > MOST_CHARACTERS and kind is not Kind.YARA) or _is_odd(value):
        return one.refuse("its value is empty, too long, or has characters that no text has")
    if kind in (Kind.DOMAIN, Kind.URL) and not settings.memory:
        return one.refuse("endpoints keep no log of names and addresses asked for; memory was left out (--no-memory)")
    if kind is Kind.HASH and (_size_of(one) or 0) > LARGEST:
        return one.refuse("no file is as large as that")
    if kind is Kind.HASH and value in _OF_NOTHING and all(term.kind is Kind.SIZE for term in one.terms[1:]):
        return one.refuse("it is the hash of an empty file, and every endpoint has many")
    is_fit, why = _FITS.get(kind, (None, ""))
    return one if is_fit is None or is_fit(value) else one.refuse(why)


_FITS: dict[Kind, tuple[Callable[[str], object], str]] = {
    Kind.HASH: (
        lambda value: len(value) in _ALGORITHMS and not re.search("[^0-9a-f]", value),
        "it is no MD5, SHA-1, SHA-256, SHA-384 or SHA-512",
    ),
    Kind.PATH: (
        lambda value: value.startswith(("/", "~/")) and "**" not in value and value.strip("/~"),
        "it is no path of a Linux system, or all of it",
    ),
    Kind.FILE_NAME: (lambda value: "/" not in value, "a file's name has no slash"),
    Kind.FILE_PATTERN: (lambda value: _is_regex(value), "its expression cannot be read"),
}
"""What a value must be, and what is said where it is not."""


def _size_of(one: Indicator) -> int | None:
    """The size that it says beside what is asked for."""
    sizes = (term.value for term in one.terms[1:] if term.kind is Kind.SIZE)
    return next((int(text) for text in sizes if text.isdecimal() and len(text) < 20), None)


def _is_odd(value: str) -> bool:
    return "\0" in value or any("\ud800" <= one <= "\udfff" for one in value)


def _is_regex(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return len(text) <= MOST_CHARACTERS


def _pieces(by_kind: dict[Kind, list[Indicator]], settings: Settings) -> Iterator[Piece]:
    """In the order of what they cost."""
    for kind, make in _MAKERS:
        if kind in by_kind:
            yield from make(by_kind[kind], settings)


def _file(label: str, options: dict[str, Any], **filters: list[str]) -> Piece:
    search = {**filters, "options": {"matchall": True, "localonly": True, "maxerrors": 100, **options}}
    return Piece("file", {"searches": {label: search}}, 1)


def _hashes(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    with_size: list[Hash] = []
    without: list[Hash] = []
    for one in found:
        size = _size_of(one)
        hashes = without if size is None else with_size
        hashes.append(Hash(_ALGORITHMS[len(one.value)], bytes.fromhex(one.value), size))
    for word, hashes in (("sized", with_size), ("known", without)):
        for number, some in enumerate(_slices(list(dict.fromkeys(hashes)), HASHES_AT_ONCE)):
            yield _file(f"{word}{number + 1}", {}, paths=[*settings.roots], hashes=packed(some))


def _paths(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    values = sorted({one.value.rstrip("/") for one in found})
    kinds = ["f", "d", "l", "s", "p", "b", "c"]
    for number, some in enumerate(_slices([one for one in values if not is_wild(one)], MOST_VALUES)):
        names = [f"^(?:{'|'.join(part)})$" for part in _packed_texts([_exact(one.rpartition("/")[2]) for one in some])]
        paths = [one.replace("[", "[[]") for one in some]
        for part, name in enumerate(names):
            yield _file(f"paths{number + 1}_{part + 1}", {"maxdepth": 1}, paths=paths, names=[name], types=kinds)
    for number, some in enumerate(_slices([one for one in values if is_wild(one)], MOST_VALUES)):
        paths = [one.replace("[", "[[]") for one in some]
        yield _file(f"wild{number + 1}", {"maxdepth": 1}, paths=paths, names=["."], types=kinds)


def is_wild(path: str) -> bool:
    """Whether a path stands for several: it has a wildcard, or is in every home. Brackets are taken as they are."""
    return "*" in path or "?" in path or path.startswith("~")


def _names(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    texts = _packed_texts(sorted({_exact(one.value) for one in found}))
    for number, some in enumerate(texts):
        name = f"^(?:{'|'.join(some)})$"
        yield _file(f"names{number + 1}", {}, paths=[*settings.roots], names=[name], types=["f", "l"])


def _patterns(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    for number, one in enumerate(dict.fromkeys(each.value for each in found)):
        yield _file(f"pattern{number + 1}", {}, paths=[*settings.roots], names=[one], types=["f", "l"])


def _addresses(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    for some in _slices(sorted({one.value for one in found}), MOST_VALUES):
        yield Piece("netstat", {"remote_address": list(some)})


def _packages(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    yield from _of_pkg(found, settings, {})


def _sources(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    yield from _of_pkg(found, settings, {"bysource": True})


def _of_pkg(found: Sequence[Indicator], settings: Settings, more: dict[str, Any]) -> Iterator[Piece]:
    """By type: what is not there is only said of what was named. Programs are found below a path only."""
    by_type: dict[str, set[str]] = {}
    for one in found:
        ecosystem = next((term.value for term in one.terms if term.kind is Kind.ECOSYSTEM), _ANY)
        by_type.setdefault(ecosystem, set()).add(_package_name(one.value))
    roots = PROGRAM_ROOTS if settings.roots == ROOTS else settings.roots
    for ecosystem, names in sorted(by_type.items()):
        asked: list[tuple[list[str], bool]] = [([ecosystem], ecosystem in _IN_PROGRAMS)]
        if ecosystem == _ANY:
            asked.append(([*_IN_PROGRAMS, "jar"], True))
        elif ecosystem == "jar" and settings.roots != ROOTS:
            asked.append((["jar"], True))
        for some in _packed_texts(sorted(names)):
            expression = f"(?i)^(?:{'|'.join(some)})$"
            for types, is_below in asked:
                paths = {"paths": list(roots)} if is_below else {}
                yield Piece("pkg", {"pkgmatch": {"matches": [expression]}, "types": types, **paths, **more})


def _package_name(name: str) -> str:
    """A name as an expression; Python's names are the same with ``-``, ``_`` and ``.``."""
    return re.sub(r"[-_.]+", "[-_.]+", re.sub(r"([+*?^$(){}|\\\[\]])", r"\\\1", name))


def _processes(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    names = sorted({one.value.rpartition("/")[2] for one in found})
    for some in _packed_texts(map(_exact, names)):
        yield Piece("process", {"exe": [f"(?:^|/)(?:{'|'.join(some)})(?: \\(deleted\\))?$"]})
    for some in _packed_texts(sorted({_exact(name[:NAME_LENGTH]) for name in names})):
        yield Piece("process", {"name": [f"^(?:{'|'.join(some)})$"]})


def _command_lines(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    for some in _packed_texts(sorted({_exact(one.value) for one in found})):
        yield Piece("process", {"cmdline": ["|".join(some)]})


def _keys(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    sha256 = sorted({one.value for one in found if one.value.startswith("SHA256:")})
    md5 = sorted({one.value for one in found if not one.value.startswith("SHA256:")})
    for key, values in (("fingerprint_sha256", sha256), ("fingerprint_md5", md5)):
        for some in _slices(values, MOST_VALUES):
            yield Piece("sshkey", {key: list(some)})


def _accounts(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    for some in _packed_texts(sorted({_exact(one.value) for one in found})):
        yield Piece("account", {"name": [f"^(?:{'|'.join(some)})$"]})


def _in_memory(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    del settings
    values = sorted({_exact(one.value) for one in found})
    for number, some in enumerate(_slices(values, MOST_VALUES)):
        search = {"contents": list(some), "options": {"matchall": False}}
        yield Piece("memory", {"searches": {f"names{number + 1}": search}}, 1)


def _rules(found: Sequence[Indicator], settings: Settings) -> Iterator[Piece]:
    texts = list(dict.fromkeys(one.value for one in found))
    for some in _by_size(texts):
        options = {"matchall": True, "localonly": True}
        yield Piece("yara", {"rules": some, "paths": [*settings.roots], "options": options})
        if settings.memory:
            yield Piece("yara", {"rules": some, "processes": True})


_MAKERS = (
    (Kind.HASH, _hashes),
    (Kind.PATH, _paths),
    (Kind.FILE_NAME, _names),
    (Kind.FILE_PATTERN, _patterns),
    (Kind.ADDRESS, _addresses),
    (Kind.PACKAGE, _packages),
    (Kind.SOURCE, _sources),
    (Kind.PROCESS, _processes),
    (Kind.COMMAND_LINE, _command_lines),
    (Kind.SSH_KEY, _keys),
    (Kind.ACCOUNT, _accounts),
    (Kind.DOMAIN, _in_memory),
    (Kind.URL, _in_memory),
    (Kind.YARA, _rules),
)


def _exact(text: str) -> str:
    r"""A text as an expression of RE2, which does not know all that :func:`re.escape` writes."""
    return re.sub(r"([.+*?^$(){}|\\\[\]])", r"\\\1", text)


def _slices(values: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for place in range(0, len(values), most):
        yield values[place : place + most]


def _packed_texts(texts: Iterable[str]) -> Iterator[list[str]]:
    """As many at once as an expression may be long."""
    rest = iter(texts)
    held: list[str] = []
    length = 0
    for one in rest:
        if held and length + len(one) + 1 > MOST_CHARACTERS:
            yield held
            held, length = [], 0
        held.append(one)
        length += len(one) + 1
    if held:
        yield held


def _by_size(texts: Sequence[str]) -> Iterator[list[str]]:
    held: list[str] = []
    length = 0
    for one in texts:
        if held and (length + len(one.encode()) > ROOM // 2 or len(held) >= MOST_VALUES):
            yield held
            held, length = [], 0
        held.append(one)
        length += len(one.encode())
    if held:
        yield held


def _actions(pieces: Iterable[Piece]) -> Iterator[list[Operation]]:
    """The pieces put together: searches of a module into one operation, as many operations as an action takes."""
    waiting = list(pieces)
    while waiting:
        taken: list[Piece] = []
        room, rest = ROOM, []
        searches: dict[str, int] = {}
        for piece in waiting:
            fits = piece.size <= room or not taken
            if piece.searches:
                fits = fits and searches.get(piece.module, 0) + piece.searches <= MOST_SEARCHES
            else:
                fits = fits and sum(not one.searches for one in taken) < MAX_OPERATIONS - 4
            if not fits:
                rest.append(piece)
                continue
            taken.append(piece)
            room -= piece.size
            searches[piece.module] = searches.get(piece.module, 0) + piece.searches
        yield list(_joined(taken))
        waiting = rest


def _joined(pieces: Iterable[Piece]) -> Iterator[Operation]:
    together: dict[str, dict[str, Any]] = {}
    single = []
    for piece in pieces:
        if piece.searches:
            held = together.setdefault(piece.module, {"searches": {}})
            held["searches"].update(piece.parameters["searches"])
        else:
            single.append(Operation(piece.module, piece.parameters))
    for module, parameters in together.items():
        yield Operation(module, parameters)
    yield from single
