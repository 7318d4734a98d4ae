"""An answer that a proxy had taken from mig-api when it died: its command comes at once when the agent is back."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from mig_core.domain.messages import Outgoing
from mig_core.relay.https_agent import HttpsAgentRelay
from mig_core.testing.api_site import SampleAgent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.relay.base import Delivery
    from mig_core.testing.api_site import ApiSite


class DyingProxy:
    """Passes bytes on, until an answer brings a command: that one it takes with it, and begins anew."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.swallowed = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes no more connections; the last one ends with the agent's."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._listener.accept()
                host, _, port = self._upstream.rpartition(":")
                with client, socket.create_connection((host, int(port)), timeout=60) as server:
                    self._pass_on(client, server)
        except OSError:
            return

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]  # both are sockets
                    if key.fileobj is server and b'"number"' in data and not self.swallowed:
                        self.swallowed = data
                        return
                    if not data:
                        return
                    key.data.sendall(data)


@pytest.fixture
def agent(api_site: ApiSite) -> SampleAgent:
    agent = SampleAgent(api_site)
    assert agent.enrol().status == 200
    return agent


@pytest.fixture
def proxy(api_site: ApiSite) -> Iterator[DyingProxy]:
    proxy = DyingProxy(api_site.address)
    yield proxy
    proxy.stop()


def test_a_command_whose_answer_a_proxy_took_with_it_comes_when_the_agent_is_back(
    agent: SampleAgent, proxy: DyingProxy
) -> None:
    inbox: Queue[Delivery] = Queue()
    relay = HttpsAgentRelay(proxy.url, agent.id, agent.token)
    relay.start(inbox.put)
    message = Outgoing(agent.id, b'{"number":1}', datetime.now(UTC) + timedelta(minutes=5))
    try:
        agent.site.platform(lambda store: store.relay_queue.put_commands([message]))

        delivery = inbox.get(timeout=60)  # half of what the lease lasts

        assert proxy.swallowed
        assert json.loads(delivery.body) == {"number": 1}
    finally:
        relay.close()
