"""Every error MIG raises on purpose, in one tree.

Callers catch by meaning, not by library: drivers translate what pika, psycopg, gpg or urllib3 raise at their own edge
(``raise ... from``). Errors carry fields; the text for people is made by :meth:`MigError.diagnostics`.

::

    MigError
    ├── ConfigurationError      a setting is missing or wrong: names file and key
    ├── InvalidDocument         bytes from outside are not the document they should be: names the JSON path
    ├── ParameterError          parameters of an operation are not usable: names module and JSON path
    ├── TargetError             a target expression cannot be read: names the position
    ├── Refused                 authorization said no: names the check
    ├── SignatureInvalid        a signature does not prove what it claims
    ├── PluginError             a plugin cannot be loaded or breaks its contract
    │   └── ModuleUnknown       nothing installed here provides this module
    ├── RelayError
    │   ├── RelayUnavailable    try again later
    │   ├── RelayDenied         the relay knows us and says no
    │   └── RelayRefused        the relay, or what stands before it, will not take this message
    │       └── RelayUnwanted   nobody waits for this message, now or later
    ├── StoreError
    │   ├── StoreUnavailable    try again later
    │   │   └── StoreBroke      the connection ended while the database was at it
    │   ├── StatementRefused    the database will not take these values, now or later
    │   ├── NoRoom              as much of it is kept as may be
    │   ├── NotFound            names what was looked for
    │   └── Conflict            the change does not fit the present state
    └── ApiError                what mig-api answered, as its client sees it
        └── ApiUnavailable      no usable answer at all
"""

from __future__ import annotations

from typing import ClassVar

from mig_core.records import dataclass
from mig_core.text import visible


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What to tell a person: what happened, and what to try next (empty when there is nothing to try)."""

    problem: str
    next_step: str = ""
    shown: tuple[str, ...] = ()
    """Lines between the two, such as the place of a fault."""

    def lines(self) -> list[str]:
        """Line by line, fit for a terminal: whatever names from elsewhere hold, they make no line of their own."""
        return [
            visible(self.problem),
            *(f"    {visible(line)}" for line in self.shown),
            *([f"  {visible(self.next_step)}"] if self.next_step else []),
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines())


class MigError(Exception):
    """Root of the tree. ``str(error)`` is one line that names the subject."""

    def __init__(self, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step

    def diagnostics(self) -> Diagnostics:
        """Text for a person, without a stack trace."""
        return Diagnostics(str(self), self.next_step)


class ConfigurationError(MigError):
    """A setting is missing or wrong. ``source`` is the file (or environment variable), ``key`` the dotted path."""

    def __init__(self, source: str, key: str, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.source = source
        self.key = key

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.problem) if part)


class InvalidDocument(MigError):
    """Bytes from outside are not the document they claim to be.

    ``path`` is the JSON path of the fault, like ``operations[0].module``.
    """

    def __init__(self, subject: str, problem: str, *, path: str = "", next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.subject = subject
        self.path = path

    def __str__(self) -> str:
        return ": ".join(part for part in (self.subject, self.path, self.problem) if part)


class ParameterError(MigError):
    """Parameters of an operation are not usable. ``path`` is their JSON path, like ``searches.s1.sizes[0]``."""

    def __init__(self, path: str, problem: str, *, module: str = "", next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.module = module
        self.path = path

    def __str__(self) -> str:
        return ": ".join(part for part in (self.module, self.path, self.problem) if part)


class TargetError(MigError):
    """A target expression cannot be read. ``position`` counts characters from 0 in ``text``."""

    subject: ClassVar[str] = "target"
    """What it is the text of."""

    def __init__(self, text: str, position: int, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.text = text
        self.position = position

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem} at position {self.position}"

    def diagnostics(self) -> Diagnostics:
        """The part of the expression around the fault, with a caret under it."""
        start = max(0, self.position - 30)
        around = self.text[start : self.position + 30].replace("\n", " ").replace("\t", " ")
        caret = " " * len(visible(around[: self.position - start])) + "^"
        return Diagnostics(str(self), self.next_step, (around, caret))


class ConditionError(TargetError):
    """Conditions on the columns of answers (``--where``) cannot be read."""

    subject: ClassVar[str] = "where"


class Refused(MigError):
    """Authorization said no.

    ``check`` is one of :class:`mig_core.authorization.Check`'s values; ``problem`` is the reason.
    """

    def __init__(self, check: str, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.check = check

    def __str__(self) -> str:
        return f"refused ({self.check}): {self.problem}"


class SignatureInvalid(MigError):
    """A signature does not prove what it claims. ``keyid`` names the key that was claimed."""

    def __init__(self, keyid: str, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.keyid = keyid

    def __str__(self) -> str:
        return f"signature by {self.keyid or 'an unnamed key'}: {self.problem}"


class PluginError(MigError):
    """A plugin cannot be loaded or breaks its contract. ``plugin`` is the entry point's name."""

    def __init__(self, plugin: str, problem: str, *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.plugin = plugin

    def __str__(self) -> str:
        return f"plugin {self.plugin}: {self.problem}"


class ModuleUnknown(PluginError):
    """Nothing installed (and allowed) here provides this module."""


class RelayError(MigError):
    """The relay did not do what was asked."""


class RelayUnavailable(RelayError):
    """The relay cannot be reached, or went away. Nothing is lost; try again later."""


class RelayDenied(RelayError):
    """The relay was reached and refuses this login or this resource."""


class RelayRefused(RelayError):
    """The relay, or something on the way to it, will not take this message; others it may."""


class RelayUnwanted(RelayRefused):
    """Nobody waits for this message, now or later."""


class StoreError(MigError):
    """The database did not do what was asked."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or went away. The transaction did not happen; try again later."""


class StoreBroke(StoreUnavailable):
    """The connection ended while the database was at it, again and again. Usually the database went away."""


class StatementRefused(StoreError):
    """The database will not take these values, now or later. ``sqlstate`` is PostgreSQL's code, or empty."""

    def __init__(self, problem: str, sqlstate: str = "", *, next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.sqlstate = sqlstate


class NoRoom(StoreError):
    """As much of it is kept as may be. Try again later."""


class NotFound(StoreError):
    """There is no such thing. ``kind`` is a word of design section 6, ``identifier`` what was looked for."""

    def __init__(self, kind: str, identifier: str, *, next_step: str = "") -> None:
        super().__init__(f"no such {kind}: {identifier}", next_step=next_step)
        self.kind = kind
        self.identifier = identifier


class Conflict(StoreError):
    """The change does not fit the present state (already exists, already ended, already spent)."""


class ApiError(MigError):
    """mig-api said no.

    ``status`` is the HTTP status, ``field`` the member of the request it names, if any (RFC 9457).
    """

    def __init__(self, status: int, problem: str, *, field: str = "", next_step: str = "") -> None:
        super().__init__(problem, next_step=next_step)
        self.status = status
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem


class ApiUnavailable(ApiError):
    """mig-api cannot be reached or did not give a usable answer."""

    def __init__(self, url: str, problem: str, *, next_step: str = "") -> None:
        super().__init__(0, problem, next_step=next_step)
        self.url = url

    def __str__(self) -> str:
        return f"{self.url}: {self.problem}"
