"""Investigators: who may log in, and what for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mig_core.api.documents import investigator_document
from mig_core.api.exchange import MAX_SMALL_BODY, Access, Bound, Call, Reply, Route
from mig_core.api.keys import MAX_KEY_BYTES
from mig_core.api.login import MAX_NAME
from mig_core.domain.ids import check_fingerprint
from mig_core.errors import InvalidDocument
from mig_core.store.rows import Investigator, Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from mig_core.api.keys import InvestigatorKeys
    from mig_core.domain.document import Members
    from mig_core.store.base import Investigators

log = logging.getLogger(__name__)


class InvestigatorResources:
    """List, add, show and change."""

    def __init__(self, investigators: Investigators, keys: InvestigatorKeys, *, clock: Callable[[], datetime]) -> None:
        self._investigators = investigators
        self._keys = keys
        self._clock = clock

    def routes(self) -> Iterable[Bound]:
        """What this file answers."""
        one = "/investigators/{fingerprint}"
        yield Bound(
            Route("GET", "/investigators", "All investigators, by name", Permission.READ, response="InvestigatorList"),
            self.list,
        )
        yield Bound(
            Route(
                "POST",
                "/investigators",
                "Adds an investigator",
                Permission.INVESTIGATORS,
                201,
                body=MAX_SMALL_BODY + MAX_KEY_BYTES,
                request="NewInvestigator",
                response="Investigator",
            ),
            self.add,
        )
        yield Bound(
            Route("GET", one, "One investigator", Access.INVESTIGATOR, response="InvestigatorWithKey"), self.show
        )
        yield Bound(
            Route(
                "PATCH",
                one,
                "Enables, disables or changes what an investigator may do",
                Permission.INVESTIGATORS,
                body=MAX_SMALL_BODY,
                request="InvestigatorChange",
                response="Investigator",
            ),
            self.change,
        )

        yield Bound(
            Route(
                "DELETE",
                one,
                "Removes an investigator: sessions end, and what they asked keeps their name",
                Permission.INVESTIGATORS,
                response="Investigator",
            ),
            self.remove,
        )

    async def list(self, call: Call) -> Reply:
        """GET /investigators"""
        rows = await self._investigators.list()
        return Reply({"items": [investigator_document(row) for row in rows], "cursor": ""})

    async def add(self, call: Call) -> Reply:
        """POST /investigators"""
        fields = call.document()
        name = fields.text("name", max_length=MAX_NAME).strip()
        armored = fields.text("publickey", max_length=MAX_KEY_BYTES).encode("utf-8", "replace")
        permissions = _permissions(fields)
        fields.close()
        if not name:
            fields.refuse("name", "must not be empty")
        now = self._clock()
        key = await self._keys.read_key(armored, now)
        row = Investigator(key.fingerprint, name, armored, permissions, True, now)
        await self._investigators.add(row)
        log.info("%s added investigator %s (%s)", call.caller.name, row.name, row.fingerprint)
        return Reply(investigator_document(row))

    async def show(self, call: Call) -> Reply:
        """GET /investigators/{fingerprint}"""
        fingerprint = check_fingerprint(call.path["fingerprint"], subject="request", path="fingerprint")
        row = await self._investigators.get(fingerprint)
        return Reply({**investigator_document(row), "publickey": row.public_key.decode("ascii", "replace")})

    async def change(self, call: Call) -> Reply:
        """PATCH /investigators/{fingerprint}"""
        fingerprint = check_fingerprint(call.path["fingerprint"], subject="request", path="fingerprint")
        fields = call.document()
        active = fields.boolean("active") if fields.has("active") else None
        permissions = _permissions(fields) if fields.has("permissions") else None
        fields.close()
        if active is None and permissions is None:
            raise InvalidDocument("request", "must have `active`, `permissions` or both")
        row = await self._investigators.change(fingerprint, active=active, permissions=permissions)
        log.info(
            "%s changed investigator %s (%s): active %s, permissions %s",
            call.caller.name,
            row.name,
            row.fingerprint,
            row.active,
            ",".join(sorted(row.permissions)),
        )
        return Reply(investigator_document(row))

    async def remove(self, call: Call) -> Reply:
        """DELETE /investigators/{fingerprint}"""
        fingerprint = check_fingerprint(call.path["fingerprint"], subject="request", path="fingerprint")
        row = await self._investigators.remove(fingerprint, self._clock())
        log.info("%s removed investigator %s (%s)", call.caller.name, row.name, row.fingerprint)
        return Reply(investigator_document(row))


def _permissions(fields: Members) -> frozenset[Permission]:
    known = {one.value: one for one in Permission}
    words = fields.texts("permissions", maximum=len(known), max_length=40)
    for index, word in enumerate(words):
        if word not in known:
            fields.refuse(f"permissions[{index}]", f"must be one of {', '.join(known)}, got {word!r}")
    return frozenset(known[word] for word in words)
