"""The paths of the searches, each explored once for all searches that name it. Used by ``module``."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mig_endpoint import coverage
from mig_endpoint.files import roots
from mig_endpoint.files.crossings import Crossings
from mig_endpoint.files.filesystems import FileSystems
from mig_endpoint.files.globs import Globs, is_pattern
from mig_endpoint.files.naming import PathText
from mig_endpoint.finding import reasons

_Key = tuple[str, bool, bool]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mig_core.plugin.coverage import Tally
    from mig_endpoint.finding.evaluation import Evaluation
    from mig_endpoint.finding.search import Search


def explore(searches: Sequence[Search], evaluation: Evaluation, tally: Tally, remaining: Callable[[], float]) -> None:
    """Goes through all paths, in the order of their text. ``remaining``: seconds until the deadline."""
    crossings = Crossings(remaining)
    try:
        own = {id(run.search) for run in evaluation.runs for slot in run.slots if slot.may_ask}
        wanted = _once(_wanted(searches, Globs(tally, crossings, evaluation.stopped), tally), own, crossings)
        for key in sorted(wanted):
            path, one_file_system, local_only = key
            if evaluation.stopped():
                tally.skip(evaluation.why_not(1) or coverage.TIME, PathText(path))
                continue
            evaluation.focus(wanted[key])
            file_systems = None
            if one_file_system or local_only:
                file_systems = FileSystems(crossings.mounts, one=one_file_system, local=local_only)
            roots.explore(path, evaluation, tally, crossings, file_systems)
            evaluation.catch_up()
    finally:
        crossings.close()


def _once(wanted: dict[_Key, list[Search]], own: set[int], crossings: Crossings) -> dict[_Key, list[Search]]:
    """Without paths that are links into others: ``/bin`` beside ``/usr``. What is found is told by its own path.

    ``own``: ids of searches that may ask for the link itself.
    """
    kept = dict(wanted)
    for (path, one, local), searches in wanted.items():
        if any(search.options.maxdepth or id(search) in own for search in searches):
            continue
        try:
            calls = crossings.for_path(path)
            if not stat.S_ISLNK(calls.stat(path, follow_symlinks=False).st_mode):
                continue
            target = calls.call(os.path.realpath, path)
        except OSError:
            continue
        while target != os.path.dirname(target):
            others = kept.get((target, one, local), ())
            if target != path and set(map(id, searches)) <= set(map(id, others)):
                del kept[path, one, local]
                break
            target = os.path.dirname(target)
    return kept


def _wanted(searches: Sequence[Search], globs: Globs, tally: Tally) -> dict[_Key, list[Search]]:
    """Which searches name a path, by path and mounts to leave out; each pattern is expanded once."""
    wanted: dict[_Key, list[Search]] = {}
    expanded: dict[str, list[str]] = {}
    for one in searches:
        found: dict[str, None] = {}
        for path in one.paths:
            if one.as_original:
                found[path] = None
                if is_pattern(path):
                    tally.skip(reasons.NOT_EXPANDED, PathText(path))
                continue
            if path not in expanded:
                expanded[path] = globs.expand(path)
            found.update(dict.fromkeys(expanded[path]))
        for path in found:
            wanted.setdefault((path, one.options.onefilesystem, one.options.localonly), []).append(one)
    return wanted
