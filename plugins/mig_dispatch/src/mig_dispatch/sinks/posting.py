"""HTTP POST to one address: bounded answers, one deadline for the whole exchange. The only file that uses urllib3."""

from __future__ import annotations

import base64
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

    from mig_dispatch.targets import Secret, WebTarget

_MAX_ANSWER = 64 << 10
_MAX_TOKEN = 16 << 10
TOO_LARGE = 413
NOT_ABOUT_THE_ALERT = frozenset({401, 403, 404, 407, 408, 421, 425, 429})
"""Answers below 500 that say something about the moment, our credentials or the address: tried again."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a request: accepted (``trouble`` and ``refusal`` empty), to be tried again, or refused for good."""

    trouble: str = ""
    refusal: str = ""
    retry_after: float = 0.0
    too_large: bool = False
    """Whether the refusal is about the size."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said, or, with ``trouble``, why nothing of it is known."""

    status: int = 0
    retry_after: float = 0.0
    content: str = ""
    """Its text, cut at the limit."""
    trouble: str = ""

    @property
    def said(self) -> str:
        """Status and text, fit for a log line."""
        return f"HTTP {self.status}{': ' if self.content.strip() else ''}{excerpt(self.content)}"


class Poster:
    """Posts bodies to the target's address over one kept connection. One thread, but for ``deadline``.

    The token and the TLS files are read again whenever a connection is made anew after trouble, so they may be
    replaced while the module runs.
    """

    def __init__(self, target: WebTarget, timeout: float, max_answer: int = _MAX_ANSWER) -> None:
        self._target = target
        self._timeout = timeout
        self._max_answer = max_answer
        self._manager: urllib3.PoolManager | None = None
        self._headers: dict[str, str] = {}
        self.deadline = Deadline()

    def post(self, body: bytes, content_type: str, extra: Mapping[str, str]) -> Posted:
        """One request, judged by its status alone."""
        return self._judged(self.ask(body, content_type, extra))

    def ask(self, body: bytes, content_type: str, extra: Mapping[str, str]) -> Answer:
        """One request, one answer. Redirects are not followed: a token goes to no other address."""
        try:
            manager = self._manager or self._connect()
            answer = self._exchange(manager, body, content_type, extra)
        except (HTTPError, HTTPException, OSError, ValueError, AttributeError) as error:
            # The last two: a socket that the deadline took away in the middle.
            self.close()
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # urllib3 wraps what happened
            return Answer(trouble=self._broken_off() or in_words(cause))
        broken_off = self._broken_off()
        if broken_off:  # an answer that ends where we cut it can look like a whole one
            self.close()
            return Answer(trouble=broken_off)
        if answer.status in (401, 403, 407):
            self.close()  # so that a new token is read
        if 300 <= answer.status < 400:
            return Answer(trouble=f"HTTP {answer.status}: redirects are not followed; give the final url")
        return answer

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
    ) -> Answer:
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
                content = response.read(self._max_answer + 1, decode_content=False)
                if len(content) > self._max_answer:
                    response.close()
                waiting = _seconds(response.headers.get("Retry-After"))
                return Answer(response.status, waiting, content.decode("utf-8", "replace"))
            finally:
                response.release_conn()
        finally:
            self.deadline.end()

    def _judged(self, answer: Answer) -> Posted:
        if answer.trouble or 200 <= answer.status < 300:
            return Posted(answer.trouble)
        if 400 <= answer.status < 500 and answer.status not in NOT_ABOUT_THE_ALERT:
            return Posted(refusal=answer.said, too_large=answer.status == TOO_LARGE)
        return Posted(answer.said, retry_after=answer.retry_after)

    def _connect(self) -> urllib3.PoolManager:
        target = self._target
        options: dict[str, Any] = {"maxsize": 1, "num_pools": 1}
        if target.url.startswith("https:"):
            options["ssl_context"] = make_context(target.tls)
        self._headers = {"User-Agent": "mig-dispatch", "Accept": "*/*"}
        if target.secret.path:
            self._headers["Authorization"] = _authorization(target.secret)
        manager = urllib3.ProxyManager(target.proxy, **options) if target.proxy else urllib3.PoolManager(**options)
        observe_connections(manager, self.deadline.use)
        self._manager = manager
        return manager


def _authorization(secret: Secret) -> str:
    """The header: the file's text behind the scheme's name, for ``Basic`` (``NAME:PASSWORD``) encoded."""
    with open(secret.path, "rb") as file:
        raw = file.read(_MAX_TOKEN + 1)
    text = raw.decode("utf-8", "replace")
    token = text.rstrip("\r\n") if secret.scheme == "Basic" else text.strip()  # a password may end in a blank
    usable = 0 < len(raw) <= _MAX_TOKEN and token and token.isprintable()
    if secret.scheme == "Basic":
        if not usable or ":" not in token:
            raise OSError(f"{secret.key} {secret.path}: does not hold NAME:PASSWORD")
        return f"Basic {base64.b64encode(token.encode()).decode('ascii')}"
    if not usable or not token.isascii():
        raise OSError(f"{secret.key} {secret.path}: does not hold a token")
    return f"{secret.scheme} {token}"


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else 0.0
