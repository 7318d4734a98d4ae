"""What lies where in a case's folder and in the file that is made of it."""

from __future__ import annotations

import re

FORMAT = "mig-case/1"
CASE = "case.json"
"""Name, notes and the ids of the questions."""
REPORT = "report.md"
MANIFEST = "manifest.json"
"""An envelope: the SHA-256 of every other member, signed by whoever exported it."""
KEYS = "keys"
"""Public keys of investigators, a file each, named for its fingerprint."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MEMBER = re.compile(
    rf"case\.json|report\.md|manifest\.json|keys/[0-9A-F]{{40}}\.asc|"
    rf"questions/{_UUID}\.json|answers/{_UUID}\.jsonl|rows/{_UUID}(?:-[a-z0-9_]{{1,32}})?\.csv"
)
"""Names that a case file's members may have."""


def question(action: str) -> str:
    """The action's document, with its signed envelope."""
    return f"questions/{action}.json"


def answers(action: str) -> str:
    """A line for each agent that was asked: the command's document, with what the agent signed."""
    return f"answers/{action}.jsonl"


def rows(action: str) -> str:
    """The rows of all answers, for people and spreadsheets."""
    return f"rows/{action}.csv"


def key(fingerprint: str) -> str:
    """An investigator's public key."""
    return f"{KEYS}/{fingerprint}.asc"
