"""``dataclass`` as the standard library's, in a fraction of its time: programs that start often declare dozens.

The standard library writes the source text of six functions for each class when it is declared, and imports
``inspect`` for it. Here ``__init__`` is written when the first object is made, and the others need no text. What is
offered means the same. :mod:`dataclasses`' own ``fields``, ``replace`` and ``asdict`` take these classes too, and its
``dataclass`` classes that are derived from them. A type checker sees the standard library's.
"""

from __future__ import annotations

from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OWN = "__mig_fields__"
_THEIRS = "__dataclass_fields__"


class _Missing:
    """Stands for a default that there is not."""

    __slots__ = ()


_MISSING: Any = _Missing()
_unwritten: dict[type, Callable[[], None]] = {}
"""Classes of which no object was made yet."""


class _Field:
    """One member: what :func:`field` says of it, its name and its type."""

    __slots__ = ("compare", "default", "default_factory", "hash", "init", "kw_only", "name", "repr", "type")

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        init: bool = True,
        repr: bool = True,  # noqa: A002  the standard library's names
        hash: bool | None = None,  # noqa: A002  as above
        compare: bool = True,
    ) -> None:
        self.default, self.default_factory, self.init = default, default_factory, init
        self.repr, self.hash, self.compare = repr, hash, compare
        self.name, self.type, self.kw_only = "", "", False


class _Theirs:
    """An attribute that the standard library gives its classes, made when somebody asks for it."""

    __slots__ = ("_frozen", "_name", "_of")

    def __init__(self, name: str, of: type, *, frozen: bool) -> None:
        self._name, self._of, self._frozen = name, of, frozen

    def __get__(self, one: object, owner: type) -> Any:
        import dataclasses

        specs: list[Any] = []
        for each in _own(self._of).values():
            options = {name: getattr(each, name) for name in ("init", "repr", "hash", "compare", "kw_only")}
            for name in ("default", "default_factory"):
                if getattr(each, name) is not _MISSING:
                    options[name] = getattr(each, name)
            specs.append((each.name, each.type, dataclasses.field(**options)))
        return vars(dataclasses.make_dataclass(self._of.__name__, specs, frozen=self._frozen))[self._name]


def _dataclass(
    cls: type | None = None,
    /,
    *,
    eq: bool = True,
    repr: bool = True,  # noqa: A002  the standard library's name
    frozen: bool = False,
    slots: bool = False,
    kw_only: bool = False,
) -> Any:
    """See :func:`dataclasses.dataclass`.

    Raises:
        TypeError: annotations are no texts (``from __future__ import annotations``), the order of defaults is not
            possible, or a base is the standard library's.
        ValueError: a default could be changed.
    """

    def made(cls: type) -> type:
        fields = _inherited(cls) | _declared(cls, kw_only=kw_only)
        positional = [one for one in fields.values() if one.init and not one.kw_only]
        if sorted(positional, key=_has_default) != positional:
            raise TypeError(f"{cls.__qualname__}: a member without a default follows one that has one")
        if slots:
            cls = _with_slots(cls, fields)
        own: dict[str, Any] = {_OWN: fields, "__init__": _later_init(cls, frozen=frozen)}
        own |= {name: _Theirs(name, cls, frozen=frozen) for name in (_THEIRS, "__dataclass_params__")}
        own["__match_args__"] = tuple(one.name for one in positional)
        if repr:
            own["__repr__"] = _repr_of([one.name for one in fields.values() if one.repr])
        own |= _comparing(cls, fields, frozen=frozen) if eq else {}
        own |= _unchanging(cls, fields) if frozen else {}
        own |= {"__getstate__": _state, "__setstate__": _take_state} if frozen and slots else {}
        for name, value in own.items():
            if name not in cls.__dict__ or (name == "__hash__" and value is not None):
                setattr(cls, name, value)
        if getattr(cls, "__abstractmethods__", None):
            from abc import update_abstractmethods

            update_abstractmethods(cls)
        return cls

    return made if cls is None else made(cls)


def _field(**said: Any) -> Any:
    """See :func:`dataclasses.field`: ``default``, ``default_factory``, ``init``, ``repr``, ``hash`` and ``compare``."""
    return _Field(**said)


def _replace(record: Any, /, **changes: Any) -> Any:
    """See :func:`dataclasses.replace`."""
    fields = _own(type(record))
    if not fields:
        from dataclasses import replace

        return replace(record, **changes)
    for name, one in fields.items():
        if not one.init and name in changes:
            raise ValueError(f"{name} is declared with init=False, it cannot be replaced")
        if one.init and name not in changes:
            changes[name] = getattr(record, name)
    return type(record)(**changes)


def _is_dataclass(thing: object) -> bool:
    """See :func:`dataclasses.is_dataclass`."""
    return any(_THEIRS in one.__dict__ for one in (thing if isinstance(thing, type) else type(thing)).__mro__)


def defaults(kind: type) -> dict[str, bool]:
    """The members of a class, ours or the standard library's: name -> whether it has a default."""
    if own := _own(kind):
        return {name: _has_default(one) for name, one in own.items()}
    from dataclasses import MISSING, fields

    return {one.name: (one.default, one.default_factory) != (MISSING, MISSING) for one in fields(cast("Any", kind))}


def write_all() -> None:
    """Writes ``__init__`` of all classes that have been declared: for a process whose children make the objects."""
    while _unwritten:
        _unwritten.popitem()[1]()


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import is_dataclass as is_dataclass
    from dataclasses import replace as replace
else:
    dataclass, field, is_dataclass, replace = _dataclass, _field, _is_dataclass, _replace


def _own(cls: type) -> Mapping[str, _Field]:
    """The members of a class of ours; none of the standard library's."""
    nearest: Mapping[str, Any] = next((one.__dict__ for one in cls.__mro__ if _THEIRS in one.__dict__), {})
    return cast("Mapping[str, _Field]", nearest.get(_OWN, {}))


def _inherited(cls: type) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for base in cls.__mro__[-1:0:-1]:
        if _THEIRS in base.__dict__:
            if _OWN not in base.__dict__:
                raise TypeError(f"{cls.__qualname__}: its base {base.__qualname__} is the standard library's")
            found |= base.__dict__[_OWN]
    return found


def _declared(cls: type, *, kw_only: bool) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for name, annotation in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063  inspect takes 4 ms
        if not isinstance(annotation, str):
            raise TypeError(f"{cls.__qualname__}: annotations are no texts")
        if annotation.removeprefix("typing.").startswith("ClassVar"):
            continue
        said = getattr(cls, name, _MISSING)  # declared anew, it keeps the default of before
        said = _MISSING if isinstance(said, MemberDescriptorType) else said
        one = said if isinstance(said, _Field) else _Field(default=said)
        if one.default is not _MISSING and type(one.default).__hash__ is None:
            raise ValueError(f"{cls.__qualname__}: the default of {name} can be changed: use default_factory")
        if one is said and one.default is _MISSING:
            delattr(cls, name)
        elif one is said:
            setattr(cls, name, one.default)
        one.name, one.type, one.kw_only = name, annotation, kw_only
        found[name] = one
    return found


def _has_default(one: _Field) -> bool:
    return one.default is not _MISSING or one.default_factory is not _MISSING


def _with_slots(cls: type, fields: Mapping[str, _Field]) -> type:
    if "__slots__" in cls.__dict__:
        raise TypeError(f"{cls.__qualname__} has __slots__ already")
    inherited: set[str] = set()
    for base in cls.__mro__[1:-1]:
        named = base.__dict__.get("__slots__", ())
        inherited |= {named} if isinstance(named, str) else {*named}
    left_out = {*fields, "__dict__", "__weakref__"}
    namespace = {name: value for name, value in cls.__dict__.items() if name not in left_out}
    namespace["__slots__"] = tuple(name for name in fields if name not in inherited)
    namespace["__qualname__"] = cls.__qualname__
    return type(cls)(cls.__name__, cls.__bases__, namespace)


def _later_init(cls: type, *, frozen: bool) -> Callable[..., None]:
    def write() -> None:
        _unwritten.pop(cls, None)
        if cls.__dict__.get("__init__") is write_and_begin:
            cast("Any", cls).__init__ = _written_init(cls, frozen=frozen)

    def write_and_begin(self: Any, *values: Any, **named: Any) -> None:
        write()
        cast("Any", cls).__init__(self, *values, **named)

    _unwritten[cls] = write
    return write_and_begin


def _written_init(cls: type, *, frozen: bool) -> Callable[..., None]:
    fields = _own(cls)
    names: dict[str, Any] = {"__missing": _MISSING, "__set": object.__setattr__}
    heads: dict[bool, list[str]] = {False: [], True: []}
    lines: list[str] = []
    for name, one in fields.items():
        value, head = name, name
        if one.default_factory is not _MISSING:
            names[f"__make_{name}"] = one.default_factory
            value = f"__make_{name}() if {name} is __missing else {name}" if one.init else f"__make_{name}()"
            head = f"{name}=__missing"
        elif one.default is not _MISSING:
            names[f"__default_{name}"] = one.default
            value = name if one.init else f"__default_{name}"
            head = f"{name}=__default_{name}"
        elif not one.init:
            continue
        if one.init:
            heads[one.kw_only].append(head)
        if frozen and isinstance(slot := getattr(cls, name, None), MemberDescriptorType):
            names[f"__set_{name}"] = slot.__set__
            lines.append(f" __set_{name}(self, {value})")
        else:
            lines.append(f" __set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    head = ", ".join(["self", *heads[False], *(["*", *heads[True]] if heads[True] else ())])
    text = "\n".join([f"def __init__({head}):", *(lines or [" pass"])])
    exec(text, names)  # noqa: S102  of names that a class body declares
    written = cast("Callable[..., None]", names["__init__"])
    written.__qualname__ = f"{cls.__qualname__}.__init__"
    written.__module__ = cls.__module__
    return written


def _values_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda record: tuple(getattr(record, name) for name in names)


def _comparing(cls: type, fields: Mapping[str, _Field], *, frozen: bool) -> dict[str, Any]:
    values = _values_of([one.name for one in fields.values() if one.compare])

    def equals(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    own: dict[str, Any] = {"__eq__": equals}
    explicit = cls.__dict__.get("__hash__", _MISSING)
    if explicit is _MISSING or (explicit is None and "__eq__" in cls.__dict__):
        hashed = _values_of([one.name for one in fields.values() if (one.compare if one.hash is None else one.hash)])
        own["__hash__"] = (lambda self: hash(hashed(self))) if frozen else None
    return own


def _unchanging(cls: Any, fields: Mapping[str, _Field]) -> dict[str, Any]:
    def forbid(self: Any, name: str, verb: str) -> None:
        if type(self) is cls or name in fields:
            from dataclasses import FrozenInstanceError

            raise FrozenInstanceError(f"cannot {verb} field {name!r}")

    def assign(self: Any, name: str, value: Any) -> None:
        forbid(self, name, "assign to")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        forbid(self, name, "delete")
        super(cls, self).__delattr__(name)

    return {"__setattr__": assign, "__delattr__": delete}


def _repr_of(names: list[str]) -> Callable[[Any], str]:
    shown: list[Callable[[Any], str]] = []

    def show(self: Any) -> str:
        if not shown:
            from reprlib import recursive_repr

            @recursive_repr()
            def written(record: Any) -> str:
                return (
                    f"{type(record).__qualname__}({', '.join(f'{name}={getattr(record, name)!r}' for name in names)})"
                )

            shown.append(written)
        return shown[0](self)

    return show


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in _own(type(self))]


def _take_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(_own(type(self)), state, strict=True):
        object.__setattr__(self, name, value)
