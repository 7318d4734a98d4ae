'''The module contract. A whole plugin, to begin with::

    """Says whether a TCP port is open on the endpoint."""

    from mig_core.domain.result import Coverage, ModuleResult
    from mig_core.plugin.module import Context, Module, ModuleInfo
    from mig_core.plugin.parameters import Kind, Parameter, Parameters


    class Port(Module[int]):
        info = ModuleInfo(name="port", summary="is a TCP port listening")
        parameters = Parameters(
            Parameter(name="port", key="port", help="the port", kind=Kind.INTEGER, minimum=1, maximum=65535),
        )

        def parse_parameters(self, raw: object, *, strict: bool = True) -> int:
            return self.parameters.parse(raw, strict=strict).integer("port")

        def run(self, parameters: int, context: Context) -> ModuleResult:
            import socket

            with socket.socket() as probe:
                listening = probe.connect_ex(("127.0.0.1", parameters)) == 0
            return ModuleResult(listening, True, {"port": parameters}, coverage=Coverage(examined={"ports": 1}))

and in the plugin's ``pyproject.toml``::

    [project.entry-points."mig.modules"]
    port = "mig_port:Port"

The entry point's name is the word investigators use. ``mig plugin new NAME`` writes all of this with tests;
``mig_core.testing.ModuleContract`` is what those tests run.

What a module promises: importing its file works on every operating system and is cheap (heavy or OS-bound imports
happen in ``run``); ``parse_parameters`` is pure and total; ``run`` never prints, honours ``context.deadline``, says
what it skipped, and opens no connection unless ``needs_network`` says so. It runs in a child process of its own, with
limits on time and memory.
'''

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult
    from mig_core.plugin.columns import Column, Row
    from mig_core.plugin.parameters import Parameters

P = TypeVar("P")

API_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleInfo:
    """What a module is. Shown by ``mig plugins`` and in help."""

    name: str
    """The word of an operation: lower case, at most 32 characters, equal to the entry point's name."""
    summary: str
    """One line, without a full stop."""
    platforms: tuple[str, ...] = ("linux",)
    """``sys.platform`` values it can run on."""
    needs_root: bool = False
    """Whether it finds less, or nothing, without root; it must then say so in its coverage."""
    needs_network: bool = False
    """Whether ``run`` opens connections."""
    discloses: str = ""
    """What a positive answer tells about the endpoint, for those who weigh privacy:

    ``"paths and sizes of matching files"``.
    """
    preload: tuple[str, ...] = ()
    """Names of imports worth having ready before a run; a missing one is ignored."""
    api: int = API_VERSION
    """The version of this contract it was written for."""


@dataclass(slots=True)
class Context:
    """What a run may know and use. Made by the agent (or by a test)."""

    deadline: float
    """``time.monotonic()`` at which to stop and return what was found, marked incomplete."""
    threads: int = 1
    """How many processors the run may keep busy, with threads or with processes."""
    environment: Mapping[str, JSON] = field(default_factory=dict)
    """The agent's environment facts."""
    tags: Mapping[str, str] = field(default_factory=dict)
    persist_socket: str = ""
    """For a persistent module: the private socket of its running process."""
    action: str = ""
    """The id of the signed action that this run is part of; empty when there is none (``mig-agent -m``)."""
    window_ends: str = ""
    """When that action's window ends (RFC 3339, UTC): for what is to be kept until then and no longer."""
    on_partial: Callable[[ModuleResult], None] | None = None

    def remaining(self) -> float:
        """Seconds until the deadline; 0 when it has passed."""
        return max(0.0, self.deadline - time.monotonic())

    def expired(self) -> bool:
        """Whether to stop now. Cheap; ask often."""
        return time.monotonic() >= self.deadline

    def partial(self, result: ModuleResult) -> None:
        """Hands over what was found so far

        It is the answer if the run is killed. Worth calling every few seconds at most.
        """
        if self.on_partial is not None:
            self.on_partial(result)


class Module(ABC, Generic[P]):
    """An investigation module. ``P`` is the type of its parsed parameters."""

    info: ClassVar[ModuleInfo]
    parameters: ClassVar[Parameters]
    columns: ClassVar[tuple[Column, ...]] = ()
    """What a row of its answers has (:mod:`mig_core.plugin.columns`); none: its elements are not rows."""
    rows_at: ClassVar[str] = ""
    """Where the rows lie in the elements: see :func:`mig_core.plugin.rows.rows_of`."""

    @abstractmethod
    def parse_parameters(self, raw: object, *, strict: bool = True) -> P:
        """The parameters of an operation, checked completely.

        Pure and total: the same for the same input, on any operating system, for any JSON value. ``strict`` refuses
        unknown keys; ``mig-agent -m`` alone parses without it, as the original did.

        Raises:
            ParameterError: names the JSON path of the fault.
        """

    def remarks(self, parameters: P) -> Iterator[str]:
        """What an investigator should know of these parameters before they are signed; a line each, often none.

        Asked on the investigator's machine only.
        """
        del parameters
        return iter(())

    @abstractmethod
    def run(self, parameters: P, context: Context) -> ModuleResult:
        """Looks, and says what was found and what was not looked at.

        May raise anything: the agent turns it into a failed result. A ``ModuleResult.failure`` with a good text is
        better.
        """

    def failure(self, *errors: str) -> ModuleResult:
        """The result of an operation that could not even begin, in the shape of the module's other results."""
        from mig_core.domain.result import ModuleResult

        return ModuleResult.failure(*errors, elements={} if self.parameters.label else None)

    def rows(self, result: ModuleResult) -> Iterator[Row]:
        """The result as rows of the declared columns. Total: it may come from a hostile endpoint."""
        from mig_core.plugin.rows import rows_of

        return rows_of(self.columns, self.rows_at, result.elements)

    def lines(self, result: ModuleResult, *, found_only: bool) -> Iterator[str]:
        """The result as lines for a person: its rows, or that something was found.

        ``found_only`` leaves out empty rows, errors and statistics.
        """
        from mig_core.plugin.printing import printable, row_text

        rows = [printable(row_text((one.name for one in self.columns), row)) for row in self.rows(result)]
        yield from rows
        if result.found and not rows:
            yield f"{self.info.name}: found"
        elif not result.found and not found_only:
            yield f"{self.info.name}: not found"
        if not found_only:
            yield from result.errors

    def mask(self, result: ModuleResult) -> ModuleResult:
        """The result without what ``extra_privacy`` must not disclose: names of files, addresses, identifiers."""
        return result
