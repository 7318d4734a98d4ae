"""Keeps the packages that match, in the order of the answer. Fed by ``module`` with every package of every source."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mig_pkg import patterns, reasons
from mig_pkg.condition import Condition

if TYPE_CHECKING:
    from mig_core.domain.document import JSON
    from mig_core.plugin.coverage import Tally
    from mig_pkg.package import Package
    from mig_pkg.request import Request

MAX_ANSWER_BYTES = 24 << 20
"""About how large the rows may become as JSON: what the platform accepts, with room for the rest."""
_ROW_BYTES = 160
"""Bytes of a row besides its texts, about."""


class Selection:
    """The rows of an answer: for each name expression the packages that no earlier one matched, type by type."""

    def __init__(self, request: Request, tally: Tally) -> None:
        """Compiles the request's expressions."""
        self._names = [patterns.compile_pattern(one) for one in request.names]
        self._condition = Condition(request.version)
        self._rows: list[dict[str, list[Package]]] = [{kind: [] for kind in request.types} for _ in request.names]
        self._by_source = request.by_source
        self._tally = tally
        self._room = MAX_ANSWER_BYTES

    def offer(self, package: Package) -> None:
        """Looks at a package and keeps it if a name expression matches, and the version does."""
        self._tally.examined("packages")
        self._tally.examined(package.type)
        source = package.source if self._by_source else ""
        for place, matches in enumerate(self._names):
            if (
                not matches(package.name)
                and (package.plain == package.name or not matches(package.plain))
                and not (source and matches(source))
            ):
                continue
            try:
                if self._condition.accepts(package.of_source() if self._by_source else package):
                    self._keep(place, package)
            except ValueError:
                self._tally.skip(reasons.NO_ORDER, f"{package.name} {package.version}")
            return

    def _keep(self, place: int, package: Package) -> None:
        size = _ROW_BYTES + 2 * len(package.name) + 2 * len(package.version) + len(package.source) + len(package.path)
        if size > self._room:
            self._tally.skip(reasons.FULL, package.name)
            return
        self._room -= size
        self._rows[place][package.type].append(package)

    @property
    def found(self) -> bool:
        """Whether anything matched."""
        return any(found for kinds in self._rows for found in kinds.values())

    def elements(self) -> dict[str, JSON]:
        """The answer's elements."""
        rows = [package.row() for kinds in self._rows for found in kinds.values() for package in found]
        return {"packages": cast("list[JSON]", rows)}
