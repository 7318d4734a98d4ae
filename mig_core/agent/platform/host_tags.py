"""Tags that the host gives: one from each file in a folder, and some that cloud-init left there of the cloud's.

Read anew when they change. A file that somebody else could write gives nothing, and is said: tags decide which
questions an agent takes. Beneath the tags of the settings, above those of the enrolment.
"""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING

from mig_core.domain.document import load
from mig_core.errors import InvalidDocument
from mig_core.renewal import WatchedFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mig_core.domain.document import JSON

log = logging.getLogger(__name__)

MAX_TAGS = 100
MAX_VALUE = 1024
MAX_CLOUD_BYTES = 4 << 20
PROBLEM = "tags"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class HostTags:
    """The tags as the files are. Thread-safe.

    Args:
        folder: of files, each named as its tag, its first line the value.
        cloud: tag -> where it stands in what cloud-init leaves, like ``v1.region``.
        cloud_file: what cloud-init leaves.
        fault: says who else could write a file; empty: nobody.
    """

    def __init__(self, folder: Path, cloud: Mapping[str, str], cloud_file: Path, fault: Callable[[Path], str]) -> None:
        self._folder = folder
        self._cloud = cloud
        self._cloud_file = cloud_file
        self._fault = fault
        self._lock = threading.Lock()
        self._watched = WatchedFiles(self._paths)
        self._tags, self._problem = self._read()

    def tags(self) -> Mapping[str, str]:
        """As last read."""
        with self._lock:
            return self._tags

    def problems(self) -> Mapping[str, str]:
        """Why some are not there."""
        with self._lock:
            return {PROBLEM: self._problem} if self._problem else {}

    def look(self, *, at_once: bool) -> bool:
        """Reads them anew if the files changed; returns whether they, or what is wrong with them, are others now."""
        if not self._watched.changed(at_once=at_once):
            return False
        tags, problem = self._read()
        with self._lock:
            changed = (tags, problem) != (self._tags, self._problem)
            self._tags, self._problem = tags, problem
        if changed:
            log.info("the tags of this host are read anew: %s", ", ".join(sorted(tags)) or "none")
        return changed

    def _paths(self) -> Iterator[Path]:
        yield from (self._folder, *self._files())
        if self._cloud:
            yield self._cloud_file

    def _files(self) -> list[Path]:
        try:
            return sorted(one for one in self._folder.iterdir() if _NAME.fullmatch(one.name))
        except OSError:
            return []

    def _read(self) -> tuple[dict[str, str], str]:
        tags: dict[str, str] = {}
        problems: list[str] = []
        if self._cloud:
            try:
                tags |= self._of_cloud(problems)
            except (OSError, InvalidDocument) as error:
                problems.append(f"{self._cloud_file}: {error}")
        for path in self._files():
            if len(tags) >= MAX_TAGS:
                problems.append(f"{self._folder}: more than {MAX_TAGS} tags; the others are left out")
                break
            try:
                if fault := self._fault(path):
                    problems.append(fault)
                    continue
                with path.open(encoding="utf-8") as file:
                    value = file.readline(MAX_VALUE + 1).removesuffix("\n")
                if len(value) > MAX_VALUE:
                    problems.append(f"{path}: its first line is longer than {MAX_VALUE} characters")
                    continue
                tags[path.name] = value.strip().replace("\x00", "")
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{path}: {error}")
        for problem in problems:
            log.warning("a tag of this host is not used: %s", problem)
        return tags, "; ".join(problems)[:1000]

    def _of_cloud(self, problems: list[str]) -> dict[str, str]:
        """Nothing while cloud-init has not left its file yet."""
        try:
            with self._cloud_file.open("rb") as file:
                document = load(file.read(MAX_CLOUD_BYTES + 1), subject="cloud-init", max_bytes=MAX_CLOUD_BYTES)
        except FileNotFoundError:
            return {}
        if fault := self._fault(self._cloud_file):
            raise InvalidDocument("cloud-init", fault)
        found = {}
        for tag, place in self._cloud.items():
            value = _at(document, place)
            if not isinstance(value, str | int | bool):
                continue
            if len(str(value)) > MAX_VALUE:
                problems.append(f"{self._cloud_file}: {place} is longer than {MAX_VALUE} characters")
            else:
                found[tag] = str(value).replace("\x00", "")
        return found


def _at(document: JSON, place: str) -> JSON:
    value = document
    for name in place.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
