"""Who may command this agent: authorization, with everything it needs from this endpoint bound to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mig_core.authorization import authorize, authorize_cancel

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.agent.platform.facts import FactsHolder
    from mig_core.agent.records.journal import Journal
    from mig_core.agent.trust import Trust
    from mig_core.authorization import Authorized, AuthorizedCancel, ModuleSet
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import CommandId


class Authority(Protocol):
    """Says yes by returning, no by raising."""

    def authorize(self, action: Envelope, command: CommandId) -> Authorized:
        """The action that may be run here and now for this command.

        Raises:
            Refused: it may not.
        """
        ...

    def authorize_cancel(self, cancel: Envelope) -> AuthorizedCancel:
        """The cancel that must be heeded.

        Raises:
            Refused: it must not.
        """
        ...


class LocalAuthority:
    """The endpoint owner's keyring and ACL decide."""

    def __init__(
        self,
        *,
        trust: Trust,
        facts: FactsHolder,
        journal: Journal,
        modules: ModuleSet,
        clock: Callable[[], datetime],
    ) -> None:
        self._trust = trust
        self._facts = facts
        self._journal = journal
        self._modules = modules
        self._clock = clock

    def authorize(self, action: Envelope, command: CommandId) -> Authorized:
        """See :meth:`Authority.authorize`."""
        now = self._clock()
        with self._trust.in_force() as (keyring, acl):
            return authorize(
                action,
                keyring=keyring,
                acl=acl,
                facts=self._facts.current(),
                journal=self._journal.view(command, now=now),
                modules=self._modules,
                now=now,
            )

    def authorize_cancel(self, cancel: Envelope) -> AuthorizedCancel:
        """See :meth:`Authority.authorize_cancel`."""
        with self._trust.in_force() as (keyring, acl):
            return authorize_cancel(cancel, keyring=keyring, acl=acl)
