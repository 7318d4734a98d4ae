"""``mig-scheduler --check``: do database and broker let it in, and if not, what is wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mig_core.config.server import inline_or_file
from mig_core.scheduler.webhook import check_webhook
from mig_core.soundness import examine
from mig_core.store.examination import look_at_database
from mig_core.store.roles import SCHEDULER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mig_core.config.server import AmqpSettings, SchedulerSettings, WebhookSettings
    from mig_core.relay.tls import TlsOptions
    from mig_core.soundness import Seen, Wrong


def check_setup(settings: SchedulerSettings, url: str, *, seconds: float) -> Sequence[Seen]:
    """Looks at everything at once. Changes nothing.

    Args:
        settings: the scheduler's.
        url: of its database login.
        seconds: for all of it.
    """
    return examine(
        {
            "database": lambda: look_at_database(url, SCHEDULER),
            "broker": lambda: _look_at_broker(settings.amqp),
            "webhook": lambda: _look_at_webhook(settings.webhook),
        },
        seconds=seconds,
    )


def tls_options(settings: AmqpSettings) -> TlsOptions:
    """The files of the connection to RabbitMQ."""
    from mig_core.relay.tls import TlsOptions

    return TlsOptions(settings.ca_file, settings.certificate_file, settings.key_file)


def _look_at_webhook(settings: WebhookSettings) -> Iterator[str | Wrong]:
    """Reads its settings; nothing is sent."""
    if settings.url:
        check_webhook(settings)
        yield f"ends of actions are told to {settings.url.partition('?')[0]}"
    else:
        yield "nobody is told of ends"


def _look_at_broker(settings: AmqpSettings) -> Iterator[str | Wrong]:
    """Logs in as the scheduler would."""
    url = inline_or_file("amqp.url", settings.url, settings.url_file)
    if not url:
        yield "none: there is no amqp relay"
        return
    # Here, so that a scheduler without the amqp relay does not pay for its library.
    from mig_core.relay.amqp_broker import Broker
    from mig_core.relay.amqp_connection import login_time

    broker = Broker.from_url(url, tls=tls_options(settings))
    yield f"{broker} lets the scheduler in, after {asyncio.run(login_time(broker)):.1f} s"
