"""What installed distributions register, read from their metadata's files without :mod:`importlib.metadata`.

That module costs 25 ms, which one module's run need not pay. :mod:`mig_core.plugin.manager` is the long way round.
"""

from __future__ import annotations

import importlib
import os
import sys


def registered(group: str, name: str) -> list[str]:
    """What the installed distributions register as ``name``: their entry points' values, read as a file each.

    Looks where :mod:`importlib.metadata` looks, distributions in archives excepted; of a distribution that is found
    twice the first counts.
    """
    values = []
    seen = set()
    for folder in sys.path:
        for entry in _listed(folder):
            if not entry.endswith((".dist-info", ".egg-info")):
                continue
            project = entry.rpartition(".")[0].partition("-")[0].lower().replace("-", "_").replace(".", "_")
            if project not in seen:
                seen.add(project)
                values += _values(_text(os.path.join(folder, entry, "entry_points.txt")), group, name)
    return values


def _listed(folder: str) -> list[str]:
    """The entries of a folder of ``sys.path``, where it is one; "" is the present one."""
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _values(text: str, group: str, name: str) -> list[str]:
    """The values of a name in a group of an ``entry_points.txt``."""
    values: list[str] = []
    if f"[{group}]" not in text:
        return values
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == group and not line.startswith("#"):
            key, equals, value = line.partition("=")
            if equals and key.strip() == name:
                values.append(value.strip())
    return values


def named(target: str) -> object:
    """Imports what ``package.module:Name [extras]`` names."""
    module, _, attribute = target.partition("[")[0].strip().partition(":")
    found: object = importlib.import_module(module.strip())
    for part in filter(None, attribute.strip().split(".")):
        found = getattr(found, part)
    return found
