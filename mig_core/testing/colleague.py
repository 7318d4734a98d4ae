"""A second investigator of a platform, with a key and settings of their own."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mig_core.pgp.gnupg import export_public, generate_key
from mig_core.pgp.home import stop_agent
from mig_core.testing.fleet import run_mig

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from mig_core.cli.demo.site import Site
    from mig_core.domain.ids import Fingerprint


class Colleague:
    """Made by :func:`colleague`; whoever wants them obeyed registers them, and adds their key to agents' and ACL."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.home = site.folder(name, "gnupg")
        self.fingerprint: Fingerprint = generate_key(self.home, name, f"{name}@demo.invalid").fingerprint
        self.public_key = export_public(self.home, self.fingerprint)
        self._settings = site.root / name / "config.toml"
        self._settings.write_text(
            f'api = "{site.api_url}"\nfingerprint = "{self.fingerprint}"\ngnupg_home = "{self.home}"\n',
            encoding="utf-8",
        )

    def environment(self) -> dict[str, str]:
        """For their programs."""
        return {**os.environ, "MIG_CONFIG": str(self._settings)}

    def mig(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs their ``mig`` to its end."""
        return run_mig(self.environment(), *words)


@contextlib.contextmanager
def colleague(site: Site, name: str = "second") -> Iterator[Colleague]:
    """A colleague, until the block ends."""
    person = Colleague(site, name)
    try:
        yield person
    finally:
        stop_agent(person.home)
