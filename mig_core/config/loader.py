"""From TOML and environment to a frozen dataclass.

Order: defaults < file < ``MIG_*`` environment < what the command line sets. A settings class is a frozen dataclass
whose fields are texts, numbers, booleans, durations, paths, tuples or maps of texts, or further settings classes;
fields without a default are compulsory. Unknown keys are errors, so that a misspelt setting is never silently the
default.

The environment variable of key ``platform.api`` of role ``agent`` is ``MIG_AGENT_PLATFORM_API``.
"""

from __future__ import annotations

import collections.abc
import tomllib
import types
import typing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast

from mig_core.domain.times import format_duration, parse_duration
from mig_core.errors import ConfigurationError
from mig_core.records import defaults, is_dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S")

MAX_FILE_BYTES = 1 << 20


def load_settings(
    kind: type[S],
    *,
    role: str,
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> S:
    """The settings of one role.

    Args:
        kind: the settings class.
        role: ``agent``, ``api``, ``scheduler`` or ``client``; part of the environment variables' names.
        path: the TOML file, or None for none. It must exist.
        environment: usually ``os.environ``.
        overrides: dotted key -> value as TOML would give it; None values are left out.

    Raises:
        ConfigurationError: names file (or variable) and key.
    """
    tree: dict[str, object] = {} if path is None else _read(path)
    sources: dict[str, str] = {}
    for key, annotation in _leaves(kind):
        variable = f"MIG_{role}_{key}".upper().replace(".", "_")
        if variable in environment:
            _set(tree, key, _from_text(environment[variable], annotation, variable, key))
            sources[key] = variable
    for key, value in (overrides or {}).items():
        if value is not None:
            _set(tree, key, value)
            sources[key] = "command line"
    return cast("S", _build(kind, tree, "", path.name if path else role, sources))


def _read(path: Path) -> dict[str, object]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(path), "", f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigurationError(str(path), "", f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(str(path), "", f"is not TOML: {error}") from error


def _hints(kind: type[object]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _leaves(kind: type[object], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, annotation in _hints(kind).items():
        inner = _optional(annotation)
        if is_dataclass(inner):
            leaves += _leaves(cast("type[object]", inner), f"{prefix}{name}.")
        else:
            leaves.append((prefix + name, annotation))
    return leaves


def _set(tree: dict[str, object], key: str, value: object) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        tree = cast("dict[str, object]", tree.setdefault(parent, {}))
    tree[last] = value


def _from_text(text: str, annotation: Any, variable: str, key: str) -> object:
    inner = _optional(annotation)
    if inner is bool:
        if text.lower() in ("true", "1", "yes"):
            return True
        if text.lower() in ("false", "0", "no", ""):
            return False
        raise ConfigurationError(variable, key, f"must be true or false, got {text!r:.60}")
    if inner is int:
        try:
            return int(text)
        except ValueError:
            raise ConfigurationError(variable, key, f"must be a whole number, got {text!r:.60}") from None
    if typing.get_origin(inner) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if _is_map(inner):
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return {name.strip(): value.strip() for name, _, value in pairs}
    return text


def _build(kind: type[object], tree: object, prefix: str, source: str, sources: Mapping[str, str]) -> object:
    if not isinstance(tree, dict):
        raise ConfigurationError(source, prefix.rstrip("."), "must be a table")
    hints = _hints(kind)
    for key in tree:
        if key not in hints:
            from difflib import get_close_matches  # only for errors

            close = get_close_matches(key, hints, n=1)
            next_step = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(hints)}"
            raise ConfigurationError(source, prefix + key, "is not a known key", next_step=next_step)
    built: dict[str, object] = {}
    for name, may_be_missing in defaults(kind).items():
        path = prefix + name
        annotation = hints[name]
        inner = _optional(annotation)
        if is_dataclass(inner):
            if name in tree or annotation is inner:
                built[name] = _build(cast("type[object]", inner), tree.get(name, {}), path + ".", source, sources)
        elif name in tree:
            built[name] = _convert(tree[name], inner, path, sources.get(path, source))
        elif not may_be_missing:
            raise ConfigurationError(source, path, "is missing", next_step=f"add it; it means: {path}")
    try:
        return kind(**built)
    except ValueError as error:
        raise ConfigurationError(source, prefix.rstrip("."), str(error)) from error


def _convert(value: object, kind: Any, path: str, source: str) -> object:
    try:
        if kind is timedelta:
            return parse_duration(value)
        if kind is Path:
            return _path(value)
        if typing.get_origin(kind) is tuple:
            return _texts(value)
        if _is_map(kind):
            return _table(value, texts=typing.get_args(kind)[1] is str)
        return _scalar(value, kind)
    except ValueError as error:
        raise ConfigurationError(source, path, str(error)) from None


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a path, got {value!r:.60}")
    return Path(value).expanduser()


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError("must be a list of texts")
    return tuple(value)


def _table(value: object, *, texts: bool) -> dict[str, object]:
    """A table; if it is not one of texts, whoever uses it looks at what is in it."""
    if not isinstance(value, dict) or (texts and not all(isinstance(entry, str) for entry in value.values())):
        raise ValueError("must be a table of texts" if texts else "must be a table")
    return dict(value)


def _scalar(value: object, kind: type) -> object:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
        raise ValueError(f"must be {words.get(kind, kind.__name__)}, got {value!r:.60}")
    return value


def _optional(annotation: Any) -> Any:
    """``X`` for ``X | None``, everything else unchanged."""
    if typing.get_origin(annotation) in (Union, types.UnionType):
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        if len(rest) == 1:
            return rest[0]
    return annotation


def _is_map(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)


def named_files(settings: object) -> list[Path]:
    """The files that settings name, by keys that end with ``_file``: what a program that begins again looks at."""
    import dataclasses  # a client has no use for this, and starts often

    found: list[Path] = []
    for one in dataclasses.fields(cast("Any", settings)):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            found += named_files(value)
        elif isinstance(value, Path) and one.name.endswith("_file"):
            found.append(value)
    return found


def describe(kind: type[object], prefix: str = "") -> list[tuple[str, str, str]]:
    """Dotted key, type and default (as in TOML) of every setting; the documentation is checked against it."""
    import dataclasses  # as above

    rows: list[tuple[str, str, str]] = []
    hints = _hints(kind)
    for one in dataclasses.fields(cast("Any", kind)):
        inner = _optional(hints[one.name])
        if is_dataclass(inner):
            rows += describe(cast("type[object]", inner), f"{prefix}{one.name}.")
            continue
        word = "duration" if inner is timedelta else getattr(inner, "__name__", str(inner)).lower()
        if one.default is not dataclasses.MISSING:
            default = format_duration(one.default) if isinstance(one.default, timedelta) else str(one.default)
        else:
            default = "" if one.default_factory is not dataclasses.MISSING else "(compulsory)"
        rows.append((prefix + one.name, word, default))
    return rows
