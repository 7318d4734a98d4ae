"""Settings, key and API client of the investigator who is asking: what the command line and Python begin with.

Settings are read from ``$MIG_CONFIG``, else ``~/.config/mig/config.toml``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mig_core.config.client import ClientSettings
from mig_core.config.loader import load_settings
from mig_core.domain.ids import check_fingerprint
from mig_core.errors import ApiError, ConfigurationError, MigError
from mig_core.records import dataclass

if TYPE_CHECKING:
    from mig_core.client.client import MigClient
    from mig_core.domain.envelope import Envelope
    from mig_core.pgp.base import Signer

NEXT_STEP = "run: mig config init"
_FORBIDDEN = 403


def settings_path() -> Path:
    """Where this investigator's settings are, or would be."""
    named = os.environ.get("MIG_CONFIG")
    if named:
        return Path(named)
    folder = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(folder) / "mig" / "config.toml"


@dataclass
class Connection:
    """Made by :func:`connect`; nothing is opened before it is used."""

    settings: ClientSettings

    @cached_property
    def signer(self) -> Signer:
        """The investigator's key."""
        from mig_core.client.signing_ahead import SignerAhead

        fingerprint = check_fingerprint(self.settings.fingerprint, subject="settings", path="fingerprint")
        return SignerAhead(fingerprint, self.settings.gnupg_home)

    @cached_property
    def client(self) -> MigClient:
        """The API, logged in when first asked."""
        from mig_core.client.client import MigClient

        return MigClient(self.settings, signer=lambda: self.signer)

    def signed(self, unsigned: Envelope) -> Envelope:
        """The envelope with the investigator's signature, not checked: it goes to :meth:`sent`.

        While gpg works, or a person types a passphrase, another thread connects to the API.

        Raises:
            SignatureInvalid: the key cannot sign.
        """
        from threading import Thread

        signer = self.signer
        connecting = Thread(target=self._connect_early, daemon=True)
        connecting.start()
        envelope = signer.sign(unsigned, check=False)
        connecting.join()
        return envelope

    def sent(self, signed: Envelope) -> dict[str, Any]:
        """What the API says of an action that was signed here and is sent to it.

        It verifies the signature before it keeps the action. What is wrong with the key is said here if it refuses.

        Raises:
            SignatureInvalid: no agent would accept the signature.
            ApiError: it is refused for another reason.
            ApiUnavailable: the platform cannot be reached.
        """
        try:
            return self.client.create_action(signed)
        except ApiError as error:
            if error.status == _FORBIDDEN:
                self.signer.check(signed)
            raise

    def _connect_early(self) -> None:
        with suppress(MigError):  # the first request says what is wrong
            self.client.connect()


def connect(settings: Path | str | None = None) -> Connection:
    """The connection that the settings describe.

    Args:
        settings: a file of them; None: where :func:`settings_path` says.

    Raises:
        ConfigurationError: there are no settings, or they are wrong.
    """
    path = settings_path() if settings is None else Path(settings).expanduser()
    given = path if path.exists() else None
    loaded = load_settings(ClientSettings, role="client", path=given, environment=os.environ)
    for key in ("api", "fingerprint"):
        if not getattr(loaded, key):
            if given is None:
                raise ConfigurationError(str(path), "", "there are no settings", next_step=NEXT_STEP)
            raise ConfigurationError(str(path), key, "is missing", next_step=NEXT_STEP)
    return Connection(loaded)
