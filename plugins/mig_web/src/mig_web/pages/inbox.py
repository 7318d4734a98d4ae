"""Inbox: what waits for a signature of one's own, actions and proposals; each is shown as it is to be signed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import falcon

from mig_core.client.compose import compose_proposal
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import read_action
from mig_core.domain.document import dump
from mig_core.domain.envelope import MAX_ACTION_BYTES, Envelope, envelope_from_json
from mig_core.domain.proposal import read_proposal
from mig_core.errors import ApiError, Conflict, InvalidDocument
from mig_web.pages.exchange import form_of, go
from mig_web.signing import signing_view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from falcon.asgi import Request, Response

    from mig_core.domain.proposal import Proposal
    from mig_web.pages.exchange import Page
    from mig_web.site import Site

MOST = 200
"""Entries of each kind that are shown."""


def routes(page: Page) -> Iterable[tuple[str, object]]:
    """Addresses of this file."""
    yield "/inbox", Inbox(page)
    yield "/inbox/actions/{action}", WaitingAction(page)
    yield "/inbox/proposals/{proposal}", WaitingProposal(page)
    yield "/inbox/proposals/{proposal}/reject", RejectedProposal(page)


class _InboxPage:
    def __init__(self, page: Page) -> None:
        self._page = page


class Inbox(_InboxPage):
    """``/inbox``: actions that lack signatures, and open proposals."""

    async def on_get(self, request: Request, response: Response) -> None:
        """The lists; what I have signed already is apart."""
        site = self._page.site
        actions, proposals = await asyncio.gather(
            site.call(lambda: list(site.client.actions(states=["pending"], limit=MOST))),
            site.call(lambda: list(site.client.proposals(states=["open"], limit=MOST))),
        )
        own = site.connection.settings.fingerprint
        self._page.show(
            response,
            "inbox.html",
            mine=[one for one in actions if own not in one["signers"]],
            others=[one for one in actions if own in one["signers"]],
            proposals=proposals,
            most=MOST,
        )


class WaitingAction(_InboxPage):
    """``/inbox/actions/ACTION``: one action that lacks signatures."""

    async def on_get(self, request: Request, response: Response, action: str) -> None:
        """What would be signed, out of the very bytes."""
        site = self._page.site
        found, envelope = await site.call(_stored, site, action)
        self._page.show(
            response,
            "inbox_action.html",
            action=found,
            view=await signing_view(site, envelope),
            own=site.connection.settings.fingerprint,
        )

    async def on_post(self, request: Request, response: Response, action: str) -> None:
        """Signs what was shown, if it still is what is there."""
        site = self._page.site
        shown = (await form_of(request)).get("digest", [""])[-1]

        def sign() -> None:
            found, envelope = _stored(site, action)
            digest = hashlib.sha256(envelope.signed_bytes()).hexdigest()
            if not hmac.compare_digest(digest.encode(), shown.encode()):
                raise Conflict("this is not what was shown: nothing was signed", next_step="look at it again")
            site.client.add_signature(found["id"], site.sign(envelope).signatures[-1])

        await site.call(sign)
        go(response, f"/actions/{action}")


class WaitingProposal(_InboxPage):
    """``/inbox/proposals/PROPOSAL``: a question that somebody proposes."""

    async def on_get(self, request: Request, response: Response, proposal: str) -> None:
        """What would be signed and asked, and who proposes it and why."""
        site = self._page.site
        found = await site.call(site.client.proposal, proposal)
        composed = Envelope(envelopes.ACTION, compose_proposal(_read(found)).to_payload())
        self._page.show(
            response,
            "inbox_proposal.html",
            found=found,
            view=await signing_view(site, composed),
            payload=base64.b64encode(composed.payload).decode("ascii"),
        )

    async def on_post(self, request: Request, response: Response, proposal: str) -> None:
        """Signs the very bytes that were shown, and asks them."""
        site = self._page.site
        payload = _payload((await form_of(request)).get("payload", [""])[-1])

        def sign_and_ask() -> str:
            found = site.client.proposal(proposal)
            if found["state"] != "open":
                raise Conflict(f"it was {found['state']} already, by {found['decidedby']}: nothing was signed")
            asked = read_action(payload)
            if not _read(found).is_asked_by(asked):
                raise Conflict("this is not what is proposed: nothing was signed", next_step="look at it again")
            try:
                site.client.create_action(site.sign(Envelope(envelopes.ACTION, payload)))
            except ApiError as error:
                if error.status != HTTPStatus.CONFLICT:
                    raise  # else it was asked before, and the proposal does not know it yet
            site.client.proposal_signed(found["id"], str(asked.id))
            return str(asked.id)

        go(response, f"/actions/{await site.call(sign_and_ask)}")


class RejectedProposal(_InboxPage):
    """``/inbox/proposals/PROPOSAL/reject``: says no, and why."""

    async def on_post(self, request: Request, response: Response, proposal: str) -> None:
        """Rejects it; whoever proposed it can read the reason."""
        site = self._page.site
        reason = (await form_of(request)).get("reason", [""])[-1].strip()
        await site.call(site.client.reject_proposal, proposal, reason)
        go(response, "/inbox")


def _stored(site: Site, action: str) -> tuple[dict[str, Any], Envelope]:
    """An action's document, and its envelope as it is to be signed. Waits for the platform.

    Raises:
        InvalidDocument: the platform gave the envelope of another action.
    """
    found = site.client.action(site.client.action_id(action))
    envelope = envelope_from_json(found["envelope"], expected_type=envelopes.ACTION)
    if read_action(envelope.payload).id != found["id"]:
        raise InvalidDocument(
            "envelope", "is of another action than was asked for", next_step="do not sign it; tell who runs mig-api"
        )
    return found, envelope


def _read(found: dict[str, Any]) -> Proposal:
    return read_proposal(dump(found["proposal"]))


def _payload(text: str) -> bytes:
    try:
        payload = base64.b64decode(text, validate=True)
    except binascii.Error:
        payload = b""
    if not 0 < len(payload) <= MAX_ACTION_BYTES:
        raise falcon.HTTPBadRequest(title="Nothing", description="nothing was signed: look at it again")
    return payload
