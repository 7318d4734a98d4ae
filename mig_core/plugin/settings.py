"""The settings of a persistent module: its table of the agent's configuration, declared as parameters are.

One declaration gives checks, limits, hints at misspelt keys and errors that name the key's path::

    DECLARED = Parameters(setting("method", "how changes are seen", choices=("auto", "inotify")))

    Settings(**read_table(DECLARED, config, path="persistent.mine").given_values())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.errors import ConfigurationError, ParameterError
from mig_core.plugin.parameters import MAX_VALUES, Kind, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mig_core.domain.document import JSON
    from mig_core.plugin.parameters import Parameters, Values


def setting(
    key: str,
    meaning: str,
    *,
    required: bool = False,
    check: Callable[[str], object] | None = None,
    choices: tuple[str, ...] = (),
    max_length: int = 4096,
) -> Parameter:
    """A text.

    Args:
        key: in the table.
        meaning: what it does, for manuals and help.
        required: whether the table must have it.
        check: raises ValueError with the problem.
        choices: the only texts there may be; empty: any.
        max_length: most characters.
    """
    return Parameter(
        name=key, key=key, help=meaning, required=required, check=check, choices=choices, max_length=max_length
    )


def texts(
    key: str,
    meaning: str,
    *,
    check: Callable[[str], object] | None = None,
    most: int = MAX_VALUES,
    max_length: int = 4096,
) -> Parameter:
    """A list of texts: at most ``most``. ``check`` is of each."""
    return Parameter(name=key, key=key, help=meaning, many=True, most=most, check=check, max_length=max_length)


def number(key: str, meaning: str, minimum: int, maximum: int) -> Parameter:
    """A whole number between limits, which are included."""
    return Parameter(name=key, key=key, help=meaning, kind=Kind.INTEGER, minimum=minimum, maximum=maximum)


def flag(key: str, meaning: str) -> Parameter:
    """True or false."""
    return Parameter(name=key, key=key, help=meaning, kind=Kind.BOOLEAN)


def rooted(text: str) -> None:
    """A check: an absolute path.

    Raises:
        ValueError: it is none; says why.
    """
    if not text.startswith("/"):
        raise ValueError(f"must be an absolute path, got {text!r:.80}")


def read_table(declared: Parameters, table: Mapping[str, JSON], *, path: str) -> Values:
    """The values in a table; pure.

    Args:
        declared: its keys.
        table: as TOML gives it.
        path: of the table in the configuration, for errors; empty: the module's own.

    Raises:
        ConfigurationError: names the key's path.
    """
    seen: dict[str, str] = {}
    for one in table:
        other = seen.setdefault(one.casefold(), one)
        if other != one:  # keys are taken in any case, and one of them would count for nothing
            raise ConfigurationError("", ".".join(filter(None, (path, one))), f"is there as {other} too")
    try:
        return declared.parse(table)
    except ParameterError as error:
        key = ".".join(part for part in (path, error.path) if part)
        raise ConfigurationError("", key, error.problem, next_step=error.next_step) from None
