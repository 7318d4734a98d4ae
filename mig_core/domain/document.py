"""Reading JSON that came from somewhere else: bounded, strict, and with errors that name the place.

Every document of MIG is read through :func:`load` and :class:`Members`, so that size, depth, duplicate and unknown keys
are refused in one place. Callers verify signatures first and parse after.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from mig_core.domain.times import parse_time
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

JSON = dict[str, "JSON"] | list["JSON"] | str | int | float | bool | None
"""Any JSON value."""

MAX_DEPTH = 40
MAX_SEPARATORS = 4 << 20
"""Commas and opening brackets of a document, in texts too. A byte of ``[],[],[]`` becomes 30 bytes of memory once it is
read; an honest result has one of them for twenty bytes."""
_STREAMED_LEVELS = 3
"""In how many levels of objects long lists are looked for: the rows of a result lie two or three deep."""
_ENTRIES_AT_ONCE = 256

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def load(raw: bytes, *, subject: str, max_bytes: int, max_depth: int = MAX_DEPTH) -> JSON:
    """The JSON value in ``raw``.

    Args:
        subject: what the document is, for the error: ``"action"``.
        max_bytes: refused before decoding when larger.

    Raises:
        InvalidDocument: too large, too deep, not UTF-8, not JSON, a duplicate key, NaN, Infinity or a number beyond
            them, half of a surrogate pair (no encoding and no database can hold it).
    """
    if len(raw) > max_bytes:
        raise InvalidDocument(subject, f"is {len(raw)} bytes, at most {max_bytes} are accepted")
    if has_too_many_values(raw):
        raise InvalidDocument(subject, f"has more than {MAX_SEPARATORS} values")
    try:
        value: JSON = _read(raw.decode("utf-8"))
    except RecursionError:
        raise InvalidDocument(subject, f"is nested deeper than {max_depth} levels") from None
    except ValueError as error:
        raise InvalidDocument(subject, f"is not JSON: {error}") from None
    # With so few brackets (those in texts counted too) there is nothing to walk through.
    if raw.count(b"[") + raw.count(b"{") >= max_depth and _depth(value) > max_depth:
        raise InvalidDocument(subject, f"is nested deeper than {max_depth} levels")
    if b"\\u" in raw and _SURROGATE.search(raw):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidDocument(subject, "contains half of a surrogate pair") from None
    return value


def has_too_many_values(raw: bytes) -> bool:
    """Whether :func:`load` refuses a document for the number of its values; seen without reading it."""
    return len(raw) > MAX_SEPARATORS and sum(map(raw.count, (b",", b"[", b"{"))) > MAX_SEPARATORS


def dump(value: JSON) -> bytes:
    """Compact UTF-8 JSON, key order kept. Lone surrogates (undecodable file names) become U+FFFD.

    A long list in the upper levels is written some entries at a time, so that beside the answer itself only those are
    in memory; it may be a :class:`Stream`.
    """
    if not _has_long_list(value, _STREAMED_LEVELS):
        return _encoded(value)
    sink = io.BytesIO()
    _write(value, _STREAMED_LEVELS, sink)
    return sink.getvalue()


class Stream(list[JSON]):
    """A list whose entries are made while somebody goes through it; it keeps nothing in its own storage.

    Who makes one says how to iterate over it and how long it is, and may know a faster way to write its entries.
    """

    def pieces(self) -> Iterator[str]:
        """Its entries as compact JSON, some at a time with commas between them."""
        return _pieces(self)

    def __getitem__(self, place: Any) -> Any:  # the two forms of list.__getitem__, an index and a slice
        return list(self)[place]

    def __contains__(self, entry: object) -> bool:
        return any(one == entry for one in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and list(self) == list(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # as every list

    def __repr__(self) -> str:
        return repr(list(self))


def _pieces(entries: Iterable[JSON]) -> Iterator[str]:
    left = iter(entries)
    while some := list(itertools.islice(left, _ENTRIES_AT_ONCE)):
        yield _text(some)[1:-1]


# json.dumps makes an encoder at each call, which costs as much as a small document.
_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _encoded(value: JSON) -> bytes:
    return _bytes(_text(value))


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode("utf-8")


def _has_long_list(value: JSON, levels: int) -> bool:
    if isinstance(value, list):
        return len(value) > _ENTRIES_AT_ONCE
    return levels > 0 and isinstance(value, dict) and any(_has_long_list(one, levels - 1) for one in value.values())


def _write(value: JSON, levels: int, sink: io.BytesIO) -> None:
    if isinstance(value, list) and len(value) > _ENTRIES_AT_ONCE:
        mark = b"["
        for piece in value.pieces() if isinstance(value, Stream) else _pieces(value):
            sink.write(mark)
            sink.write(_bytes(piece))
            mark = b","
        sink.write(b"]")
    elif isinstance(value, dict) and value and levels > 0:
        mark = b"{"
        for key, one in value.items():
            sink.write(mark)
            sink.write(_encoded({key: None})[1 : -len("null}")])
            _write(one, levels - 1, sink)
            mark = b","
        sink.write(b"}")
    else:
        sink.write(_encoded(value))


def members(value: JSON, *, subject: str, path: str = "") -> Members:
    """Opens ``value`` as an object.

    Raises:
        InvalidDocument: it is something else.
    """
    if not isinstance(value, dict):
        raise InvalidDocument(subject, f"must be an object, got {kind_of(value)}", path=path)
    return Members(value, subject, path)


def kind_of(value: object) -> str:
    """JSON's word for a value's type, with its article, for error texts."""
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return kinds.get(type(value), type(value).__name__)


class Members:
    """The members of one object, taken one by one; :meth:`close` refuses what nobody took."""

    def __init__(self, value: dict[str, JSON], subject: str, path: str) -> None:
        self._rest = dict(value)
        self._subject = subject
        self._path = path

    def path_of(self, key: str) -> str:
        """The JSON path of a member."""
        return f"{self._path}.{key}" if self._path else key

    def refuse(self, key: str, problem: str) -> NoReturn:
        """Raises InvalidDocument about a member."""
        raise InvalidDocument(self._subject, problem, path=self.path_of(key))

    def has(self, key: str) -> bool:
        """Whether the member is there, not yet taken and not null."""
        return self._rest.get(key) is not None

    def take(self, key: str) -> JSON:
        """Any value; a missing member is refused."""
        if key not in self._rest:
            self.refuse(key, "is missing")
        return self._rest.pop(key)

    def text(self, key: str, *, max_length: int, max_bytes: int | None = None, default: str | None = None) -> str:
        """A string of at most ``max_length`` characters, without NUL; ``default`` stands for a missing or null one.

        ``max_bytes``: of its UTF-8 form, for what goes into an index, which counts bytes.
        """
        if default is not None and self._rest.get(key) is None:
            self._rest.pop(key, None)
            return default
        value = self.take(key)
        if not isinstance(value, str):
            self.refuse(key, f"must be a string, got {kind_of(value)}")
        if len(value) > max_length:
            self.refuse(key, f"is {len(value)} characters long, at most {max_length} are accepted")
        if max_bytes is not None and len(value.encode("utf-8")) > max_bytes:
            self.refuse(key, f"is {len(value.encode('utf-8'))} bytes long, at most {max_bytes} are accepted")
        if "\x00" in value:
            self.refuse(key, "contains a NUL character")
        return value

    def integer(self, key: str, *, minimum: int, maximum: int, default: int | None = None) -> int:
        """A whole number within the bounds, which belong to them."""
        if default is not None and self._rest.get(key) is None:
            self._rest.pop(key, None)
            return default
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(key, f"must be a whole number, got {kind_of(value)}")
        if not minimum <= value <= maximum:
            self.refuse(key, f"must be from {minimum} to {maximum}, got {value}")
        return value

    def boolean(self, key: str, *, default: bool | None = None) -> bool:
        """true or false."""
        if default is not None and self._rest.get(key) is None:
            self._rest.pop(key, None)
            return default
        value = self.take(key)
        if not isinstance(value, bool):
            self.refuse(key, f"must be true or false, got {kind_of(value)}")
        return value

    def time(self, key: str) -> datetime:
        """An RFC 3339 time, made aware and UTC."""
        value = self.take(key)
        try:
            return parse_time(value)
        except ValueError as error:
            self.refuse(key, str(error))

    def mapping(self, key: str, *, default: dict[str, JSON] | None = None) -> dict[str, JSON]:
        """An object, not looked into."""
        if default is not None and self._rest.get(key) is None:
            self._rest.pop(key, None)
            return default
        value = self.take(key)
        if not isinstance(value, dict):
            self.refuse(key, f"must be an object, got {kind_of(value)}")
        return value

    def object(self, key: str) -> Members:
        """An object, to be taken apart."""
        return Members(self.mapping(key), self._subject, self.path_of(key))

    def items(self, key: str, *, minimum: int, maximum: int) -> list[JSON]:
        """A list whose length lies within the bounds."""
        value = self.take(key)
        if not isinstance(value, list):
            self.refuse(key, f"must be a list, got {kind_of(value)}")
        if not minimum <= len(value) <= maximum:
            self.refuse(key, f"must have {minimum} to {maximum} entries, got {len(value)}")
        return value

    def objects(self, key: str, *, minimum: int, maximum: int) -> Iterator[Members]:
        """A list of objects, to be taken apart."""
        for index, value in enumerate(self.items(key, minimum=minimum, maximum=maximum)):
            yield members(value, subject=self._subject, path=f"{self.path_of(key)}[{index}]")

    def texts(self, key: str, *, maximum: int, max_length: int) -> tuple[str, ...]:
        """A list of strings; a missing or null one is empty."""
        if self._rest.get(key) is None:
            self._rest.pop(key, None)
            return ()
        values = self.items(key, minimum=0, maximum=maximum)
        for index, value in enumerate(values):
            if not isinstance(value, str) or len(value) > max_length or "\x00" in value:
                self.refuse(f"{key}[{index}]", f"must be a string of at most {max_length} characters")
        return tuple(str(value) for value in values)

    def close(self) -> None:
        """Refuses members that were not taken: a misspelt key must not widen a question in silence."""
        if self._rest:
            key = min(self._rest)
            raise InvalidDocument(self._subject, "is not a known key", path=self.path_of(key[:80]))


def _no_duplicates(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {key!r:.80} appears twice")
            seen.add(key)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is too large a number")
    return number


# json.loads makes a decoder at each call.
_read = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite).decode


def _depth(value: JSON) -> int:
    level: list[JSON] = [value] if isinstance(value, dict | list) else []
    depth = 1
    while any(level):  # an empty one has no level below it
        depth += 1
        # json.loads makes no subclasses; asking for the exact type is what makes this quick
        inner = itertools.chain.from_iterable(one.values() if type(one) is dict else one for one in level)  # type: ignore[misc]  # the level has lists and objects alone
        level = [one for one in inner if type(one) is dict or type(one) is list]
    return depth
