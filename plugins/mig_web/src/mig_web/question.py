"""Questions on their way to a signature: what a form said, and what is ready to be signed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mig_core.domain.action import Action, Operation
    from mig_core.domain.envelope import Envelope


@dataclass(slots=True)
class Draft:
    """What a form says of a question, beside the operation that is being filled in."""

    operations: tuple[Operation, ...] = ()
    target: str = ""
    expiry: str = ""
    name: str = ""
    description: str = ""
    threat: str = ""
    where: str = ""
    """A condition on the rows that its answer is first shown with; no part of what is signed."""

    @property
    def operations_json(self) -> str:
        """The operations as a field of the form."""
        return json.dumps([_document(one) for one in self.operations], indent=2) if self.operations else ""


@dataclass(frozen=True, slots=True)
class Ready:
    """A question that is composed and not signed: these bytes and no others will be."""

    draft: Draft
    action: Action
    envelope: Envelope
    remarks: tuple[str, ...]
    command: str
    """The command line that asks the same."""


def _document(one: Operation) -> dict[str, Any]:
    return {"module": one.module, "parameters": one.parameters}
