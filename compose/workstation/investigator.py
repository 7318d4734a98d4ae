"""The demonstration's investigator: key, trust and settings in the volume, and the registration at the API.

``prepare`` fills ``/miginvestigator`` when it is empty; ``register`` (the one-time secret on standard input, if there
is one) makes the platform know the key, and says what is wrong when it cannot. Both run as the account `investigator`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mig_core.client.client import MigClient
from mig_core.config.client import ClientSettings
from mig_core.errors import ApiError, ApiUnavailable, MigError
from mig_core.pgp.gnupg import GnupgSigner, generate_key, secret_keys

NAME = "Demo Investigator"
VOLUME = Path("/miginvestigator")
HOME = VOLUME / "gnupg"
STRANGER = (
    "the database does not know the key in the volume miginvestigator, and gives out no secret to register it. "
    "If only the volume was removed, remove the database too: docker-compose down, docker volume rm mig_migdb, "
    "docker-compose up -d. If only the database was removed: docker-compose restart migapi"
)


def prepare() -> None:
    """Key, what agents need to trust it, and the settings of ``mig``."""
    keys = secret_keys(HOME) if HOME.exists() else ()
    key = keys[0] if keys else generate_key(HOME, NAME, "investigator@demo.invalid")
    signer = GnupgSigner(key.fingerprint, HOME)
    (VOLUME / "keys").mkdir(exist_ok=True)
    (VOLUME / "keys").chmod(0o755)
    _write(VOLUME / "keys" / "investigator.asc", signer.public_key().decode("ascii"))
    entry = {"minimumweight": 1, "investigators": {NAME: {"fingerprint": key.fingerprint, "weight": 1}}}
    _write(VOLUME / "acl.json", json.dumps({"default": entry}, indent=2) + "\n")
    scheme = os.environ["MIG_SCHEME"]
    lines = [
        f'api = "{scheme}://migapi:1664"',
        f'fingerprint = "{key.fingerprint}"',
        f'gnupg_home = "{HOME}"',
        *(['ca_file = "/run/mig/ca.pem"'] if scheme == "https" else []),
    ]
    _write(VOLUME / "config.toml", "\n".join(lines) + "\n")


def register(secret: str) -> str:
    """Registers the key if need be; returns what is wrong, or nothing."""
    signer = GnupgSigner(secret_keys(HOME)[0].fingerprint, HOME)
    scheme = os.environ["MIG_SCHEME"]
    ca_file = Path("/run/mig/ca.pem") if scheme == "https" else None
    settings = ClientSettings(api=f"{scheme}://migapi:1664", fingerprint=signer.fingerprint, ca_file=ca_file)
    with MigClient(settings, lambda: signer) as client:
        try:
            if secret:
                client.bootstrap(secret, NAME, signer.public_key())
            client.dashboard()
        except ApiUnavailable as error:
            return f"waiting for the API: {error}"
        except ApiError as error:
            return f"{STRANGER} (the API says: {error})" if error.status in (401, 403) else str(error.diagnostics())
    return ""


def _write(path: Path, text: str) -> None:
    """In one step, and readable for everybody: nothing here is secret but the key."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)


def main(word: str) -> int:
    """Does what the word says; returns the exit status."""
    try:
        if word == "prepare":
            prepare()
            return 0
        problem = register(sys.stdin.read(1000).strip())
    except MigError as error:
        problem = str(error.diagnostics())
    sys.stdout.write(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
