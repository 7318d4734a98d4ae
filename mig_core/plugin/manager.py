"""Finding and loading what is installed: stevedore finds, pluggy calls. The only file that imports stevedore,
and only where something is loaded: it and ``importlib.metadata`` cost 30 ms, which one module's run need not pay.

Entry-point groups: ``mig.modules`` (name = an operation's word, value = a Module class), ``mig.agent`` and
``mig.server`` (hook implementations), ``mig.cli`` (name = a command's word, value = a typer app).

Metadata are read afresh each time: stevedore's own JSON cache lives where another user of the host may write, which
would make a root agent import what it should not. Names are filtered by the local policy *before* anything is imported.
Two plugins that claim one name are both refused. A plugin that cannot be loaded is reported in ``failures``; the others
go on.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mig_core.errors import ModuleUnknown, PluginError
from mig_core.plugin.module import API_VERSION, Module
from mig_core.plugin.registered import named, registered
from mig_core.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from importlib.metadata import EntryPoint

    import pluggy
    import stevedore

MODULES = "mig.modules"
COMMANDS = "mig.cli"
TOOLS = "mig.assistant"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point and the distribution that brings it; nothing is imported yet."""

    name: str
    group: str
    value: str
    distribution: str
    version: str
    summary: str


def installed(group: str) -> tuple[Found, ...]:
    """Everything registered under a group, by name, without importing it."""
    rows = []
    for point in _entry_points(group):
        metadata = point.dist.metadata if point.dist else None
        name, version, summary = (
            (metadata[key] if metadata and key in metadata else "") for key in ("Name", "Version", "Summary")
        )
        rows.append(Found(point.name, group, point.value, name, version, summary))
    return tuple(sorted(rows, key=lambda row: (row.name, row.distribution)))


class PluginManager:
    """The modules and hooks of one process.

    Args:
        allow: names of modules that may be loaded; empty: all.
        deny: names that may not, whatever ``allow`` says.
    """

    def __init__(self, *, allow: Collection[str] = (), deny: Collection[str] = ()) -> None:
        self._allow = frozenset(allow)
        self._deny = frozenset(deny)
        self._failures: dict[str, str] = {}

    @property
    def failures(self) -> Mapping[str, str]:
        """Entry point's name -> why it could not be loaded."""
        _ = self._modules
        return self._failures

    def names(self) -> tuple[str, ...]:
        """Names of all modules that loaded, sorted."""
        return tuple(sorted(self._modules))

    def module(self, name: str) -> Module[Any]:
        """A loaded module.

        Raises:
            ModuleUnknown: nothing allowed here provides it; the text says whether policy, absence or a failure is the
                cause.
        """
        try:
            return self._modules[name]
        except KeyError:
            pass
        if name in self._failures:
            raise ModuleUnknown(name, f"module {name!r} cannot be loaded: {self._failures[name]}")
        if not self._permitted(name):
            raise ModuleUnknown(name, f"module {name!r} is not allowed by the local policy")
        raise ModuleUnknown(
            name,
            f"module {name!r} is not available",
            next_step=f"install it: pip install mig-plugin-{name}; available: {', '.join(self.names()) or 'none'}",
        )

    def hooks(self, role: str) -> pluggy.HookRelay | None:
        """The hook caller of a role (``agent`` or ``server``), or None when no plugin implements anything for it."""
        implementations = self._load(f"mig.{role}")
        if not implementations:
            return None
        import pluggy

        from mig_core.plugin.hooks import PROJECT, SPECIFICATIONS

        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(SPECIFICATIONS[role])
        for name, loaded in implementations.items():
            try:
                manager.register(loaded() if isinstance(loaded, type) else loaded, name=name)
                manager.check_pending()
            except Exception as error:
                if manager.has_plugin(name):
                    manager.unregister(name=name)
                self._failed(name, f"{type(error).__name__}: {error}")
        return manager.hook

    @cached_property
    def _modules(self) -> dict[str, Module[Any]]:
        """Loaded when first asked for: a process that only calls hooks imports no module."""
        modules = {}
        for name, loaded in self._load(MODULES).items():
            try:
                modules[name] = _instantiate(name, loaded)
            except PluginError as error:
                self._failed(name, error.problem)
        return modules

    def _permitted(self, name: str) -> bool:
        return name not in self._deny and (not self._allow or name in self._allow)

    def _load(self, group: str) -> dict[str, object]:
        """What the plugins of a group give, by name. Nothing is imported that steps 1 and 2 leave out."""
        points = _entry_points(group)
        # 1. Local policy: a module that it does not permit runs no code here.
        if group == MODULES:
            points = [point for point in points if self._permitted(point.name)]
        # 2. Twins: which of two would be taken could be an attacker's choice, so neither is.
        twins = {name for name, count in Counter(point.name for point in points).items() if count > 1}
        for name in sorted(twins):
            owners = sorted(point.dist.name if point.dist else "?" for point in points if point.name == name)
            self._failed(name, f"claimed by more than one distribution: {', '.join(owners)}")
        chosen = [point for point in points if point.name not in twins]
        # 3. The others are imported; one that fails does not keep the next from loading.
        return _import(group, chosen, lambda point, error: self._failed(point.name, f"{type(error).__name__}: {error}"))

    def _failed(self, name: str, problem: str) -> None:
        self._failures[name] = problem
        import logging  # a module that starts does not wait for it

        logging.getLogger(__name__).warning("plugin %s is left out: %s", name, problem)


def load_module(name: str, *, targets: Sequence[str] | None = None) -> Module[Any]:
    """One module by name, without looking at any other.

    Args:
        name: an operation's word.
        targets: what is registered under it, where that is known already; None: read from the metadata.

    Raises:
        ModuleUnknown: nothing installed provides it, or it cannot be loaded.
    """
    found = registered(MODULES, name) if targets is None else targets
    if len(found) == 1:
        with suppress(Exception):  # whatever a plugin's file raises: the long way round says it in its words
            return _instantiate(name, named(found[0]))
    return PluginManager(allow=(name,)).module(name)


def load_command(name: str) -> object:
    """The typer app that a plugin registers as ``mig NAME``.

    Raises:
        PluginError: nothing installed provides it, two distributions do, or it cannot be imported.
    """
    points = [point for point in _entry_points(COMMANDS) if point.name == name]
    if len(points) != 1:
        raise PluginError(name, "is claimed by more than one distribution" if points else "is not installed")
    problems: list[str] = []
    loaded = _import(COMMANDS, points, lambda _, error: problems.append(f"{type(error).__name__}: {error}"))
    if problems:
        raise PluginError(name, f"cannot be imported: {problems[0]}")
    return loaded[name]


def assistant_tools() -> dict[str, Callable[..., object]]:
    """What plugins add to what an assistant can read: name -> function, whose docstring the assistant reads.

    One that cannot be imported, or whose name two claim, is left out.
    """
    points = _entry_points(TOOLS)
    counts = Counter(point.name for point in points)
    chosen = [point for point in points if counts[point.name] == 1]
    loaded = _import(TOOLS, chosen, lambda _point, _error: None)
    return {name: tool for name, tool in loaded.items() if callable(tool)}


def _entry_points(group: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return list(entry_points(group=group))


def _import(
    group: str, points: Iterable[EntryPoint], on_failure: Callable[[EntryPoint, BaseException], object]
) -> dict[str, object]:
    import stevedore

    chosen = list(points)

    class Fresh(stevedore.ExtensionManager[Any]):
        def list_entry_points(self) -> list[EntryPoint]:
            return chosen

    def failed(_: stevedore.ExtensionManager[Any], point: EntryPoint, error: BaseException) -> None:
        on_failure(point, error)

    manager = Fresh(group, on_load_failure_callback=failed)
    return {extension.name: extension.plugin for extension in manager.extensions}


def _instantiate(name: str, loaded: object) -> Module[Any]:
    if not (isinstance(loaded, type) and issubclass(loaded, Module)):
        raise PluginError(name, "its entry point is not a Module class")
    try:
        module = loaded()
    except Exception as error:  # a constructor may raise anything, and an abstract class raises here
        raise PluginError(name, f"cannot be made: {type(error).__name__}: {error}") from error
    info = getattr(module, "info", None)
    if info is None or info.name != name:
        raise PluginError(
            name, f"its info.name is {getattr(info, 'name', None)!r}; it must equal the entry point's name"
        )
    if info.api != API_VERSION:
        raise PluginError(
            name, f"is written for version {info.api} of the module contract, this is version {API_VERSION}"
        )
    return module
