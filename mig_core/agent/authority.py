"""Who may command this agent: authorization, with everything it needs from this endpoint bound to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mig_core.authorization import authorize, authorize_cancel

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.agent.platform.facts import FactsHolder
    from mig_core.agent.records.journal import Journal
    from mig_core.authorization import Authorized, AuthorizedCancel, ModuleSet
    from mig_core.domain.acl import Acl
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import CommandId
    from mig_core.pgp.base import Keyring


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
        keyring: Keyring,
        acl: Acl,
        facts: FactsHolder,
        journal: Journal,
        modules: ModuleSet,
        clock: Callable[[], datetime],
    ) -> None:
        self._keyring = keyring
        self._acl = acl
        self._facts = facts
        self._journal = journal
        self._modules = modules
        self._clock = clock

    def authorize(self, action: Envelope, command: CommandId) -> Authorized:
        """See :meth:`Authority.authorize`."""
        now = self._clock()
        return authorize(
            action,
            keyring=self._keyring,
            acl=self._acl,
            facts=self._facts.current(),
            journal=self._journal.view(command, now=now),
            modules=self._modules,
            now=now,
        )

    def authorize_cancel(self, cancel: Envelope) -> AuthorizedCancel:
        """See :meth:`Authority.authorize_cancel`."""
        return authorize_cancel(cancel, keyring=self._keyring, acl=self._acl)
