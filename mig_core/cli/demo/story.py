"""The demonstration's questions, asked by the real ``mig`` as a person would type them."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mig_core.cli.demo.processes import program
from mig_core.cli.demo.site import CONTENT, HOLDER
from mig_core.cli.terminal import BLUE, coloured
from mig_core.errors import MigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_core.cli.demo.site import Site


@dataclass(frozen=True, slots=True)
class Question:
    """A command line, what it is about, and a text that must be in the answer."""

    about: str
    words: Sequence[str]
    expected: str = ""


def questions() -> Sequence[Question]:
    """What is asked, in order. The paths without a leading ``/`` are below each agent's own folder."""
    digest = hashlib.sha256(CONTENT.encode("ascii")).hexdigest()
    account = "shadow" if os.geteuid() == 0 else "passwd"  # an ordinary user's agents may not read /etc/shadow
    return (
        Question("the agents that are there", ("agents",), HOLDER),
        Question(
            f"which endpoints have a {account} file with a root account",
            ("file", "-path", "/etc", "-name", f"^{account}$", "-content", "^root:"),
            f"/etc/{account}",
        ),
        Question(
            "which endpoint holds the demonstration file, by its content",
            (
                "file",
                "-path",
                "bin",
                "-path",
                "etc",
                "-path",
                "lib",
                "-content",
                "DEMOCONTENT",
                "-size",
                "<100k",
                "-maxdepth",
                "2",
            ),
            f"{HOLDER} etc/mig-demo",
        ),
        Question(
            "the same by its SHA-256",
            ("file", "-path", "etc", "-maxdepth", "0", "-size", "<100k", "-sha2", digest),
            f"{HOLDER} etc/mig-demo",
        ),
        Question("what was asked so far", ("actions",), "completed"),
    )


def ask(site: Site, question: Question) -> None:
    """Prints question and answer.

    Raises:
        MigError: ``mig`` failed, or the answer is not what the demonstration shows.
    """
    typed = coloured(f"$ {shlex.join(('mig', *question.words))}", BLUE, sys.stdout)
    print(f"\n# {question.about}\n{typed}", flush=True)  # noqa: T201  this is what the demonstration is for
    asked = subprocess.run(
        [program("mig"), *question.words],
        env={**os.environ, "MIG_CONFIG": str(site.client_settings), "XDG_STATE_HOME": str(site.client_state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    print(asked.stdout, end="", flush=True)  # noqa: T201  as above
    if asked.returncode not in (0, 3) or question.expected not in asked.stdout:
        problem = f"mig {question.words[0]} ended with status {asked.returncode}"
        raise MigError(f"{problem}; expected in its answer: {question.expected!r}")
