"""What pika's errors mean to us: RelayDenied (the broker knows us and says no) or RelayUnavailable (all else)."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, cast

from pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelClosed,
    ConnectionClosed,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from mig_core.domain.certificates import explained
from mig_core.errors import RelayDenied, RelayError, RelayUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.relay.amqp_broker import Broker

ACCESS_REFUSED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406
"""Reply codes of AMQP 0-9-1 (section 1.2 of the specification)."""

_DENIED = frozenset({ACCESS_REFUSED, PRECONDITION_FAILED, 530})
_OUT_OF_REACH = re.compile(r"home node .* is down or inaccessible")
_TOO_LARGE = re.compile(r"message size \d+ is larger than configured max size (\d+)")


def translated(error: BaseException, broker: Broker) -> RelayError:
    """What an error of pika's means to us. Messages of the broker are shortened: they may repeat what a peer sent."""
    for one in _chain(error):
        if isinstance(one, AuthenticationError | ProbableAuthenticationError | ProbableAccessDeniedError):
            problem = "virtual host" if isinstance(one, ProbableAccessDeniedError) else "login"
            return RelayDenied(
                f"{broker}: {problem} refused for {broker.login}",
                next_step="is the agent approved, and can RabbitMQ reach mig-api?",
            )
        if isinstance(one, ConnectionClosed | ChannelClosed):
            denied = one.reply_code in _DENIED and largest_message(one) is None
            kind = RelayDenied if denied else RelayUnavailable
            return kind(f"{broker}: {one.reply_code} {one.reply_text:.200}")
        if isinstance(one, ssl.SSLCertVerificationError):
            return RelayUnavailable(f"{broker}: {explained(one)}")
    return RelayUnavailable(f"{broker}: {error!r:.200}")


def largest_message(error: BaseException) -> int | None:
    """The broker's limit of a message's bytes, when a message above it is what closed the channel."""
    if isinstance(error, ChannelClosed) and error.reply_code == PRECONDITION_FAILED:
        found = _TOO_LARGE.search(error.reply_text)
        return None if found is None else int(found[1])
    return None


def is_out_of_reach(error: RelayError) -> bool:
    """Whether the queue exists, on a node of the cluster that is down. RabbitMQ answers 404 all the same."""
    return _OUT_OF_REACH.search(str(error)) is not None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made from: pika's connection workflow wraps more than once."""
    pending = [error]
    while pending:
        one = pending.pop()
        yield one
        if not isinstance(one, ConnectionClosed | ChannelClosed):
            pending.extend(cast("list[BaseException]", getattr(one, "exceptions", None) or []))
            wrapped = [getattr(one, "exception", None), *(one.args if isinstance(one, AMQPError) else ())]
            pending.extend(other for other in wrapped if isinstance(other, BaseException))
