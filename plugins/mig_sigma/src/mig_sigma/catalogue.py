"""Which events rules can be evaluated on here, and which fields each kind has. The manual's table says where they are
from; a test compares both.

Names of kinds and fields are Sigma's taxonomy (categories of Linux as Sysmon and Sigma name them).
"""

from __future__ import annotations

PROCESS, FILE, FILE_DELETE, FILE_RENAME = "process_creation", "file_event", "file_delete", "file_rename"
FILE_CHANGE, NETWORK = "file_change", "network_connection"
AUDITD, ANY = "auditd", "any"

_WHO = frozenset({"Image", "User", "ProcessId", "UtcTime", "Computer"})
FIELDS: dict[str, frozenset[str]] = {
    PROCESS: _WHO
    | {
        "CommandLine", "CurrentDirectory", "ParentImage", "ParentCommandLine", "ParentProcessId", "ParentUser",
        "TerminalSessionId",
    },
    FILE: _WHO | {"TargetFilename"},
    FILE_DELETE: _WHO | {"TargetFilename"},
    FILE_RENAME: _WHO | {"TargetFilename", "SourceFilename"},
    FILE_CHANGE: _WHO | {"TargetFilename"},
    NETWORK: _WHO
    | {"DestinationIp", "DestinationPort", "SourceIp", "SourcePort", "Initiated", "DestinationIsIpv6", "SourceIsIpv6"},
}  # fmt: skip
"""Kind -> its fields. Those of ``auditd`` are whatever the records of the trail have; ``any`` has none, words only."""


def kind_of(category: str | None, product: str | None, service: str | None) -> str:
    """The kind of events that a rule's source means.

    Raises:
        ValueError: there are none here; says why.
    """
    if (product or "linux").lower() != "linux":
        raise ValueError(f"is for the product {product}")
    if service and service.lower() == AUDITD and not category:
        return AUDITD
    if service:
        raise ValueError(f"is for the log of {service}, which is not watched here")
    if not category:
        return ANY
    if category.lower() not in FIELDS:
        raise ValueError(f"is for events of the category {category}, of which there are none here")
    return category.lower()


def missing(kind: str, fields: frozenset[str]) -> tuple[str, ...]:
    """The fields of a rule that events of its kind do not have."""
    if kind == AUDITD:
        return ()
    return tuple(sorted(fields - FIELDS.get(kind, frozenset())))
