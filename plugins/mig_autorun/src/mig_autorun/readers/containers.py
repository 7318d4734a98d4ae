"""Containers that start with their engine, and programs that engines call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mig_autorun.commands import word_runs
from mig_autorun.readers.reading import Look, entry_of, lines, with_programs
from mig_autorun.systemd.unit_file import settings
from mig_core.plugin.coverage import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_autorun.entry import Entry
    from mig_autorun.finding import Found

DAMAGED = Reason("file of an engine that is not understood")
RESTARTS = frozenset({"always", "unless-stopped", "on-failure"})


def _json(found: Found, look: Look) -> dict[str, Any]:
    try:
        value = json.loads(look.system.text(found.file))
    except (ValueError, RecursionError):
        look.system.tally.skip(DAMAGED, found.file.path)
        return {}
    return value if isinstance(value, dict) else {}


def _at(value: object, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def docker(found: Found, look: Look) -> Iterator[Entry]:
    """A container of Docker: image, command and restart policy, which lie in two files side by side."""
    if found.file.name != "config.v2.json":
        return
    values = _json(found, look)
    if not values:
        return
    host = look.system.at(f"{found.file.path.rpartition('/')[0]}/hostconfig.json")
    policy: str | None = None
    privileged = ""
    if host is not None:
        try:
            settings_of = json.loads(look.system.text(host))
        except (ValueError, RecursionError):
            look.system.tally.skip(DAMAGED, host.path)
        else:
            policy = _text(_at(settings_of, "RestartPolicy", "Name")) or "no"
            privileged = "privileged" if _at(settings_of, "Privileged") is True else ""
    path, arguments = _text(values.get("Path")), values.get("Args")
    words = [path, *(one for one in arguments if isinstance(one, str))] if isinstance(arguments, list) else [path]
    state = "running" if _at(values, "State", "Running") is True else "stopped"
    one = entry_of(
        found, _text(values.get("Name")).lstrip("/") or _text(values.get("ID"))[:12], key="restart",
        command=" ".join(words).strip(), user=_text(_at(values, "Config", "User")) or "root",
        when=f"restart={policy}" if policy is not None else "", state=state,
    )  # fmt: skip
    one.enabled = None if policy is None else policy in RESTARTS
    image = _text(_at(values, "Config", "Image"))
    one.notes += [note for note in (f"image {image}" if image else "", privileged) if note]
    yield one


def docker_daemon(found: Found, look: Look) -> Iterator[Entry]:
    """daemon.json: runtimes and an init that the daemon calls."""
    values = _json(found, look)
    runtimes = values.get("runtimes")
    for name, runtime in runtimes.items() if isinstance(runtimes, dict) else ():
        path = _text(_at(runtime, "path"))
        if path:
            yield from with_programs(look, entry_of(found, str(name), key="runtimes", command=path), word_runs([path]))
    if init := _text(values.get("init-path")):
        yield from with_programs(look, entry_of(found, key="init-path", command=init), word_runs([init]))


def podman(found: Found, look: Look) -> Iterator[Entry]:
    """A container of Podman, and hooks of container runtimes (oci-hooks(5))."""
    if found.file.is_directory:
        return
    values = _json(found, look)
    if "/hooks.d/" in found.file.path:
        path = _text(_at(values, "hook", "path"))
        if path:
            yield from with_programs(look, entry_of(found, key="hook", command=path), word_runs([path]))
        return
    annotations = values.get("annotations")
    arguments = _at(values, "process", "args")
    words = [one for one in arguments if isinstance(one, str)] if isinstance(arguments, list) else []
    one = entry_of(found, found.file.path.split("/")[-3][:12], key="restart", command=" ".join(words))
    policy = _text(_at(annotations, "io.podman.annotations.restart-policy"))
    one.enabled = policy in RESTARTS if policy else None
    one.when = f"restart={policy}" if policy else ""
    yield one


def lxc(found: Found, look: Look) -> Iterator[Entry]:
    """lxc.container.conf(5): hooks, and whether it starts at boot."""
    values = [
        (number, key.strip(), value.strip())
        for number, line in lines(look, found)
        for key, _, value in [line.partition("=")]
    ]
    starts = any(key == "lxc.start.auto" and value == "1" for _, key, value in values)
    name = found.file.path.split("/")[-2]
    yield entry_of(found, name, key="lxc.start.auto", enabled=starts, state="" if starts else "not started at boot")
    for number, key, value in values:
        if key.startswith(("lxc.hook.", "lxc.init.cmd")):
            one = entry_of(found, name, line=number, key=key, command=value)
            yield from with_programs(look, one)


def quadlet(found: Found, look: Look) -> Iterator[Entry]:
    """podman-systemd.unit(5): a container as a unit; started where its Install section says so."""
    if found.file.is_directory:
        return
    values = list(settings(look.system.text(found.file), found.file.path))
    wanted = [one.value for one in values if one.section == "Install" and one.key in ("WantedBy", "RequiredBy")]
    image = next((one.value for one in values if one.key == "Image"), "")
    command = next((one.value for one in values if one.key == "Exec"), "")
    state = found.state or ("" if wanted else "no target wants it")
    yield entry_of(
        found, key="quadlet", command=command, state=state, enabled=not state, started_by=tuple(wanted),
        notes=[f"image {image}"] if image else [],
    )  # fmt: skip
