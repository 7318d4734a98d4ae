"""The shell commands in ``docs/rest-api.md`` work as they stand, against a real mig-api and a real key."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mig_core.testing.api_site import ApiSite

PAGE = (Path(__file__).parents[2] / "docs" / "rest-api.md").read_text(encoding="utf-8")


def run(script: str, site: ApiSite) -> str:
    environment = {**os.environ, "GNUPGHOME": str(site.keys.home)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bootstrap_and_login_by_hand_lead_to_the_dashboard(api_site: ApiSite) -> None:
    for program in ("bash", "curl", "jq", "gpg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    blocks = [part.split("```")[0] for part in PAGE.split("```sh\n")[1:]]
    bootstrap = (
        blocks[0]
        .replace("https://mig.example.net", api_site.url)
        .replace("sudo cat /var/lib/mig-api/bootstrap-secret", f"cat {api_site.state}/bootstrap-secret")
    )
    fingerprint = f"FINGERPRINT={api_site.keys.alice.fingerprint}\n"
    login = blocks[1].replace("https://mig.example.net", api_site.url)
    given = next(line for line in login.splitlines() if line.startswith("FINGERPRINT=")) + "\n"

    registered = run(fingerprint + bootstrap, api_site)
    dashboard = run(login.replace(given, fingerprint), api_site)

    assert '"name":"Alice"' in registered
    assert '"counters"' in dashboard
