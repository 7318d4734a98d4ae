"""The access control list: which investigators may have which modules run, and how many must agree.

Kept in a JSON file of the original's form::

    {
      "default": {
        "minimumweight": 2,
        "investigators": {
          "Bob":   {"fingerprint": "E60892BB9BD89A69F759A1A0A3D652173B763E8F", "weight": 2},
          "Alice": {"fingerprint": "AC3B59A8D9DA4A4F0D1E2E5E5E5F5A5B5C5D5E5F", "weight": 1}
        }
      },
      "memory": {"minimumweight": 3, "investigators": {...}}
    }

A module without an entry of its own falls under ``default``; without either it may not be run at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.domain.document import load, members
from mig_core.domain.ids import Fingerprint, check_fingerprint
from mig_core.errors import InvalidDocument, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT = "default"
CHECK = "acl"
"""The name under which authorization reports what this list refuses."""
MAX_ACL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class AclEntry:
    """Who counts how much for one module. Weights are positive; each fingerprint stands once."""

    minimum_weight: int
    weights: Mapping[Fingerprint, int]

    def weight_of(self, signers: Iterable[Fingerprint]) -> int:
        """The summed weight of *distinct* signers; strangers count nothing."""
        return sum(self.weights.get(signer, 0) for signer in frozenset(signers))


@dataclass(frozen=True, slots=True)
class Acl:
    """All entries by module name; ``default`` stands for modules without one."""

    entries: Mapping[str, AclEntry] = field(default_factory=dict)

    def entry_for(self, module: str) -> AclEntry | None:
        """The entry that governs a module, if any does."""
        return self.entries.get(module) or self.entries.get(DEFAULT)

    def check(self, module: str, signers: Iterable[Fingerprint]) -> None:
        """Returns when the signers together may have this module run.

        Raises:
            Refused: no entry, or the weights do not suffice.
        """
        entry = self.entry_for(module)
        if entry is None:
            raise Refused(
                CHECK,
                f"module {module}: the ACL has neither an entry for it nor a default",
                next_step="add an entry to the agent's ACL file",
            )
        weight = entry.weight_of(signers)
        if weight < entry.minimum_weight:
            raise Refused(
                CHECK,
                f"module {module} needs weight {entry.minimum_weight}, has {weight}",
                next_step="let another investigator add a signature: mig action approve ID",
            )

    def knows(self, signer: Fingerprint) -> bool:
        """Whether the signer counts for anything at all; enough to cancel."""
        return any(signer in entry.weights for entry in self.entries.values())


def read_acl(raw: bytes) -> Acl:
    """The list in a file's bytes.

    Raises:
        InvalidDocument: not of the form above, a weight or minimum below 1, or a fingerprint twice in one entry.
    """
    document = load(raw, subject="acl", max_bytes=MAX_ACL_BYTES)
    outer = members(document, subject="acl")
    entries = {}
    for module in sorted(document) if isinstance(document, dict) else ():
        entry = outer.object(module)
        minimum = entry.integer("minimumweight", minimum=1, maximum=1000)
        people = entry.mapping("investigators")
        weights: dict[Fingerprint, int] = {}
        for name in people:
            path = f"{module}.investigators.{name}"
            person = members(people[name], subject="acl", path=path)
            fingerprint = check_fingerprint(person.take("fingerprint"), subject="acl", path=f"{path}.fingerprint")
            if fingerprint in weights:
                raise InvalidDocument("acl", "this fingerprint stands here twice", path=f"{path}.fingerprint")
            weights[fingerprint] = person.integer("weight", minimum=1, maximum=1000)
            person.close()
        entry.close()
        entries[module] = AclEntry(minimum, weights)
    return Acl(entries)
