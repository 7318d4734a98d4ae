"""HTTP to mig-api: requests, answers, and errors in MIG's words.

Straight to it over :mod:`.direct`; where the environment names a proxy, through urllib3 (here is its only importer in
the client). Either is imported at the first request: a program which asks nothing should not pay for it.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from mig_core.client.silence import Silence
from mig_core.client.ways import ConnectionFailed
from mig_core.errors import ApiError, ApiUnavailable, ConfigurationError
from mig_core.network.proxies import environment_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mig_core.client.ways import Answer, Way
    from mig_core.config.client import ClientSettings

PREFIX = "/api/v1"
CONNECT_TIMEOUT = 10.0
"""Seconds until the connection must stand."""
READ_TIMEOUT = 60.0
"""Seconds between two pieces of an answer."""
ANSWER_TIMEOUT = 600.0
"""Seconds until the whole answer must be there."""
STREAM_TIMEOUT = 45.0
"""Seconds of silence on an event stream; the API sends a comment line every 15."""
MAX_ANSWER_BYTES = 1 << 30
"""Largest answer that is read; a page of results may be large."""
MAX_PROBLEM_BYTES = 1 << 20
_PIECE = 1 << 18


def utc_now() -> datetime:
    """The time here."""
    return datetime.now(UTC)


class Transport:
    """Connections to one API.

    Args:
        settings: address, certificate authorities and client certificate.
        environment: where proxies are looked up; see :mod:`mig_core.network.proxies`.
        clock: this machine's time.
        monotonic: seconds that never run backwards.
    """

    def __init__(
        self,
        settings: ClientSettings,
        environment: Mapping[str, str],
        clock: Callable[[], datetime] = utc_now,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        address = urlsplit(settings.api)
        if address.scheme not in ("http", "https") or not address.netloc:
            raise ConfigurationError(
                "client",
                "api",
                f"must be a URL like https://mig.example.net, got {settings.api!r:.100}",
                next_step="run: mig config init",
            )
        self.base_url = settings.api.rstrip("/").removesuffix(PREFIX)
        self._settings = settings
        self._environment = environment
        self._clock = clock
        self._monotonic = monotonic
        self.clock_ahead = timedelta(0)
        """How far this machine's clock is ahead of the platform's, by the last answer's date; to a second or two."""
        self.silence = Silence(monotonic)
        self._way: Way | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        body: bytes | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Any:
        """The answer's JSON, or None when it has no body.

        Args:
            path: below ``/api/v1``.
            token: of the session; empty for routes that need none.
            query: empty texts, empty lists and None are left out; other lists are joined by commas.

        Raises:
            ApiError: the API said no; carries status, field and next step.
            ApiUnavailable: no usable answer.
        """
        response = self._open(method, path, token=token, body=body, query=query, timeout=READ_TIMEOUT)
        url = self._url(path, None)
        try:
            raw = self._whole(response, url)
        except ConnectionFailed as error:
            raise self._unavailable(url, error) from error
        finally:
            response.release()
        if len(raw) > MAX_ANSWER_BYTES:
            raise ApiUnavailable(url, f"the answer is larger than {MAX_ANSWER_BYTES} bytes", next_step="ask for less")
        if response.status == 204 or not raw:
            return None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ApiUnavailable(url, "the answer is not JSON", next_step="is this address mig-api's?") from error

    def health(self, seconds: float) -> tuple[int, str]:
        """Status and words of ``/healthz``, whatever they are.

        Args:
            seconds: for connecting, and for the answer.

        Raises:
            ApiUnavailable: no usable answer.
        """
        url = f"{self.base_url}/healthz"
        way = self._new_way(connect_timeout=seconds)
        try:
            with self.silence.broken_by_an_answer():
                response = way.open("GET", url, body=None, headers={}, timeout=seconds)
                raw = response.read(MAX_PROBLEM_BYTES)
                response.close()
        except ConnectionFailed as error:
            raise self._unavailable(url, error) from error
        finally:
            way.close()
        self._compare_clocks(response.headers.get("Date", ""))
        try:
            said = json.loads(raw)["status"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ApiUnavailable(url, "the answer is not mig-api's", next_step="is this address mig-api's?") from error
        return response.status, str(said)

    def stream(self, path: str, *, token: str, query: Mapping[str, object] | None = None) -> Iterator[bytes]:
        """The pieces of an answer that never ends by itself, as they arrive; close the iterator to hang up.

        Raises:
            ApiError: as :meth:`request`, before the first piece.
            ApiUnavailable: the connection broke, at any time.
        """
        accept = {"Accept": "text/event-stream"}
        response = self._open("GET", path, token=token, query=query, timeout=STREAM_TIMEOUT, headers=accept)
        try:
            while piece := response.read1(65536):
                yield piece
        except ConnectionFailed as error:
            raise self._unavailable(self._url(path, None), error) from error
        finally:
            response.close()

    def connect(self) -> None:
        """Opens a connection; why it cannot be opened is said by the request that follows.

        Raises:
            ConfigurationError: files for TLS cannot be used.
        """
        self._way_there().connect()

    def close(self) -> None:
        """Ends all connections."""
        if self._way is not None:
            self._way.close()

    def _open(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: bytes | None = None,
        query: Mapping[str, object] | None = None,
        timeout: float,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        url = self._url(path, query)
        sent = {"Accept": "application/json, application/problem+json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            with self.silence.broken_by_an_answer():
                response = self._way_there().open(method, url, body=body, headers=sent, timeout=timeout)
        except ConnectionFailed as error:
            raise self._unavailable(self._url(path, None), error) from error
        self._compare_clocks(response.headers.get("Date", ""))
        if response.status >= 300:
            try:
                raw = response.read(MAX_PROBLEM_BYTES)
            except ConnectionFailed as error:
                raise self._unavailable(self._url(path, None), error) from error
            finally:
                response.release()
            raise _problem(response.status, raw, self._url(path, None))
        return response

    def _whole(self, response: Answer, url: str) -> bytes:
        """All that is read of an answer: a server that sends a byte now and then holds nobody for ever."""
        until = self._monotonic() + ANSWER_TIMEOUT
        pieces, size = [], 0
        while size <= MAX_ANSWER_BYTES:
            with self.silence.broken_by_an_answer():
                piece = response.read1(_PIECE)
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if self._monotonic() > until:
                raise ApiUnavailable(url, f"the answer had not come to its end after {ANSWER_TIMEOUT:g} s")
        return b"".join(pieces)

    def _compare_clocks(self, date: str) -> None:
        try:
            said = parsedate_to_datetime(date)
        except ValueError:
            return
        if said.tzinfo is not None:
            self.clock_ahead = self._clock() - said

    def _url(self, path: str, query: Mapping[str, object] | None) -> str:
        pairs = {
            name: ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            for name, value in (query or {}).items()
            if value not in (None, "", (), [])
        }
        return f"{self.base_url}{PREFIX}{path}" + (f"?{urlencode(pairs)}" if pairs else "")

    def _way_there(self) -> Way:
        if self._way is None:
            self._way = self._new_way()
        return self._way

    def _new_way(self, *, connect_timeout: float = CONNECT_TIMEOUT) -> Way:
        settings, tls = self._settings, None
        if self.base_url.startswith("https:"):
            from mig_core.relay.tls import TlsOptions

            tls = TlsOptions(settings.ca_file, settings.certificate_file, settings.key_file).context()
        proxy = environment_proxy(self.base_url, self._environment)
        if proxy:
            from mig_core.client.through_proxy import ThroughProxy

            return ThroughProxy(proxy, tls, connect_timeout=connect_timeout)
        from mig_core.client.direct import Direct

        return Direct(self.base_url, tls, connect_timeout=connect_timeout)

    def _unavailable(self, url: str, error: ConnectionFailed) -> ApiUnavailable:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text:
            from mig_core.domain.certificates import advice

            return ApiUnavailable(
                url,
                f"its certificate cannot be trusted: {text}",
                next_step=advice(text) or "set ca_file in the configuration to the certificate authority's file",
            )
        return ApiUnavailable(
            url, f"cannot be reached: {text}", next_step="is mig-api running, and is `api` in the configuration right?"
        )


def _problem(status: int, raw: bytes, url: str) -> ApiError:
    """What the API said, from its problem document (RFC 9457); a proxy's page counts as no usable answer."""
    try:
        document = json.loads(raw)
        detail = document["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ApiUnavailable(url, f"answered with status {status} and no explanation", next_step="is this mig-api?")
    field, next_step = document.get("field", ""), document.get("next_step", "")
    error = ApiError(status, str(detail), field=str(field), next_step=str(next_step))
    if status == 503:
        return ApiUnavailable(url, str(detail), next_step=str(next_step))
    return error
