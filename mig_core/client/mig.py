"""Asking a fleet from Python: what ``mig`` does at a terminal, as objects. ``docs/python.md`` walks through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.client.answer_rows import AnswerReader
from mig_core.client.connection import connect
from mig_core.client.question import Question
from mig_core.domain.times import parse_duration
from mig_core.errors import ApiError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path
    from typing import Self

    from mig_core.client.client import MigClient
    from mig_core.client.connection import Connection
    from mig_core.domain.action import Action, Operation
    from mig_core.domain.document import JSON

Document = dict[str, Any]


class Mig:
    """An investigator at one platform. Made by :meth:`connect`; thread-safe.

    Nothing is opened, and no key is used, before it is needed. As a context manager it closes its connections.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reader = AnswerReader()

    @classmethod
    def connect(cls, settings: Path | str | None = None) -> Self:
        """The investigator whom the settings describe.

        Args:
            settings: a file as ``mig config init`` writes it; None: ``$MIG_CONFIG``, else
                ``~/.config/mig/config.toml``.

        Raises:
            ConfigurationError: there is no such file, or it is wrong.
        """
        return cls(connect(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections."""
        self.client.close()

    @property
    def client(self) -> MigClient:
        """Every route of the API, a method each."""
        return self._connection.client

    def ask(
        self,
        module: str,
        parameters: Mapping[str, JSON] | None = None,
        *,
        target: str = "",
        expiry: timedelta | str | None = None,
        action_name: str = "",
        **options: object,
    ) -> Question:
        """Signs a question, sends it, and returns at once; iterate over what it returns for the answers.

        Args:
            module: its name. It must be installed here: it checks the parameters before anything is signed.
            parameters: the operation's whole parameters, for what options cannot say (several searches, say).
            target: an expression, a macro of the settings or ``all``; empty: the settings' target.
            expiry: how long agents may take (``"10m"``); None: the settings' own.
            action_name: what the action is called; empty: as the module.
            options: the module's options as ``mig MODULE --help`` lists them, with ``_`` for ``-``. One that may be
                given repeatedly takes a list; one without a value takes True.

        Raises:
            ModuleUnknown: it is not installed here.
            ParameterError: the module does not take this; names the option.
            TargetError: the target cannot be read; names the position.
            SignatureInvalid: the key cannot sign.
            ApiError: the platform refuses it.
            ApiUnavailable: the platform cannot be reached.
        """
        from mig_core.domain.action import Operation

        return self.ask_operations(
            [Operation(module, _parameters(module, parameters, options))],
            target=target,
            expiry=expiry,
            action_name=action_name,
        )

    def ask_operations(
        self,
        operations: Sequence[Operation],
        *,
        target: str = "",
        expiry: timedelta | str | None = None,
        action_name: str = "",
    ) -> Question:
        """Asks several things at once, in one action. See :meth:`ask`."""
        from mig_core.client.compose import compose_action
        from mig_core.domain.target import parse_target

        settings = self._connection.settings
        return self.ask_action(
            compose_action(
                operations,
                name=action_name,
                target=parse_target(target or settings.target, macros=settings.macros).expanded,
                expiry=parse_duration(expiry) if isinstance(expiry, str) else expiry or settings.expiry,
            )
        )

    def ask_action(self, action: Action) -> Question:
        """Signs and sends an action that was made elsewhere. See :meth:`ask`."""
        from mig_core.domain import envelope as envelopes
        from mig_core.domain.envelope import Envelope

        unsigned = Envelope(envelopes.ACTION, action.to_payload())
        signed = self._connection.signer.sign(unsigned, check=False)
        return Question(self._connection, self._connection.sent(signed), self._reader)

    def results(self, action: str) -> Question:
        """A question that was asked before: its id, the beginning of one, or ``last``.

        Raises:
            ApiError: there is none.
        """
        return Question(self._connection, self.client.action(self.client.action_id(action)), self._reader)

    def questions(self, *, limit: int | None = 100) -> Iterator[Question]:
        """Questions, latest first; None for all of them."""
        return (Question(self._connection, one, self._reader) for one in self.client.actions(limit=limit))

    def agents(self, target: str = "") -> list[Document]:
        """Agents by name, as ``docs/rest-api.md`` describes them; all, or those that a target means.

        Raises:
            TargetError: the target cannot be read; names the position.
        """
        from mig_core.domain.target import parse_target

        macros = self._connection.settings.macros
        return list(self.client.agents(target=parse_target(target, macros=macros).expanded if target else ""))

    def count(self, target: str) -> int:
        """How many agents a target means now."""
        from mig_core.domain.target import parse_target

        macros = self._connection.settings.macros
        answer = self.client.evaluate(parse_target(target, macros=macros).expanded, limit=1)
        if not isinstance(answer.get("count"), int):
            raise ApiError(0, "the API did not say how many agents there are", next_step="is this mig-api?")
        return int(answer["count"])


def _parameters(module: str, raw: Mapping[str, JSON] | None, options: Mapping[str, object]) -> dict[str, JSON]:
    from mig_core.plugin.manager import load_module

    loaded = load_module(module)
    if raw is not None and options:
        raise ParameterError(next(iter(options)), "cannot be given beside parameters", module=module)
    built = dict(raw) if raw is not None else loaded.parameters.from_options(_chosen(module, options))
    try:
        loaded.parse_parameters(built)
    except ParameterError as error:
        raise ParameterError(
            error.path, error.problem, module=module, next_step=error.next_step or f"see: mig {module} --help"
        ) from None
    return built


def _chosen(module: str, options: Mapping[str, object]) -> dict[str, object]:
    """Declared name -> value, or list of values."""
    from difflib import get_close_matches

    from mig_core.plugin.manager import load_module

    declared = load_module(module).parameters
    many = {one.name: one.many for one in declared.members} | {one.name: False for one in declared.switches}
    chosen: dict[str, object] = {}
    for word, value in options.items():
        name = word if word in many else word.rstrip("_").replace("_", "-")
        if name not in many:
            close = get_close_matches(name, many, n=1)
            hint = f"did you mean {close[0].replace('-', '_')}?" if close else f"see: mig {module} --help"
            raise ParameterError(word, "is not an option of it", module=module, next_step=hint)
        if many[name]:
            chosen[name] = [value] if isinstance(value, (str, int)) else list(value) if value is not None else None  # type: ignore[call-overload]  # an iterable, or a TypeError that says so
        else:
            chosen[name] = value
    return chosen
