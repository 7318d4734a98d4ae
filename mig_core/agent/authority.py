"""Who may command this agent: authorization, with everything it needs from this endpoint bound to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mig_core.authorization import ModuleSet, authorize, authorize_cancel

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mig_core.agent.operations.executor import Prepared
    from mig_core.agent.platform.facts import FactsHolder
    from mig_core.agent.records.journal import Journal
    from mig_core.agent.trust import Trust
    from mig_core.authorization import Authorized, AuthorizedCancel
    from mig_core.domain.envelope import Envelope
    from mig_core.domain.ids import CommandId


class Authority(Protocol):
    """Says yes by returning, no by raising."""

    def authorize(self, action: Envelope, command: CommandId) -> Authorized:
        """The action that may be run here and now for this command.

        The first of its ``parameters`` may be a :class:`~mig_core.agent.operations.executor.Prepared`, to be closed.

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


class Modules(ModuleSet, Protocol):
    """The agent's modules, of which one can be made ready to run."""

    def prepare(self, name: str, raw: object) -> Prepared:
        """As ``parse``; the process that has read the parameters waits."""
        ...


class _Preparing:
    """The modules, for one decision: the process that has read the first operation's parameters stays to run it."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self.first: Prepared | None = None

    def enabled(self, name: str) -> bool:
        return self._modules.enabled(name)

    def parse(self, name: str, raw: object) -> Prepared | None:
        if self.first is None:
            self.first = self._modules.prepare(name, raw)
            return self.first
        self._modules.parse(name, raw)
        return None


class LocalAuthority:
    """The endpoint owner's keyring and ACL decide."""

    def __init__(
        self,
        *,
        trust: Trust,
        facts: FactsHolder,
        journal: Journal,
        modules: Modules,
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
        preparing = _Preparing(self._modules)
        try:
            with self._trust.in_force() as (keyring, acl):
                return authorize(
                    action,
                    keyring=keyring,
                    acl=acl,
                    facts=self._facts.current(),
                    journal=self._journal.view(command, now=now),
                    modules=preparing,
                    now=now,
                )
        except BaseException:
            if preparing.first is not None:
                preparing.first.close()
            raise

    def authorize_cancel(self, cancel: Envelope) -> AuthorizedCancel:
        """See :meth:`Authority.authorize_cancel`."""
        with self._trust.in_force() as (keyring, acl):
            return authorize_cancel(cancel, keyring=keyring, acl=acl)
