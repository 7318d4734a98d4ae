"""HTTP POST to one address: bounded answers, one deadline for the whole exchange. The only file that uses urllib3."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.exceptions import HTTPError

from mig_core.plugin.network import observe_connections
from mig_core.plugin.printing import excerpt
from mig_dispatch.sinks.deadline import Deadline
from mig_dispatch.sinks.tls import in_words, make_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_dispatch.settings import WebTarget

_MAX_ANSWER = 64 << 10
_MAX_TOKEN = 16 << 10
_NOT_ABOUT_THE_ALERT = frozenset({401, 403, 404, 407, 408, 421, 425, 429})
"""Answers below 500 that say something about the moment, our credentials or the address: tried again."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a request: accepted (``trouble`` and ``refusal`` empty), to be tried again, or refused for good."""

    trouble: str = ""
    refusal: str = ""
    retry_after: float = 0.0


class Poster:
    """Posts bodies to the target's address over one kept connection. One thread, but for ``deadline``.

    The token and the TLS files are read again whenever a connection is made anew after trouble, so they may be
    replaced while the module runs.
    """

    def __init__(self, target: WebTarget, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._manager: urllib3.PoolManager | None = None
        self._headers: dict[str, str] = {}
        self.deadline = Deadline()

    def post(self, body: bytes, content_type: str, extra: Mapping[str, str]) -> Posted:
        """One request, one answer. Redirects are not followed: a token goes to no other address."""
        try:
            manager = self._manager or self._connect()
            status, retry_after, content = self._exchange(manager, body, content_type, extra)
        except (HTTPError, HTTPException, OSError, ValueError, AttributeError) as error:
            # The last two: a socket that the deadline took away in the middle.
            self.close()
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # urllib3 wraps what happened
            return Posted(self._broken_off() or in_words(cause))
        broken_off = self._broken_off()
        if broken_off:  # an answer that ends where we cut it can look like a whole one
            self.close()
            return Posted(broken_off)
        return self._judged(status, retry_after, content)

    def close(self) -> None:
        """Closes the connection; the next request makes a new one."""
        if self._manager is not None:
            self._manager.clear()
        self._manager = None

    def _broken_off(self) -> str:
        if self.deadline.stopped:
            return "interrupted"
        return f"no whole answer within {self._timeout:g} s" if self.deadline.passed else ""

    def _exchange(
        self, manager: urllib3.PoolManager, body: bytes, content_type: str, extra: Mapping[str, str]
    ) -> tuple[int, float, str]:
        headers = {**self._headers, "Content-Type": content_type, **extra}
        if self._target.gzip:
            body = gzip.compress(body, 6, mtime=0)
            headers["Content-Encoding"] = "gzip"
        self.deadline.begin(self._timeout)
        try:
            response = manager.request(
                "POST",
                self._target.url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeout, read=self._timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                content = response.read(_MAX_ANSWER + 1, decode_content=False)
                if len(content) > _MAX_ANSWER:
                    response.close()
                return (
                    response.status,
                    _seconds(response.headers.get("Retry-After")),
                    content.decode("utf-8", "replace"),
                )
            finally:
                response.release_conn()
        finally:
            self.deadline.end()

    def _judged(self, status: int, retry_after: float, content: str) -> Posted:
        if 200 <= status < 300:
            return Posted()
        said = f"HTTP {status}{': ' if content.strip() else ''}{excerpt(content)}"
        if status in (401, 403, 407):
            self.close()  # so that a new token is read
        if 300 <= status < 400:
            return Posted(f"HTTP {status}: redirects are not followed; give the final url")
        if 400 <= status < 500 and status not in _NOT_ABOUT_THE_ALERT:
            return Posted(refusal=said)
        return Posted(said, retry_after=retry_after)

    def _connect(self) -> urllib3.PoolManager:
        target = self._target
        options: dict[str, Any] = {"maxsize": 1, "num_pools": 1}
        if target.url.startswith("https:"):
            options["ssl_context"] = make_context(target.tls)
        self._headers = {"User-Agent": "mig-dispatch", "Accept": "*/*"}
        if target.bearer_file:
            self._headers["Authorization"] = f"Bearer {_token(target.bearer_file)}"
        manager = urllib3.ProxyManager(target.proxy, **options) if target.proxy else urllib3.PoolManager(**options)
        observe_connections(manager, self.deadline.use)
        self._manager = manager
        return manager


def _token(path: str) -> str:
    with open(path, "rb") as file:
        raw = file.read(_MAX_TOKEN + 1)
    token = raw.decode("ascii", "replace").strip()
    if not token or len(raw) > _MAX_TOKEN or not token.isascii() or any(not one.isprintable() for one in token):
        raise OSError(f"bearer_file {path}: does not hold a token")
    return token


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else 0.0
