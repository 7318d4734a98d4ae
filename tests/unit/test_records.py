"""Our ``dataclass`` means what the standard library's means."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pytest

from mig_core import records


@records.dataclass(frozen=True, slots=True)
class Place:
    """Frozen, with slots."""

    kind: ClassVar[str] = "place"
    name: str
    depth: int = 3
    tags: dict[str, str] = records.field(default_factory=dict, hash=False)
    secret: str = records.field(default="hidden", repr=False, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class TheirPlace:
    """The same."""

    kind: ClassVar[str] = "place"
    name: str
    depth: int = 3
    tags: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)
    secret: str = dataclasses.field(default="hidden", repr=False, compare=False)


@records.dataclass(frozen=True, slots=True, kw_only=True)
class Room(Place):
    """Derived, with a member that has to be named."""

    floor: int


@records.dataclass(slots=True)
class Counter:
    """Can be changed; what it counts is worked out."""

    start: int
    seen: list[int] = records.field(default_factory=list)
    total: int = records.field(default=0, init=False)

    def __post_init__(self) -> None:
        self.total = self.start + 1


@records.dataclass
class Node:
    """Can hold itself."""

    next: Any = None


def test_objects_are_made_compared_hashed_and_shown_as_the_standard_librarys() -> None:
    for kind in (Place, TheirPlace):
        one, same, other = kind("a", tags={"x": "y"}, secret="s"), kind("a", 3, {"x": "y"}), kind("b")

        assert one == same
        assert hash(one) == hash(same) == hash(("a", 3))
        assert one != other
        assert repr(one) == f"{kind.__name__}(name='a', depth=3, tags={{'x': 'y'}})"
        assert kind.__match_args__ == ("name", "depth", "tags", "secret")
        assert not hasattr(one, "__dict__")
        assert kind.__slots__ == ("name", "depth", "tags", "secret")


def test_a_frozen_one_cannot_be_changed_but_copied_and_pickled() -> None:
    one = Place("a", tags={"x": "y"})

    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del one.name
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one


def test_wrong_arguments_are_named_with_the_class() -> None:
    with pytest.raises(TypeError, match=r"Place\.__init__\(\) missing 1 required positional argument: 'name'"):
        Place()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'wide'"):
        Place("a", wide=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"takes from 2 to 5 positional arguments but 6 were given"):
        Room("a", 1, {}, "", 4)  # type: ignore[call-arg]


def test_derived_classes_and_members_that_are_worked_out() -> None:
    room = Room("a", floor=2)
    first, second = Counter(1), Counter(1)
    first.seen.append(5)

    assert (room.depth, room.floor, room.kind) == (3, 2, "place")
    assert second.seen == []
    assert (first.total, second.total) == (2, 2)
    assert first != second
    with pytest.raises(TypeError, match="unhashable"):
        hash(first)


def test_a_member_that_is_declared_anew_keeps_its_default() -> None:
    @records.dataclass
    class Ours:
        floor: int = 1

    @records.dataclass
    class Derived(Ours):
        floor: int

    @records.dataclass(slots=True)
    class Slotted:
        floor: int

    @records.dataclass(slots=True)
    class DerivedOfSlotted(Slotted):
        floor: int

    assert Derived().floor == 1  # type: ignore[call-arg]  # type checkers have another opinion than the library
    with pytest.raises(TypeError, match="missing 1 required"):
        DerivedOfSlotted()  # type: ignore[call-arg]


def test_replacing() -> None:
    one = Place("a", secret="s")

    assert records.replace(one, name="b").secret == "s"
    assert records.replace(TheirPlace("a"), name="b") == TheirPlace("b")
    assert records.replace(Room("a", floor=1), floor=2) == Room("a", floor=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'wide'"):
        records.replace(one, wide=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="init=False"):
        records.replace(Counter(1), total=5)


def test_the_standard_librarys_functions_take_them() -> None:
    one = Place("a")

    assert [each.name for each in dataclasses.fields(Room)] == ["name", "depth", "tags", "secret", "floor"]
    assert dataclasses.asdict(one) == {"name": "a", "depth": 3, "tags": {}, "secret": "hidden"}
    assert dataclasses.replace(one, name="b") == Place("b")
    assert dataclasses.is_dataclass(one)
    assert records.is_dataclass(TheirPlace)
    assert not records.is_dataclass(3)
    assert (
        records.defaults(Place)
        == records.defaults(TheirPlace)
        == dict(zip(("name", "depth", "tags", "secret"), (False, True, True, True), strict=True))
    )


def test_the_standard_librarys_classes_may_be_derived_from_them() -> None:
    @dataclasses.dataclass(frozen=True)
    class Wide(Place):
        width: int = 1

    one = Wide("a", width=2)

    assert records.replace(one, width=3) == Wide("a", width=3)
    assert records.defaults(Wide)["width"]


def test_one_that_holds_itself_is_shown() -> None:
    node = Node()
    node.next = node

    assert repr(node) == "Node(next=...)"


def test_abstract_members_stay_abstract_until_a_class_has_them() -> None:
    @records.dataclass(slots=True)
    class Base(ABC):
        name: str

        @abstractmethod
        def look(self) -> None: ...

    @records.dataclass(slots=True)
    class Whole(Base):
        def look(self) -> None: ...

    with pytest.raises(TypeError, match="abstract"):
        Base("a")  # type: ignore[abstract]
    assert Whole("a") == Whole("a")


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="use default_factory"):

        @records.dataclass
        class Shared:
            names: list[str] = []  # noqa: RUF012  it is the fault

    with pytest.raises(TypeError, match="follows one that has one"):

        @records.dataclass
        class Order:
            first: int = 1
            second: int  # type: ignore[misc]

    with pytest.raises(TypeError, match="is the standard library's"):

        @records.dataclass(frozen=True)
        class Mixed(TheirPlace):
            more: int = 1


def test_writing_all_at_once_changes_nothing() -> None:
    @records.dataclass(slots=True)
    class Late:
        name: str = "a"

    records.write_all()

    assert Late() == Late("a")


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(
            "mig_core.cli.plain_question, mig_core.cli.ask, mig_core.pgp.signer, mig_core.client.client", id="mig"
        ),
        pytest.param("mig_core.agent.operations.zygote, mig_file.module", id="zygote"),
    ],
)
def test_what_starts_often_does_without_the_standard_librarys(program: str) -> None:
    names = program.split(", ")
    for name in names:
        pytest.importorskip(name) if name.startswith("mig_file") else importlib.import_module(name)
    look = f"import sys, {program}; print({{'dataclasses', 'inspect'}} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-P", "-c", look], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
