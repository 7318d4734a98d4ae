"""What gpg said about one signature, judged: anything but one good signature in its status lines is a refusal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mig_core.domain.ids import Fingerprint, check_fingerprint
from mig_core.domain.times import format_time
from mig_core.errors import SignatureInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mig_core.domain.envelope import Signature
    from mig_core.pgp.gnupg_program import Output

KEYRING = (
    "--no-autostart",
    "--trust-model=direct",  # no web of trust; "always" makes gpg 2.2 give up on expired keys in a fresh home
    "--no-auto-check-trustdb",
    "--weak-digest=SHA1",
    "--weak-digest=RIPEMD160",
)
"""Options of every verification: whoever checks a signature before it is sent must see what the agents will see."""

_NOT_GOOD = {
    "NO_PUBKEY": "the key is not in the keyring",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key has been revoked",
    "EXPSIG": "the signature has expired",
    "BADSIG": "does not fit the document",
}
_WHY_NOT_CHECKED = {
    1: "the key is not fit to sign: a subkey that its primary key and it do not vouch for each other?",
    4: "its algorithm is not known to this gpg",
    5: "its hash is weak or not known to this gpg",
    6: "the key vouches for itself with weak hashes only (SHA-1 or older)",
    39: "it is older than its key; was the signer's clock right?",
}
"""The ``rc`` of gpg's ERRSIG: numbers of libgpg-error."""


def judge(output: Output, signature: Signature, *, now: datetime, ahead: timedelta) -> Fingerprint:
    """The primary fingerprint of the key that made the signature, when gpg holds it for good.

    Args:
        output: of ``gpg --verify``.
        signature: what was verified; named in the refusal.
        now: the time here.
        ahead: how far in the future the signature may be dated.

    Raises:
        SignatureInvalid: it is not good; says why.
    """
    said = output.statuses()
    for keyword, problem in _NOT_GOOD.items():
        if keyword in said:
            raise SignatureInvalid(shown(signature), problem)
    if "ERRSIG" in said:
        raise SignatureInvalid(shown(signature), f"cannot be checked: {_why_not_checked(said)}")
    if output.returncode != 0 or len(said.get("GOODSIG", ())) != 1 or len(said.get("VALIDSIG", ())) != 1:
        raise SignatureInvalid(shown(signature), "gpg does not accept it")
    words = said["VALIDSIG"][0].split()
    _check_date(words[2], signature, now=now, ahead=ahead)
    return check_fingerprint(words[-1], subject="signature", path="key")


def shown(signature: Signature) -> str:
    """The key hint when it has the form of one: it comes from outside and goes to logs and terminals."""
    return signature.keyid if signature.keyid.isascii() and signature.keyid.isalnum() else ""


def _why_not_checked(said: Mapping[str, list[str]]) -> str:
    words = said["ERRSIG"][0].split()
    code = int(words[5]) if len(words) > 5 and words[5].isdigit() else 0
    return _WHY_NOT_CHECKED.get(code, f"unknown algorithm, weak hash or unusable key (error {code})")


def _check_date(text: str, signature: Signature, *, now: datetime, ahead: timedelta) -> None:
    """gpg gives seconds since 1970, or an ISO 8601 text with a T (doc/DETAILS); it says nothing of the future."""
    try:
        made = datetime.fromtimestamp(int(text), UTC) if text.isdigit() else datetime.fromisoformat(text + "+00:00")
    except (ValueError, OverflowError):
        raise SignatureInvalid(shown(signature), "its date cannot be read") from None
    if made > now + ahead:
        raise SignatureInvalid(
            shown(signature),
            f"is dated {format_time(made)}, in the future: here it is {format_time(now)}",
            next_step="compare the clocks of this machine and of the investigator",
        )
