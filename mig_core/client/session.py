"""Logging in: a nonce from the API, signed with the investigator's key, for a session token.

The token is kept in a file (mode 0600) below ``$XDG_STATE_HOME/mig``, so that a command a second later needs no
signature; it is used until it expires or the API refuses it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from binascii import crc32
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_core.domain import envelope as envelopes
from mig_core.domain.document import dump
from mig_core.domain.envelope import Envelope
from mig_core.domain.times import format_time, parse_time
from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mig_core.client.transport import Transport
    from mig_core.domain.document import JSON
    from mig_core.pgp.base import Signer

MARGIN = timedelta(seconds=30)
"""A token that ends sooner than this is not used any more."""
MAX_FILE_BYTES = 10_000
FORGOTTEN = timedelta(days=7)
"""What no login has written for so long, any API's, goes with the next login; no session lasts that long."""


def default_folder(environment: Mapping[str, str]) -> Path:
    """``$XDG_STATE_HOME/mig``, else ``~/.local/state/mig``."""
    given = environment.get("XDG_STATE_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".local" / "state") / "mig"


class Session:
    """The token of one investigator at one API. Thread-safe: all who need a login at the same time share one.

    Args:
        fingerprint: whose; may be empty, then the signer's is used (and the key is looked for at once).
        signer: makes the signer when a login is needed.
        folder: where tokens are kept; None: nowhere.
    """

    def __init__(
        self,
        transport: Transport,
        fingerprint: str,
        signer: Callable[[], Signer],
        *,
        folder: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._fingerprint = fingerprint
        self._signer = signer
        self._folder = folder
        self._clock = clock
        self._token = ""
        self._lock = threading.Lock()
        self._login: _Login | None = None
        """The one that is under way."""

    def token(self) -> str:
        """A token that should still be good; logs in when there is none.

        Raises:
            ApiError: the API refuses the login.
            SignatureInvalid: the key cannot sign.
        """
        return self._token or self._shared("")

    def renew(self, refused: str) -> str:
        """A fresh token, after the API refused this one: what another thread got meanwhile, where it did."""
        return self._shared(refused)

    def end(self, *, everywhere: bool = False) -> bool:
        """Forgets the token, here and at the API; returns whether there was one.

        Args:
            everywhere: ends all sessions of this investigator, for which it logs in where there is none.
        """
        token, self._token = self._token or self._kept(), ""
        query = {"everywhere": "true"} if everywhere else None
        try:
            if token or everywhere:
                self._transport.request("POST", "/logout", token=token or self._log_in(), query=query)
        except ApiError as error:
            if error.status != 401:
                raise
            if everywhere:  # ours has ended already, others may not have
                self._transport.request("POST", "/logout", token=self._log_in(), query=query)
        finally:
            if (path := self._path()) is not None:
                path.unlink(missing_ok=True)
        self._token = ""
        return bool(token)

    def _shared(self, refused: str) -> str:
        """The token of one login for all who wait: GnuPG asks a person once. If it fails, it fails for them all."""
        with self._lock:
            if self._token and self._token != refused:
                return self._token
            login, ours = self._login, self._login is None
            if login is None:
                login = self._login = _Login()
        if not ours:
            login.ended.wait()
            if login.error is not None:
                raise login.error
            return login.token
        try:
            login.token = ("" if refused else self._kept()) or self._log_in()
        except BaseException as error:
            login.error = error
            raise
        finally:
            with self._lock:
                self._token, self._login = login.token, None
            login.ended.set()
        return login.token

    def _log_in(self) -> str:
        signer = self._signer()
        nonce: dict[str, Any] = self._transport.request("POST", "/login/nonce")
        payload = dump(
            {
                "nonce": str(nonce["nonce"]),
                "fingerprint": signer.fingerprint,
                "issuedat": format_time(self._clock()),
                "api": self._transport.base_url,
            }
        )
        envelope = signer.sign(Envelope(envelopes.LOGIN, payload))
        answer: dict[str, Any] = self._transport.request("POST", "/login", body=envelope.to_bytes())
        self._keep(str(answer["token"]), str(answer["expires"]))
        return str(answer["token"])

    def _path(self) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"session-{crc32(dump(self._whose())):08x}.json"

    def _whose(self) -> dict[str, JSON]:
        return {"api": self._transport.base_url, "fingerprint": self._fingerprint or self._signer().fingerprint}

    def _kept(self) -> str:
        """The token of an earlier run, if nobody else could have read or put it there."""
        path = self._path()
        if path is None:
            return ""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return ""
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                return ""
            try:
                document = json.loads(file.read(MAX_FILE_BYTES))
                expires = parse_time(document["expires"])
                token = str(document["token"])
                if {key: document[key] for key in ("api", "fingerprint")} != self._whose():
                    return ""  # another's, whose file has the same name by chance
            except (ValueError, KeyError, TypeError):
                return ""
        return token if expires - MARGIN > self._clock() else ""

    def _keep(self, token: str, expires: str) -> None:
        """Writes the file anew; a folder that cannot be written to only costs a login per run."""
        path = self._path()
        if path is None:
            return
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump({**self._whose(), "token": token, "expires": expires}, file)
            fresh.replace(path)
            oldest = (self._clock() - FORGOTTEN).timestamp()
            for one in path.parent.glob("session-*.json"):
                if one != path and one.lstat().st_mtime < oldest:
                    one.unlink()


class _Login:
    """One login under way, and what came of it."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.token = ""
        self.error: BaseException | None = None
