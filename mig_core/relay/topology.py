"""Names at RabbitMQ, and who may touch what: the one place that both relay drivers and the API's answers rely on.

::

    scheduler --> exchange mig.commands (direct) --[agent id]--> queue mig.agent.<id> --> agent
    agent --> exchange mig.from-agents (direct) --[result]-----> queue mig.results ----> scheduler
                                                --[heartbeat]--> queue mig.heartbeats -> scheduler

Who sent a message is its ``user_id``: RabbitMQ takes only the sender's own login there, without asking anybody. (If the
routing key named the sender, the exchange would have to be a topic exchange, and RabbitMQ would ask the API about each
key an agent uses.)

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
INBOUND: Final = "mig.from-agents"
"""Durable direct exchange; the routing key is the message's :class:`Kind`."""
RESULTS: Final = "mig.results"
HEARTBEATS: Final = "mig.heartbeats"
SHARED_QUEUES: Final = {RESULTS: Kind.RESULT, HEARTBEATS: Kind.HEARTBEAT}
"""Queues all schedulers share, and what each of them holds: that is also what binds it to :data:`INBOUND`."""

_LOGIN = re.compile(r"[a-z2-7]{32}")


def agent_queue(agent: AgentId | str) -> str:
    """The queue only this agent reads."""
    return f"mig.agent.{agent}"


def sender(user_id: str) -> str:
    """The agent that RabbitMQ vouches for, by a message's ``user_id``; empty: nobody, or a login that is no agent's."""
    return user_id if _LOGIN.fullmatch(user_id) else ""


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
