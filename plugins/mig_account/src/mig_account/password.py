"""What a password field tells without telling the password: whether one is set, by which method, how hard to guess.

The field itself never leaves this file. Sources: crypt(5) of libxcrypt 4.4, passwd(1) of shadow 4.17 for the states.
"""

from __future__ import annotations

import re

from mig_core.records import dataclass

EMPTY, SET, LOCKED, IMPOSSIBLE, MISSING = "empty", "set", "locked", "impossible", "missing"
WEAK, FAIR, STRONG = "weak", "fair", "strong"
_LOCKS = re.compile(rb"!+|\*LK\*")
_ALPHABET = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_METHODS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("yescrypt", re.compile(rb"\$y\$([^$]*)\$")),
    ("gost-yescrypt", re.compile(rb"\$gy\$([^$]*)\$")),
    ("scrypt", re.compile(rb"\$7\$(.)")),
    ("bcrypt", re.compile(rb"\$2[abxy]\$(\d\d)\$")),
    ("argon2", re.compile(rb"\$argon2(?:id|i|d)\$(?:v=\d+\$)?([^$]*)\$")),
    ("sha512crypt", re.compile(rb"\$6\$(?:rounds=(\d{1,9})\$)?")),
    ("sha256crypt", re.compile(rb"\$5\$(?:rounds=(\d{1,9})\$)?")),
    ("sha1crypt", re.compile(rb"\$sha1\$(\d{1,9})\$")),
    ("sunmd5", re.compile(rb"\$md5(?:,rounds=(\d{1,9}))?\$")),
    ("md5crypt", re.compile(rb"\$1\$()")),
    ("nt", re.compile(rb"\$3\$()")),
    ("bsdicrypt", re.compile(rb"_([./0-9A-Za-z]{4})[./0-9A-Za-z]{15}\Z")),
    ("descrypt", re.compile(rb"()[./0-9A-Za-z]{13}\Z")),
    ("bigcrypt", re.compile(rb"()[./0-9A-Za-z]{24,178}\Z")),
)
_ALWAYS_WEAK = frozenset({"sha1crypt", "sunmd5", "md5crypt", "nt", "bsdicrypt", "descrypt", "bigcrypt"})
_DEFAULT_ROUNDS = 5000
"""Of SHA-crypt where none are said."""
_STRONG_ROUNDS = 100_000
_WEAK_BCRYPT = 10
_WEAK_MEMORY = 10
"""Logarithm of yescrypt's N below which it is weak."""


@dataclass(frozen=True, slots=True)
class Password:
    """What is known of a password."""

    state: str
    """``set``; ``empty``: none is asked for; ``locked``: ``!`` in front; ``impossible``: no method makes this text."""
    method: str = ""
    cost: str = ""
    strength: str = ""


def judged(field: bytes) -> Password:
    """What a field says."""
    if not field:
        return Password(EMPTY)
    lock = _LOCKS.match(field)
    method, parameter = _method(field[lock.end() :] if lock else field)
    if not method:
        return Password(LOCKED if lock else IMPOSSIBLE)
    cost, strength = _cost(method, parameter)
    return Password(LOCKED if lock else SET, method, cost, strength)


def _method(field: bytes) -> tuple[str, bytes]:
    for name, form in _METHODS:
        if found := form.match(field):
            return name, found[1] or b""
    return "", b""


def _cost(method: str, parameter: bytes) -> tuple[str, str]:
    if method in _ALWAYS_WEAK:
        return "", WEAK
    if method in ("sha512crypt", "sha256crypt"):
        rounds = int(parameter or _DEFAULT_ROUNDS)
        strength = WEAK if rounds < _DEFAULT_ROUNDS else STRONG if rounds >= _STRONG_ROUNDS else FAIR
        return f"rounds={rounds}", strength
    if method == "bcrypt":
        return f"cost={int(parameter)}", WEAK if int(parameter) < _WEAK_BCRYPT else STRONG
    if method == "argon2":
        return parameter.decode("ascii", "replace")[:60], STRONG
    power = _power(method, parameter)
    return (f"N=2^{power}", WEAK if power < _WEAK_MEMORY else STRONG) if power else ("", STRONG)


def _power(method: str, parameter: bytes) -> int:
    """The logarithm of scrypt's N: of yescrypt behind the flags, one less than it is; 0 where it is not told."""
    if method == "scrypt":
        return _ALPHABET.find(parameter)
    if len(parameter) < 2:
        return 0
    return _ALPHABET.find(parameter[1:2]) + 1
