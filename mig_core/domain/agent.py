"""Agents: what they say of themselves, in enrolments and heartbeats.

Both documents are signed with the agent's own Ed25519 key. A heartbeat's ``sequence`` only ever grows, so a replayed
one changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.agent_state import AgentState as AgentState
from mig_core.domain.document import dump, load, members
from mig_core.domain.ids import AgentId, agent_id, check_agent_id
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mig_core.domain.document import JSON, Members

MAX_HEARTBEAT_BYTES = 256 << 10
MAX_NAME_BYTES = 1024
"""Of an agent's name in UTF-8. Names are indexed, and PostgreSQL refuses an index entry of more than 2,704 bytes."""


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What an agent knows of itself: everything its own target check and ``mig agents`` can see."""

    id: AgentId
    name: str
    version: str
    mode: str
    pid: int
    started: datetime
    environment: Mapping[str, JSON] = field(default_factory=dict)
    """``init ident os arch addresses …`` and what hooks add; ``addresses`` is a list of texts like ``192.0.2.2/24``."""
    tags: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    """Plugin or part -> why it does not work: shown by ``mig agent show``."""

    def to_json(self) -> dict[str, JSON]:
        """The JSON form."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "mode": self.mode,
            "pid": self.pid,
            "started": format_time(self.started),
            "environment": dict(self.environment),
            "tags": dict(self.tags),
            "modules": list(self.modules),
            "failures": dict(self.failures),
        }


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life (payload type ``HEARTBEAT``)."""

    facts: AgentFacts
    sequence: int
    sent: datetime
    statistics: Mapping[str, int] = field(default_factory=dict)
    """Counters of the agent: commands run, refused, spooled…"""
    persistent: Mapping[str, JSON] = field(default_factory=dict)
    """Persistent module -> its health: ``state since pid restarts last_error alerts held status``."""
    spool: Mapping[str, JSON] = field(default_factory=dict)
    """What waits for the relay: ``answers bytes limit oldest disk_free``, and what was given up (``lost``)."""
    leaving: bool = False
    """The last one: the agent stops in good order."""

    def to_payload(self) -> bytes:
        """The bytes to be signed."""
        document: dict[str, JSON] = {
            "facts": self.facts.to_json(),
            "sequence": self.sequence,
            "sent": format_time(self.sent),
            "statistics": dict(self.statistics),
            "persistent": dict(self.persistent),
            "spool": dict(self.spool),
        }
        if self.leaving:
            document["leaving"] = True
        return dump(document)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A request to be known (payload type ``ENROL``), signed with the very key it carries."""

    facts: AgentFacts
    public_key: bytes
    """Ed25519, 32 bytes."""
    relay: str
    """``amqp`` or ``https``: where this agent will listen."""
    secret: str
    """The platform's enrolment secret, or empty to wait for approval."""
    sent: datetime

    def to_payload(self) -> bytes:
        """The bytes to be signed."""
        return dump(
            {
                "facts": self.facts.to_json(),
                "publickey": self.public_key.hex(),
                "relay": self.relay,
                "secret": self.secret,
                "sent": format_time(self.sent),
            }
        )


def shortened_name(name: str) -> str:
    """As much of a name as is accepted, without what cannot be written as UTF-8."""
    return name.encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore").replace("\x00", "")


def read_heartbeat(payload: bytes) -> Heartbeat:
    """The heartbeat in a payload whose signature has been verified.

    Raises:
        InvalidDocument: it is not one.
    """
    fields = members(load(payload, subject="heartbeat", max_bytes=MAX_HEARTBEAT_BYTES), subject="heartbeat")
    facts = _read_facts(fields.object("facts"), "heartbeat")
    sequence = fields.integer("sequence", minimum=0, maximum=1 << 62)
    sent = fields.time("sent")
    statistics = {
        key: value
        for key, value in fields.mapping("statistics", default={}).items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
    persistent = fields.mapping("persistent", default={})
    spool = fields.mapping("spool", default={})
    leaving = fields.boolean("leaving", default=False)
    fields.close()
    return Heartbeat(facts, sequence, sent, statistics, persistent, spool, leaving)


def read_enrolment(payload: bytes) -> Enrolment:
    """The enrolment in a payload. It names its own key, so it is parsed first and verified with that key after.

    Raises:
        InvalidDocument: it is not one, or the id does not derive from the key.
    """
    fields = members(load(payload, subject="enrolment", max_bytes=MAX_HEARTBEAT_BYTES), subject="enrolment")
    facts = _read_facts(fields.object("facts"), "enrolment")
    text = fields.text("publickey", max_length=64)
    try:
        public_key = bytes.fromhex(text)
    except ValueError:
        fields.refuse("publickey", "must be 64 hexadecimal digits")
    if len(public_key) != 32:
        fields.refuse("publickey", "must be 64 hexadecimal digits")
    relay = fields.text("relay", max_length=10)
    if relay not in ("amqp", "https"):
        fields.refuse("relay", f"must be amqp or https, got {relay!r}")
    secret = fields.text("secret", max_length=500, default="")
    sent = fields.time("sent")
    fields.close()
    if agent_id(public_key) != facts.id:
        raise InvalidDocument("enrolment", "does not derive from the public key", path="facts.id")
    return Enrolment(facts, public_key, relay, secret, sent)


def _read_facts(fields: Members, subject: str) -> AgentFacts:
    identifier = check_agent_id(fields.take("id"), subject=subject, path="facts.id")
    name = fields.text("name", max_length=MAX_NAME_BYTES, max_bytes=MAX_NAME_BYTES)
    version = fields.text("version", max_length=128)
    mode = fields.text("mode", max_length=32)
    pid = fields.integer("pid", minimum=0, maximum=(1 << 31) - 1)
    started = fields.time("started")
    environment = fields.mapping("environment")
    tags = _texts(fields.mapping("tags", default={}), subject, "facts.tags", 1024)
    modules = fields.texts("modules", maximum=256, max_length=64)
    failures = _texts(fields.mapping("failures", default={}), subject, "facts.failures", 4000)
    fields.close()
    return AgentFacts(identifier, name, version, mode, pid, started, environment, tags, modules, failures)


def _texts(values: dict[str, JSON], subject: str, path: str, max_length: int) -> dict[str, str]:
    checked = {}
    for key, value in values.items():
        if not isinstance(value, str) or len(value) > max_length or len(key) > 256 or "\x00" in key + value:
            raise InvalidDocument(
                subject, f"must be a text of at most {max_length} characters", path=f"{path}.{key[:80]}"
            )
        checked[key] = value
    return checked
