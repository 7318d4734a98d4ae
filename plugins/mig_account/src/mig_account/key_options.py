"""Options in front of an authorized key, as sshd takes them (sshd(8), auth-options.c of OpenSSH 9.2)."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime

_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?(,|\Z)')
_FLAGS = frozenset(
    {
        "agent-forwarding", "cert-authority", "port-forwarding", "pty", "restrict", "touch-required", "user-rc",
        "verify-required", "x11-forwarding",
    }
)  # fmt: skip
_VALUES = frozenset(
    {"command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"}
)
_ONCE = frozenset({"command", "from", "principals"})
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(Z?)")


def parsed(text: str) -> dict[str, str]:
    """The options by name, in lower case.

    Raises:
        ValueError: sshd does not take them, and so refuses the key.
    """
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        option = _OPTION.match(text, place)
        if option is None or (option[3] == "," and option.end() == len(text)):
            raise ValueError("options that are not understood")
        name, value = option[1].lower(), option[2]
        if name not in _VALUES and (value is not None or name.removeprefix("no-") not in _FLAGS):
            raise ValueError(f"option that is not known: {option[1][:40]!r}")
        if name in _VALUES and value is None:
            raise ValueError(f"option without a value: {name}")
        if name in _ONCE and name in found:
            raise ValueError(f"option given twice: {name}")
        found[name] = (value or "").replace('\\"', '"')
        place = option.end()
    return found


def why_closed(options: dict[str, str], now: float) -> str:
    """Why a key with these options lets nobody in; empty when it does."""
    if "principals" in options and "cert-authority" not in options:
        return "principals without cert-authority"
    if "expiry-time" in options and (expiry := _expiry(options["expiry-time"])) is not None and expiry < now:
        return "expired"
    if "from" in options:
        return _why_nowhere(options["from"])
    return ""


def _expiry(text: str) -> float | None:
    parts = _TIME.fullmatch(text)
    if parts is None:
        return 0.0
    try:
        moment = datetime(*(int(one or 0) for one in parts.groups()[:6]), tzinfo=UTC)  # type: ignore[misc, arg-type]  # six numbers
    except ValueError:
        return 0.0
    return moment.timestamp()


def _why_nowhere(text: str) -> str:
    """Whether nobody can come from there: only negated patterns, or a network with bits of a host."""
    patterns = text.split(",")
    if all(one.startswith("!") for one in patterns):
        return "from has only negated patterns"
    for one in patterns:
        bare = one.removeprefix("!")
        if "/" in bare:
            try:
                ipaddress.ip_network(bare)
            except ValueError:
                return f"from has a network that is none: {bare[:60]}"
    return ""
