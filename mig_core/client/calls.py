"""How a client asks mig-api: sessions, one document or a list of them page by page, streams.

What can be asked stands in :mod:`mig_core.client.client`.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mig_core.client.pages import read_page, read_pages, whole_pages
from mig_core.client.session import Session, default_folder
from mig_core.client.transport import Transport
from mig_core.domain.document import dump
from mig_core.errors import ApiError
from mig_core.records import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import timedelta
    from pathlib import Path
    from typing import Self

    from mig_core.config.client import ClientSettings
    from mig_core.domain.document import JSON
    from mig_core.domain.reading.reading import RowsWish, StackWish
    from mig_core.pgp.base import Signer

Document = dict[str, Any]


class Calls:
    """One investigator at one API. Thread-safe.

    Args:
        signer: makes the investigator's signer; called only when a login is needed.
        state: folder for session tokens; None: ``$XDG_STATE_HOME/mig``.
        keep_session: False keeps the token in memory only.
        environment: where proxies and ``XDG_STATE_HOME`` are looked up; default: the process's own.
    """

    def __init__(
        self,
        settings: ClientSettings,
        signer: Callable[[], Signer],
        *,
        state: Path | None = None,
        keep_session: bool = True,
        environment: Mapping[str, str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        surroundings = os.environ if environment is None else environment
        self._transport = Transport(settings, surroundings, clock)
        folder = (state or default_folder(surroundings)) if keep_session else None
        self._session = Session(self._transport, settings.fingerprint, signer, folder=folder, clock=clock)
        self._fingerprint = settings.fingerprint
        self._monotonic = monotonic
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def clock_ahead(self) -> timedelta:
        """How far this machine's clock is ahead of the platform's, by its last answer; to a second or two."""
        return self._transport.clock_ahead

    @property
    def silent(self) -> float:
        """Seconds for which the platform has said nothing, though it was asked; 0 where nothing is waited for.

        What arrives on a stream of events does not count, only that it begins.
        """
        return self._transport.silence.seconds()

    def health(self, *, seconds: float = 10.0) -> tuple[int, str]:
        """How mig-api says it is: 200 and ``ok``, or 503 and the reason. Needs no login.

        Raises:
            ApiUnavailable: it cannot be reached, or is no mig-api.
        """
        return self._transport.health(seconds)

    def connect(self) -> None:
        """Opens the first connection, so that the first request need not wait for it; other methods do it themselves.

        Raises:
            ConfigurationError: files for TLS cannot be used.
        """
        self._transport.connect()

    def close(self) -> None:
        """Ends all connections; the session stays."""
        self._transport.close()

    def _get(self, path: str, query: Mapping[str, object] | None = None) -> Document:
        return self._document(self._call("GET", path, None, query))

    def _post(self, path: str, document: dict[str, JSON] | None) -> Document:
        return self._document(self._call("POST", path, None if document is None else dump(document)))

    def _call(self, method: str, path: str, body: bytes | None, query: Mapping[str, object] | None = None) -> Any:
        token = self._session.token()
        try:
            return self._transport.request(method, path, token=token, body=body, query=query)
        except ApiError as error:
            if error.status != 401:
                raise
        return self._transport.request(method, path, token=self._session.renew(token), body=body, query=query)

    def _stream(self, path: str, position: str, tick: int) -> Iterator[bytes]:
        query = {"position": position, "tick": tick or None}
        token = self._session.token()
        try:
            yield from self._transport.stream(path, token=token, query=query)
        except ApiError as error:
            if error.status != 401:
                raise
            yield from self._transport.stream(path, token=self._session.renew(token), query=query)

    def _wished(self, path: str, wish: RowsWish | StackWish) -> Iterator[Document]:
        return whole_pages(
            lambda cursor: self._post(path, replace(wish, cursor=cursor or wish.cursor).to_json()),
            self._transport.base_url,
        )

    def _pages(self, path: str, query: Mapping[str, object], limit: int | None) -> Iterator[Document]:
        return read_pages(
            lambda cursor, size: self._get(path, {**query, "cursor": cursor, "limit": size}),
            self._transport.base_url,
            limit,
        )

    def _page(self, path: str, query: Mapping[str, object]) -> Document:
        items, cursor = read_page(self._get(path, query), self._transport.base_url)
        return {"items": items, "cursor": cursor}

    @staticmethod
    def _document(answer: Any) -> Document:
        if not isinstance(answer, dict):
            raise ApiError(0, "the API sent something else than an object", next_step="is this mig-api?")
        return answer


def part(text: str) -> str:
    """One segment of a path, whatever the text."""
    return quote(text, safe="") or "-"
