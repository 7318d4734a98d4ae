"""Persistent modules: a process of their own that runs as long as the agent does.

The agent starts ``mig-agent -P NAME`` and speaks with it over standard input and output: one JSON object a line,
``{"class": …}``.

* ``config`` (agent to module; once, first): ``config`` (the module's own table), ``hostname``, ``environment``,
  ``tags``, ``state`` (a private folder), ``socket`` (where to listen for questions), ``memory_bytes`` (its limit)
* ``register`` (module to agent): ``socket``: questions may be asked there
* ``ping`` (agent to module): ``number``; the module sends it back
* ``log`` (module to agent): ``level``, ``message``
* ``status`` (module to agent): ``status``: counters for the heartbeat and ``mig agent show``
* ``alert`` (module to agent): ``id`` (from 1, grows by one), ``alert`` (any JSON object)
* ``alert`` (agent to sink): ``id``, ``module``, ``alert``: to the module that takes alerts, if there is one, and to
  each detector
* ``accepted`` (both): ``through``: all alerts up to this id are safe and need not be sent again
* ``stop`` (agent to module): end within a few seconds
* ``kept`` (module to agent; last): what it still had under way is in its state folder

Alerts flow with acknowledgements all the way: source and agent each keep one until the sink's disk has it. At most
``WINDOW`` of them, and ``WINDOW_BYTES``, are under way from one source; then :meth:`Service.alert` waits. Both sides
always read, so a full window never holds up anything else. What a source has under way when it ends in good order, or
when the agent dies, is kept in its state folder and sent first the next time: at least once, in the order of its
source.

A question comes over the socket as one line, ``{"class": "parameters", "parameters": …}`` (or the bare parameters), one
to a connection; the answer is one line. :func:`mig_core.plugin.question.ask` asks so.

The process uses SIGALRM and SIGTERM for itself, and the names ``alerts.unsent`` and ``lock`` in the state folder;
everything else there is the module's. There is never more than one process on a state folder, even if the agent was
killed and has come back.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

from mig_core.plugin.module import Module
from mig_core.records import dataclass

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.domain.result import ModuleResult

P = TypeVar("P")

WINDOW = 2000
"""Alerts a source may have under way."""
WINDOW_BYTES = 2 << 20
"""And their bytes, all together; one alert may always be."""
MAX_LINE_BYTES = 1 << 20
"""Longest line in either direction. :meth:`Service.alert` cuts a longer alert: its longest members are shortened, and
the member ``cut`` says which and how long they were (:func:`mig_core.plugin.cutting.fitted`)."""
MAX_STATUS_BYTES = 8 << 10
"""Largest status, as JSON; a larger one is not reported."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """An alert that some module has sent, as the sink sees it. ``raw`` is the alert's JSON object, undecoded."""

    id: int
    """The agent's number for it: grows (not always by one), over restarts of the agent too unless the clock goes back.
    An alert that is sent again while the agent runs keeps its number."""
    module: str
    raw: bytes


class Service(Protocol):
    """What a persistent module may use while it serves. Thread-safe."""

    config: Mapping[str, JSON]
    """The module's own table of the agent's settings (``[persistent.NAME]``)."""
    hostname: str
    environment: Mapping[str, JSON]
    tags: Mapping[str, str]
    state: Path
    """A private folder (0700) that survives restarts."""
    stopping: threading.Event
    """Set when the agent wants the module to end, or is gone."""

    def log(self, level: int, message: str) -> None:
        """A line for the agent's log; ``level`` as in :mod:`logging`."""
        ...

    def status(self, status: Mapping[str, JSON]) -> None:
        """Replaces the module's counters in the heartbeat. Call it when they change, at most every second."""
        ...

    def alert(self, alert: Mapping[str, JSON], *, timeout: float | None = None) -> bool:
        """Sends an alert on its way to the sink; waits while ``WINDOW`` of them are under way.

        Returns whether it was taken; True means that it arrives, unless this process and the agent, or the machine, die
        at the same moment. False after ``timeout`` seconds, or when there is no room and the module is to stop; while
        there is room it is taken even then.
        """
        ...

    def answer_with(self, handler: Callable[[object], ModuleResult]) -> None:
        """Opens the socket and answers questions: ``handler`` gets the raw parameters, in threads of its own, one
        question at a time.

        A ParameterError or any other exception becomes a failed result; it never ends the module.
        """
        ...

    def take_alerts(self, handler: Callable[[Sequence[Incoming]], None]) -> None:
        """For the sink: ``handler`` gets alerts in batches, in a thread of its own, and returns when they are safe on
        disk. For a detector: when they have been looked at.

        If it raises, they come again after a pause. No batch begins after ``stopping`` is set.
        """
        ...


class PersistentModule(Module[P]):
    """A module with a process of its own. ``run`` asks that process over ``context.persist_socket``."""

    takes_alerts: ClassVar[bool] = False
    """Whether it is a sink: the agent sends it the alerts of all others. There is at most one."""
    watches_alerts: ClassVar[bool] = False
    """Whether it is a detector: the agent gives it a copy of every alert of the others (not of detectors), and takes
    its own. The alerts themselves never wait for it; how many it was not given, because it was too slow or did not run,
    it is told by an alert of the module ``agent``: ``{"type": "alerts_missed", "count": 3}``."""

    @abstractmethod
    def check_config(self, config: Mapping[str, JSON]) -> None:
        """Returns when the module's table of the settings can be used; pure.

        Raises:
            ConfigurationError: names the key's path.
        """

    @abstractmethod
    def serve(self, service: Service) -> None:
        """Works until ``service.stopping`` is set, then returns within three seconds; the process is killed otherwise.

        Called on the main thread. Returning early, or raising, means a restart after a pause. What the module prints,
        and what it logs with :mod:`logging`, appears in the agent's log.
        """
