"""Results: what one module found, how much it looked at, and the answer an agent signs for a command.

A result keeps the original's five keys (``foundanything success elements statistics errors``) and adds ``coverage``, so
that "found nothing" and "could not look" are never the same answer.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.command import ANSWERED, CommandState
from mig_core.domain.document import dump, load, members
from mig_core.domain.ids import ActionId, AgentId, CommandId, check_agent_id, check_uuid
from mig_core.domain.times import format_time
from mig_core.records import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mig_core.domain.document import JSON, Members
    from mig_core.domain.proof import Proof

MAX_ERRORS = 10_000

_BEGINNING = re.compile(
    rb'\{"payloadType":"' + re.escape(envelopes.RESULT.encode("ascii")) + rb'","payload":"([A-Za-z0-9+/]{136})'
)
_UUID = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CLAIM = re.compile(rb'\{"command":"(%b)","action":"(%b)"' % (_UUID, _UUID))


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not looked at. ``examples`` names at most a few of ``count``."""

    reason: str
    count: int
    examples: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        """The JSON form."""
        return {"reason": self.reason, "count": self.count, "examples": list(self.examples)}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was looked at. ``complete`` is false when anything that was asked for was skipped or cut short."""

    complete: bool = True
    examined: Mapping[str, int] = field(default_factory=dict)
    """Counts by kind, in the module's words: ``{"files": 1204, "bytes": 88123}``."""
    skipped: tuple[Skipped, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        """The JSON form."""
        return {
            "complete": self.complete,
            "examined": dict(self.examined),
            "skipped": [one.to_json() for one in self.skipped],
        }


@dataclass(frozen=True, slots=True)
class ModuleResult:
    """What one run of one module says.

    ``success`` is about the module (it could do its work), ``found`` about the endpoint. ``elements`` and
    ``statistics`` are the module's own JSON.
    """

    found: bool
    success: bool
    elements: JSON = None
    statistics: JSON = None
    errors: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)

    @classmethod
    def failure(cls, *errors: str, elements: JSON = None) -> ModuleResult:
        """A run that could not do its work."""
        return cls(False, False, elements, None, errors, Coverage(complete=False))

    def to_json(self) -> dict[str, JSON]:
        """The JSON form: the original's five keys, all always there, then coverage."""
        return {
            "foundanything": self.found,
            "success": self.success,
            "elements": self.elements,
            "statistics": self.statistics,
            "errors": list(self.errors) or None,
            "coverage": self.coverage.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent says about one command; its payload is signed with the agent's key (type ``RESULT``).

    ``results`` has one entry for each operation that was run, in the action's order; it is empty when none was.
    ``reason`` is empty for a plain success.
    """

    command: CommandId
    action: ActionId
    agent: AgentId
    state: CommandState
    reason: str
    results: tuple[ModuleResult, ...]
    started: datetime
    finished: datetime
    proof: Proof | None = field(default=None, compare=False, repr=False)
    """The signed document it was read from; None where it was made and not read."""

    @property
    def found(self) -> bool:
        """Whether any operation found something."""
        return any(one.found for one in self.results)

    @property
    def complete(self) -> bool:
        """Whether everything asked for was looked at."""
        return self.state is CommandState.SUCCESS and all(one.coverage.complete for one in self.results)

    def to_payload(self) -> bytes:
        """The bytes to be signed."""
        return dump(
            {
                "command": self.command,
                "action": self.action,
                "agent": self.agent,
                "state": self.state.value,
                "reason": self.reason,
                "results": [one.to_json() for one in self.results],
                "started": format_time(self.started),
                "finished": format_time(self.finished),
            }
        )


def claimed_command(raw: bytes) -> CommandId | None:
    """The command that a result's envelope claims to answer, found without decoding it; None when it begins otherwise.

    Agents write type and command first (``docs/rest-api.md``), so a large result that nobody waits for costs no more
    than a look at its beginning. It proves nothing: whoever reads on sees whether the claim was true.
    """
    claim = _claim(raw)
    return None if claim is None else CommandId(claim[1].decode("ascii"))


def claimed_action(raw: bytes) -> ActionId | None:
    """The action that a result's envelope claims to be about, likewise."""
    claim = _claim(raw)
    return None if claim is None else ActionId(claim[2].decode("ascii"))


def _claim(raw: bytes) -> re.Match[bytes] | None:
    beginning = _BEGINNING.match(raw)
    return None if beginning is None else _CLAIM.match(base64.b64decode(beginning[1]))


def read_answer(payload: bytes, proof: Proof | None = None) -> Answer:
    """The answer in a payload whose signature has been verified, with what is to be kept of that.

    Raises:
        InvalidDocument: it is not one, or reports a state that agents may not report.
    """
    fields = members(load(payload, subject="result", max_bytes=envelopes.MAX_RESULT_BYTES), subject="result")
    command = CommandId(check_uuid(fields.take("command"), subject="result", path="command"))
    action = ActionId(check_uuid(fields.take("action"), subject="result", path="action"))
    agent = check_agent_id(fields.take("agent"), subject="result", path="agent")
    state = fields.text("state", max_length=20)
    if state not in ANSWERED:
        fields.refuse("state", f"must be one of {', '.join(sorted(ANSWERED))}, got {state!r}")
    reason = fields.text("reason", max_length=4000)
    results = tuple(read_module_result(one) for one in fields.objects("results", minimum=0, maximum=64))
    started, finished = fields.time("started"), fields.time("finished")
    fields.close()
    return Answer(command, action, agent, CommandState(state), reason, results, started, finished, proof)


def read_module_result(fields: Members) -> ModuleResult:
    """The result of one operation; ``coverage`` may be missing (then the result counts as complete)."""
    found, success = fields.boolean("foundanything"), fields.boolean("success")
    elements, statistics = fields.take("elements"), fields.take("statistics")
    errors = fields.texts("errors", maximum=MAX_ERRORS, max_length=100_000)
    coverage = Coverage()
    if fields.has("coverage"):
        coverage = _read_coverage(fields.object("coverage"))
    fields.mapping("coverage", default={})  # a null one counts as missing
    fields.close()
    return ModuleResult(found, success, elements, statistics, errors, coverage)


def _read_coverage(fields: Members) -> Coverage:
    complete = fields.boolean("complete")
    examined = {
        key: value
        for key, value in fields.mapping("examined", default={}).items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    skipped = []
    for one in fields.objects("skipped", minimum=0, maximum=1000):
        reason = one.text("reason", max_length=1000)
        count = one.integer("count", minimum=0, maximum=1 << 53)
        skipped.append(Skipped(reason, count, one.texts("examples", maximum=100, max_length=10_000)))
        one.close()
    fields.close()
    return Coverage(complete, examined, tuple(skipped))
