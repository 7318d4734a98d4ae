"""Fetching a question with all signed answers into a case's folder: from then on the platform may forget them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from mig_core.client.cases import layout
from mig_core.client.cases.folder import alone
from mig_core.durable import replace_file
from mig_core.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.client.cases.folder import Case
    from mig_core.client.client import MigClient

Document = dict[str, Any]
OVER = ("completed", "cancelled", "expired")


def collect(client: MigClient, case: Case, action: str) -> tuple[Case, Document]:
    """The case with the question as it stands now, and the question's document.

    What was collected before is replaced: answers only ever come to it.

    Raises:
        ApiError: there is no such question, or the platform does not give it.
    """
    document = client.action(client.action_id(action))
    identifier = str(document["id"])
    for folder in ("questions", "answers", "rows", layout.KEYS):
        case.path(folder).mkdir(mode=0o700, exist_ok=True)
    with alone(case.path("answers")):  # two that fetch at once would write into one another's files
        _write_lines(case, identifier, client)
        for fingerprint in document["signers"]:
            _keep_key(client, case, str(fingerprint))
        # Last: a question that lies here is whole.
        replace_file(case.path(layout.question(identifier)), json.dumps(document, indent=1, ensure_ascii=True).encode())
    return case.with_action(identifier), document


def is_over(case: Case, action: str) -> bool:
    """Whether the question had ended when it was collected: then nothing can come to it any more."""
    return bool(question_of(case, action).get("state") in OVER)


def question_of(case: Case, action: str) -> Document:
    """The question's document, as it was collected."""
    document: Document = json.loads(case.path(layout.question(action)).read_bytes())
    return document


def answers_of(case: Case, action: str) -> Iterator[Document]:
    """The commands' documents, as they were collected."""
    with case.path(layout.answers(action)).open("rb") as lines:
        for line in lines:
            yield json.loads(line)


def _write_lines(case: Case, action: str, client: MigClient) -> None:
    place = case.path(layout.answers(action))
    fresh = place.with_suffix(".new")
    with fresh.open("wb") as file:
        for command in client.commands(action, proofs=True):
            file.write(json.dumps(command, ensure_ascii=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place)


def _keep_key(client: MigClient, case: Case, fingerprint: str) -> None:
    place = case.path(layout.key(fingerprint))
    try:
        armored = client.investigator(fingerprint).get("publickey", "")
    except ApiError:
        return  # verifying says that the key is missing
    if armored:
        replace_file(place, str(armored).encode())
