"""The commands of ``docs/operations.md`` that make certificates are run, and RabbitMQ's TLS settings are tried."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_commands_make_certificates_that_pass_the_strict_check(tmp_path: Path) -> None:
    section = OPERATIONS.partition("## Certificates")[2].partition("\n## ")[0]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))

    done = subprocess.run(["sh", "-euc", commands], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "server.pem: OK"
