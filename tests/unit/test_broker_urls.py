"""A broker's URL holds a password: one that cannot be read is refused without a word of it."""

from __future__ import annotations

import pytest

from mig_core.errors import ConfigurationError
from mig_core.relay.amqp_broker import Broker


@pytest.mark.parametrize(
    "url",
    [
        "amqp://mig:hunter@[::1/x",
        "amqp://mig:hunter@host:55x/x",
        "amqp://mig:hunter@host/x?heartbeat=1",
        "amqps://mig:hunter/two@host/",
        "https://mig:hunter@host/",
    ],
)
def test_a_url_that_is_none_of_a_broker_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="must be like amqps://broker:5671/mig") as refused:
        Broker.from_url(url)

    assert "hunter" not in str(refused.value.diagnostics())
