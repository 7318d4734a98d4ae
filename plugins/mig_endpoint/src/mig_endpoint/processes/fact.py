"""A property that is worked out once: ``functools.cached_property`` without its lock, which costs more than most of
what is asked of a process (Python 3.11 has one, 3.12 no more).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class fact(Generic[T]):  # noqa: N801  # it is used as property is
    """Keeps what the method gives in the object itself; an exception is not kept. For objects of one thread."""

    def __init__(self, ask: Callable[[Any], T]) -> None:
        self._ask = ask
        self.__doc__ = ask.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, of: None, owner: type) -> Self: ...
    @overload
    def __get__(self, of: object, owner: type) -> T: ...
    def __get__(self, of: object | None, owner: type) -> Self | T:
        if of is None:
            return self
        value = of.__dict__[self._name] = self._ask(of)
        return value
