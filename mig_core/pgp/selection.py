"""Which keys of some key files gpg is given, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mig_core.pgp.certificates import Certificate, KeyBlock, why_unusable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

KEPT_BY_OWNER = "is a secret key, which must stay with its owner"


@dataclass(slots=True)
class Selection:
    """What of some key files can be used."""

    usable: list[Certificate] = field(default_factory=list)
    revocations: list[bytes] = field(default_factory=list)
    early: list[Certificate] = field(default_factory=list)
    """Made in the future of this machine's clock, and otherwise usable."""
    unusable: dict[str, str] = field(default_factory=dict)
    """Name of the file, and the key's fingerprint where it is about one -> why."""

    def refuse(self, name: str, why: str) -> None:
        """Notes why a file, or a key in it, is not used; the first reason counts."""
        self.unusable.setdefault(name, why)


def select(
    blocks: Mapping[str, KeyBlock], *, present: Collection[str], algorithms: Collection[int], now: datetime
) -> Selection:
    """Looks at each certificate of each file.

    A key that claims to have been revoked by one of its designated revokers is not used unless that revoker's key is
    there too: gpg checks such a revocation only then, and without a word passes over one that it cannot check.

    Args:
        blocks: name of the file -> what is in it.
        present: fingerprints of keys that are in the keyring already.
        algorithms: that this gpg knows.
        now: the time here.
    """
    selection = Selection()
    named: list[tuple[str, Certificate]] = []
    for name, block in blocks.items():
        if block.secret:
            selection.refuse(name, KEPT_BY_OWNER)
            continue
        if block.damage:
            selection.refuse(name, block.damage)
        elif not block.certificates and not block.revocations:
            selection.refuse(name, "has no OpenPGP public key in it")
        selection.revocations += block.revocations
        for certificate in block.certificates:
            why = why_unusable(certificate, algorithms=algorithms, now=now)
            if not why:
                named.append((name, certificate))
                continue
            selection.refuse(_label(name, certificate), why)
            if certificate.created is not None and certificate.created > now:
                selection.early.append(certificate)
    _settle_revocations(named, {*present, *(one.fingerprint for _, one in named)}, selection)
    return selection


def _settle_revocations(named: list[tuple[str, Certificate]], there: Collection[str], selection: Selection) -> None:
    revokers: dict[str, set[str]] = {}
    for _, one in named:
        revokers.setdefault(one.fingerprint, set()).update(one.revokers)
    missing = {
        one.fingerprint: min(unknown)
        for _, one in named
        if (unknown := one.revoked_by_one_of(revokers[one.fingerprint]) - set(there))
    }
    for name, one in named:
        if one.fingerprint in missing:
            revoker = missing[one.fingerprint]
            why = f"its designated revoker {revoker} has revoked it, whose own key is needed to check that"
            selection.refuse(_label(name, one), why)
        else:
            selection.usable.append(one)


def _label(name: str, certificate: Certificate) -> str:
    return ": ".join(part for part in (name, certificate.fingerprint) if part) or "a key"
