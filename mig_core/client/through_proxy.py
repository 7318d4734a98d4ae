"""HTTP to mig-api through a proxy, by urllib3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import urllib3

from mig_core.client.ways import ConnectionFailed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_ERRORS = (urllib3.exceptions.HTTPError, OSError)


class ThroughProxy:
    """A :class:`mig_core.client.ways.Way`.

    Args:
        proxy: its URL.
        tls: for ``https``: what certificates are believed.
        connect_timeout: seconds until a connection must stand.
    """

    def __init__(self, proxy: str, tls: ssl.SSLContext | None, *, connect_timeout: float) -> None:
        options: dict[str, Any] = {} if tls is None else {"ssl_context": tls}
        self.pool = urllib3.ProxyManager(proxy, maxsize=4, **options)
        self._connect_timeout = connect_timeout

    def open(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> ProxiedAnswer:
        """See the protocol: only what changes nothing is repeated, and only when the connection was at fault."""
        retries = urllib3.Retry(
            total=2 if method == "GET" else 0, connect=0, redirect=0, status=0, other=0, backoff_factor=0.1
        )
        try:
            response = self.pool.urlopen(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=retries,
                timeout=urllib3.Timeout(connect=self._connect_timeout, read=timeout),
                preload_content=False,
            )
        except _ERRORS as error:
            raise ConnectionFailed(_text(error)) from error
        return ProxiedAnswer(response)

    def connect(self) -> None:
        """See the protocol; here the first request connects."""

    def close(self) -> None:
        """See the protocol."""
        self.pool.clear()


class ProxiedAnswer:
    """A :class:`mig_core.client.ways.Answer`."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response: Any = response

    def read1(self, most: int) -> bytes:
        """See the protocol."""
        try:
            return bytes(self._response.read1(most))
        except _ERRORS as error:
            raise ConnectionFailed(_text(error)) from error

    def read(self, most: int) -> bytes:
        """See the protocol."""
        try:
            return bytes(self._response.read(most))
        except _ERRORS as error:
            raise ConnectionFailed(_text(error)) from error

    def release(self) -> None:
        """See the protocol."""
        self._response.release_conn()

    def close(self) -> None:
        """See the protocol."""
        self._response.close()


def _text(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)
