"""Names at RabbitMQ, and who may touch what: the one place that both relay drivers and the API's answers rely on.

::

    scheduler --> exchange mig.commands (direct) --[agent id]--> queue mig.agent.<id> --> agent
    agent --> exchange mig.inbound (topic) --[result.<id>]-----> queue mig.results ----> scheduler
                                           --[heartbeat.<id>]--> queue mig.heartbeats -> scheduler

RabbitMQ asks ``mig-api`` (plugin ``rabbitmq_auth_backend_http``) about every login that is not its own; the API asks
the functions here. Whatever they do not name is refused. An agent declares nothing: its queue is made by a scheduler.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mig_core.domain.messages import Kind

if TYPE_CHECKING:
    from mig_core.domain.ids import AgentId

VIRTUAL_HOST: Final = "mig"
COMMANDS: Final = "mig.commands"
"""Durable direct exchange; the routing key is the agent's id."""
INBOUND: Final = "mig.inbound"
"""Durable topic exchange; the routing key is ``result.<id>`` or ``heartbeat.<id>``."""
RESULTS: Final = "mig.results"
HEARTBEATS: Final = "mig.heartbeats"
SHARED_QUEUES: Final = {RESULTS: f"{Kind.RESULT}.#", HEARTBEATS: f"{Kind.HEARTBEAT}.#"}
"""Queues all schedulers share, and what binds them to :data:`INBOUND`."""

_LOGIN = re.compile(r"[a-z2-7]{32}")


def agent_queue(agent: AgentId | str) -> str:
    """The queue only this agent reads."""
    return f"mig.agent.{agent}"


def inbound_key(kind: Kind, agent: AgentId | str) -> str:
    """The routing key under which an agent sends."""
    return f"{kind}.{agent}"


def kind_and_agent(routing_key: str) -> tuple[Kind, str] | None:
    """The inverse of :func:`inbound_key`; None for keys no agent may use."""
    kind, _, agent = routing_key.partition(".")
    return (Kind(kind), agent) if kind in set(Kind) and _LOGIN.fullmatch(agent) else None


def may_enter(agent_id: str, virtual_host: str) -> bool:
    """Whether an agent's login may open this virtual host."""
    return bool(_LOGIN.fullmatch(agent_id)) and virtual_host == VIRTUAL_HOST


def may(agent_id: str, resource: str, name: str, permission: str) -> bool:
    """Whether an agent's login may do this in the virtual host ``mig``.

    Args:
        agent_id: the login; it must be known and not retired (the caller's business).
        resource: ``queue`` or ``exchange``.
        name: of the queue or exchange; RabbitMQ calls the nameless one ``amq.default``.
        permission: ``configure``, ``write`` or ``read``.
    """
    if not _LOGIN.fullmatch(agent_id):
        return False
    return (resource, name, permission) in (
        ("queue", agent_queue(agent_id), "read"),
        ("exchange", INBOUND, "write"),
    )


def may_topic(agent_id: str, name: str, routing_key: str, permission: str) -> bool:
    """Whether an agent's login may publish under this routing key. Asked after :func:`may` said yes to the exchange."""
    if permission != "write" or name != INBOUND or not _LOGIN.fullmatch(agent_id):
        return False
    return any(routing_key == inbound_key(kind, agent_id) for kind in Kind)
