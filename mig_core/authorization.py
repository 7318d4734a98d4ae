"""Authorization: the only place that decides whether an action may be run.

The agent calls :func:`authorize` with what it has read from its own disk (keyring, ACL, journal, modules) and what came
over the relay (the envelope), and believes nothing else. The API uses :func:`verify_action` and :func:`weights_needed`
to tell a pending action from a complete one; that is a service to investigators and protects nothing.

Every check returns or raises :class:`mig_core.errors.Refused`, whose ``check`` is a :class:`Check`. No hook and no
plugin takes part, except that a module's own parser reads its parameters, last of all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from mig_core.domain import envelope as envelopes
from mig_core.domain.action import read_action, read_cancel
from mig_core.domain.target import AgentView, Verdict, match
from mig_core.domain.times import format_time
from mig_core.errors import InvalidDocument, ModuleUnknown, ParameterError, Refused, SignatureInvalid
from mig_core.pgp.base import verify_all

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from mig_core.domain.acl import Acl
    from mig_core.domain.action import Action, Cancel
    from mig_core.domain.agent import AgentFacts
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import Fingerprint
    from mig_core.pgp.base import Keyring

logger = logging.getLogger(__name__)


class Check(StrEnum):
    """What is checked, in this order; a refusal names the first one that fails."""

    ENVELOPE = "envelope"
    """Of the right type, within the limits; the payload, once verified, is an action."""
    SIGNATURE = "signature"
    """Every signature is good, by a key of the keyring that is neither expired nor revoked, with a strong hash."""
    SIGNERS = "signers"
    """Nobody signed twice."""
    WINDOW = "window"
    """Now is not before ``validfrom`` and before ``expireafter``, by this machine's clock, without tolerance."""
    TARGET = "target"
    """The target does not exclude this agent; what only the platform knows excludes nobody."""
    REPLAY = "replay"
    """The action was not run here before, and that is known."""
    MODULE = "module"
    """Every operation's module is installed and enabled by local policy."""
    ACL = "acl"
    """For every operation the signers' weights reach the minimum."""
    PARAMETERS = "parameters"
    """Every operation's parameters are readable to its module."""


class Journal(Protocol):
    """The ids of actions that were run here, kept until their windows have certainly ended; survives a restart.

    Whoever runs an authorized action enters its id *before* the first operation, in one step with a last look, so that
    two deliveries at the same time cannot both run.
    """

    def objection(self, action: Action) -> str:
        """Why the action may have been run here before; empty: it was not."""
        ...


class ModuleSet(Protocol):
    """The modules this agent has."""

    def enabled(self, name: str) -> bool:
        """Whether the module is installed, works, and local policy allows it."""
        ...

    def parse(self, name: str, raw: object) -> object:
        """The operation's parameters, read by the module itself, strictly.

        Raises:
            ParameterError: they are not usable.
            ModuleUnknown: there is no such module.
        """
        ...


@dataclass(frozen=True, slots=True)
class Authorized:
    """An action that may be run here and now. ``parameters`` has one entry for each operation, in order."""

    action: Action
    signers: tuple[Fingerprint, ...]
    parameters: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class AuthorizedCancel:
    """A cancel that must be heeded."""

    cancel: Cancel
    signers: tuple[Fingerprint, ...]


@dataclass(frozen=True, slots=True)
class ModuleWeight:
    """How far an action's signers have come for one of its modules."""

    module: str
    minimum: int
    have: int

    @property
    def suffices(self) -> bool:
        """Whether no further signature is needed."""
        return self.have >= self.minimum


def authorize(
    envelope: Envelope,
    *,
    keyring: Keyring,
    acl: Acl,
    facts: AgentFacts,
    journal: Journal,
    modules: ModuleSet,
    now: datetime,
) -> Authorized:
    """The action, when all of it may be run by this agent at ``now`` (aware). Never a part of it.

    Raises:
        Refused: names the first check that failed, and why.
    """
    action, signers = verify_action(envelope, keyring)
    _check_window(action, now)
    _check_target(action, facts, now)
    objection = journal.objection(action)
    if objection:
        raise Refused(Check.REPLAY, objection)
    for operation in action.operations:
        if not modules.enabled(operation.module):
            raise Refused(
                Check.MODULE,
                f"module {operation.module} is not installed or not enabled here",
                next_step="mig agent show lists an agent's modules",
            )
    for operation in action.operations:
        acl.check(operation.module, signers)
    parameters = tuple(
        _parse(modules, index, operation.module, operation.parameters)
        for index, operation in enumerate(action.operations)
    )
    return Authorized(action, signers, parameters)


def authorize_cancel(envelope: Envelope, *, keyring: Keyring, acl: Acl) -> AuthorizedCancel:
    """The cancel, when all its signatures are good and at least one signer counts in some entry of the ACL.

    It has no window and is in no journal: to cancel the same action again changes nothing.

    Raises:
        Refused: names the check.
    """
    signers = _verify(envelope, envelopes.CANCEL, keyring)
    try:
        cancel = read_cancel(envelope.payload)
    except InvalidDocument as error:
        raise Refused(Check.ENVELOPE, str(error)) from error
    if not any(acl.knows(signer) for signer in signers):
        raise Refused(Check.ACL, "none of the signers is in the ACL", next_step="let an investigator it names cancel")
    return AuthorizedCancel(cancel, signers)


def verify_action(envelope: Envelope, keyring: Keyring) -> tuple[Action, tuple[Fingerprint, ...]]:
    """The action and its signers (distinct primary fingerprints, in the envelope's order).

    The payload is parsed only after every signature has been verified.

    Raises:
        Refused: check ``envelope``, ``signature`` or ``signers``.
    """
    signers = _verify(envelope, envelopes.ACTION, keyring)
    try:
        return read_action(envelope.payload), signers
    except InvalidDocument as error:
        raise Refused(Check.ENVELOPE, str(error)) from error


def weights_needed(action: Action, acl: Acl, signers: Iterable[Fingerprint]) -> tuple[ModuleWeight, ...]:
    """For each module of the action, once, in the order of the operations: the weight it needs and has.

    The action is pending while one of them does not suffice.

    Raises:
        Refused: check ``acl``: no entry governs one of the modules, so no number of signatures will do.
    """
    distinct = frozenset(signers)
    needed = {}
    for operation in action.operations:
        entry = acl.entry_for(operation.module)
        if entry is None:
            raise Refused(
                Check.ACL,
                f"module {operation.module}: the ACL has neither an entry for it nor a default",
                next_step="add an entry to the ACL file",
            )
        needed[operation.module] = ModuleWeight(operation.module, entry.minimum_weight, entry.weight_of(distinct))
    return tuple(needed.values())


def _verify(envelope: Envelope, payload_type: str, keyring: Keyring) -> tuple[Fingerprint, ...]:
    if envelope.payload_type != payload_type:
        raise Refused(Check.ENVELOPE, f"its type must be {payload_type}, got {envelope.payload_type!r:.100}")
    if len(envelope.payload) > envelopes.MAX_ACTION_BYTES:
        raise Refused(
            Check.ENVELOPE,
            f"is {len(envelope.payload)} bytes, at most {envelopes.MAX_ACTION_BYTES} are accepted",
        )
    if not 1 <= len(envelope.signatures) <= envelopes.MAX_SIGNATURES:
        raise Refused(
            Check.ENVELOPE, f"must have 1 to {envelopes.MAX_SIGNATURES} signatures, got {len(envelope.signatures)}"
        )
    try:
        signers = verify_all(keyring, envelope)
    except SignatureInvalid as error:
        raise Refused(Check.SIGNATURE, str(error), next_step=error.next_step) from error
    for index, signer in enumerate(signers):
        if signer in signers[:index]:
            raise Refused(Check.SIGNERS, f"{signer} signed more than once")
    return signers


def _check_window(action: Action, now: datetime) -> None:
    if now < action.valid_from:
        raise Refused(
            Check.WINDOW,
            f"valid from {format_time(action.valid_from)}, and it is {format_time(now)} here",
            next_step="compare the clocks of this endpoint and of the investigator",
        )
    if now >= action.expire_after:
        raise Refused(Check.WINDOW, f"expired at {format_time(action.expire_after)}, and it is {format_time(now)} here")


def _check_target(action: Action, facts: AgentFacts, now: datetime) -> None:
    if match(action.parsed_target(), AgentView.of_itself(facts), now=now) is Verdict.NO:
        raise Refused(Check.TARGET, f"the target does not mean agent {facts.id} ({facts.name})")


def _parse(modules: ModuleSet, index: int, name: str, raw: object) -> object:
    try:
        return modules.parse(name, raw)
    except ModuleUnknown as error:
        raise Refused(Check.MODULE, f"module {name} is not installed or not enabled here") from error
    except ParameterError as error:
        where = f"operations[{index}].parameters" + (f".{error.path}" if error.path else "")
        raise Refused(
            Check.PARAMETERS, f"module {name}: {where}: {error.problem}", next_step=error.next_step
        ) from error
    except Exception as error:
        # A parser that breaks its promise to be total must not take the agent down, nor let the action through.
        logger.exception("module %s could not read its parameters", name)
        raise Refused(
            Check.PARAMETERS,
            f"module {name}: operations[{index}].parameters: the module broke on them ({type(error).__name__})",
        ) from error
