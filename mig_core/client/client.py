"""Everything an investigator can do at mig-api, a method each.

Documents are dictionaries as ``docs/rest-api.md`` describes them. All methods may raise ``ApiError`` (the API said no)
and ``ApiUnavailable``; both say what to do next. The first call that needs it logs in.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from mig_core.client.calls import Calls, Document, part
from mig_core.client.follow import follow_events
from mig_core.client.pages import whole_pages
from mig_core.client.references import find_action, find_agent
from mig_core.domain.action import MAX_OPERATIONS
from mig_core.domain.document import dump, load, members
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_core.records import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mig_core.client.follow import Event
    from mig_core.domain.document import JSON
    from mig_core.domain.envelope import Envelope, Signature
    from mig_core.domain.proposal import Proposal
    from mig_core.domain.reading.reading import DiffWish, RowsWish, StackWish

MOST_RETIRED_AT_ONCE = 500


class MigClient(Calls):
    """One investigator at one API; a method each for what can be asked."""

    # -- sessions and investigators

    def log_in(self) -> None:
        """Logs in, unless there is a session already. Other methods do it by themselves."""
        self._session.token()

    def log_out(self, *, everywhere: bool = False) -> bool:
        """Ends the session, or all of this investigator's; returns whether there was one here."""
        return self._session.end(everywhere=everywhere)

    def bootstrap(self, secret: str, name: str, public_key: bytes) -> Document:
        """Registers the first investigator of a fresh platform, with the secret of mig-api's state directory."""
        body = {"secret": secret.strip(), "name": name, "publickey": public_key.decode("ascii", "replace")}
        return self._document(self._transport.request("POST", "/bootstrap", body=dump({**body})))

    def investigators(self) -> list[Document]:
        """All investigators, by name."""
        return list(self._pages("/investigators", {}, None))

    def investigator(self, fingerprint: str) -> Document:
        """One investigator."""
        return self._get(f"/investigators/{part(fingerprint)}")

    def add_investigator(self, name: str, public_key: bytes, permissions: Sequence[str]) -> Document:
        """Adds an investigator."""
        key = public_key.decode("ascii", "replace")
        return self._post("/investigators", {"name": name, "publickey": key, "permissions": [*permissions]})

    def change_investigator(
        self, fingerprint: str, *, active: bool | None = None, permissions: Sequence[str] | None = None
    ) -> Document:
        """Changes what is given. Disabling ends all sessions at once."""
        change: dict[str, JSON] = {}
        if active is not None:
            change["active"] = active
        if permissions is not None:
            change["permissions"] = [*permissions]
        return self._document(self._call("PATCH", f"/investigators/{part(fingerprint)}", dump(change)))

    def remove_investigator(self, fingerprint: str) -> Document:
        """Removes an investigator; what they asked keeps their name."""
        return self._document(self._call("DELETE", f"/investigators/{part(fingerprint)}", None))

    # -- actions

    def create_action(self, envelope: Envelope) -> Document:
        """Sends a signed action."""
        return self._document(self._call("POST", "/actions", envelope.to_bytes()))

    def action(self, action: str) -> Document:
        """One action, with its ``envelope``."""
        return self._get(f"/actions/{part(action)}")

    def actions(
        self,
        *,
        states: Sequence[str] = (),
        name: str = "",
        creator: str = "",
        prefix: str = "",
        limit: int | None = None,
    ) -> Iterator[Document]:
        """Actions, latest first; at most ``limit`` of them. ``prefix``: of the id."""
        query = {"state": [*states], "name": name, "creator": creator, "id": prefix}
        return self._pages("/actions", query, limit)

    def action_page(
        self, *, states: Sequence[str] = (), name: str = "", creator: str = "", cursor: str = "", limit: int = 50
    ) -> Document:
        """One page of :meth:`actions`: ``items``, and the ``cursor`` of the next one."""
        query = {"state": [*states], "name": name, "creator": creator, "cursor": cursor, "limit": limit}
        return self._page("/actions", query)

    def action_id(self, text: str) -> str:
        """The id of an action that is given by its id, the beginning of it, ``last`` or ``-2``.

        ``last`` is the latest that this investigator asked, ``-2`` (also ``last-1``) the one before it.

        Raises:
            ApiError: there is none, or there are several.
        """
        return find_action(self, self._fingerprint, text)

    def add_signature(self, action: str, signature: Signature) -> Document:
        """Adds a signature to a pending action; it covers the stored envelope's bytes."""
        one = _carried(signature)
        return self._post(f"/actions/{part(action)}/signatures", one)

    def cancel(self, action: str, envelope: Envelope) -> Document:
        """Sends a signed cancel."""
        return self._document(self._call("POST", f"/actions/{part(action)}/cancel", envelope.to_bytes()))

    def weights(self, envelope: Envelope, fingerprint: str) -> list[str]:
        """What the platform's copy of the ACL says about an action that is not signed yet: a line for each module."""
        payload = members(load(envelope.payload, subject="action", max_bytes=MAX_ACTION_BYTES), subject="action")
        operations = payload.objects("operations", minimum=1, maximum=MAX_OPERATIONS)
        modules: list[JSON] = [one.text("module", max_length=32) for one in operations]
        answer = self._post("/weights", {"modules": modules, "signers": [fingerprint]})
        return [
            f"module {one['module']} needs weight {one['minimum']}, has {one['have']} with your signature"
            for one in answer["weights"]
        ]

    # -- proposals

    def propose(self, proposal: Proposal) -> Document:
        """Proposes a question, for somebody else to sign."""
        return self._document(self._call("POST", "/proposals", proposal.to_payload()))

    def proposals(self, *, states: Sequence[str] = (), limit: int | None = None) -> Iterator[Document]:
        """Proposals, latest first; at most ``limit`` of them."""
        return self._pages("/proposals", {"state": [*states]}, limit)

    def proposal(self, proposal: str) -> Document:
        """One proposal."""
        return self._get(f"/proposals/{part(proposal)}")

    def proposal_signed(self, proposal: str, action: str) -> Document:
        """Says which action a proposal became."""
        return self._post(f"/proposals/{part(proposal)}/signed", {"action": action})

    def reject_proposal(self, proposal: str, reason: str = "") -> Document:
        """Rejects a proposal."""
        return self._post(f"/proposals/{part(proposal)}/reject", {"reason": reason})

    def platform_log(
        self,
        *,
        since: str = "",
        until: str = "",
        who: str = "",
        what: Sequence[str] = (),
        subject: str = "",
        address: str = "",
        limit: int | None = None,
    ) -> Iterator[Document]:
        """Entries of the platform log, latest first; at most ``limit`` of them. Times are RFC 3339."""
        wish = {"since": since, "until": until, "who": who, "what": [one for one in what if one]}
        return self._pages("/log", {**wish, "subject": subject, "address": address}, limit)

    # -- answers

    def commands(
        self,
        action: str,
        *,
        states: Sequence[str] = (),
        found: bool | None = None,
        limit: int | None = None,
        proofs: bool = False,
    ) -> Iterator[Document]:
        """Commands of an action with their answers, by agent name.

        With ``proofs`` each has what its agent signed: see :func:`mig_core.client.proofs.check_answer`.
        """
        query = {"state": [*states], "found": _word(found), "proof": "true" if proofs else None}
        return self._pages(f"/actions/{part(action)}/commands", query, limit)

    def command_page(
        self,
        action: str,
        *,
        states: Sequence[str] = (),
        found: bool | None = None,
        cursor: str = "",
        limit: int = 50,
    ) -> Document:
        """One page of :meth:`commands`."""
        query = {"state": [*states], "found": _word(found), "cursor": cursor, "limit": limit}
        return self._page(f"/actions/{part(action)}/commands", query)

    def command(self, action: str, agent: str, *, proof: bool = False) -> Document:
        """One agent's command of an action."""
        query = {"proof": "true"} if proof else None
        return self._get(f"/actions/{part(action)}/commands/{part(agent)}", query)

    def rows(self, action: str, wish: RowsWish) -> Iterator[Document]:
        """Pages of rows, made by the platform; the first has the ``account`` of every endpoint that was asked."""
        return self._wished(f"/actions/{part(action)}/rows", wish)

    def diff(self, action: str, other: str, wish: DiffWish) -> Iterator[Document]:
        """Pages of what differs between the answers of two actions, ``other`` being the later one."""
        path = f"/actions/{part(action)}/diff"
        return whole_pages(
            lambda cursor: self._post(path, replace(wish, cursor=cursor).to_json(other)), self._transport.base_url
        )

    def history(self, agent: str, limit: int | None = None) -> Iterator[Document]:
        """One agent's commands of all actions, the latest first, without their results."""
        return self._pages(f"/agents/{part(agent)}/commands", {}, limit)

    def history_page(self, agent: str, *, cursor: str = "", limit: int = 50) -> Document:
        """One page of :meth:`history`."""
        return self._page(f"/agents/{part(agent)}/commands", {"cursor": cursor, "limit": limit})

    def stack(self, action: str, wish: StackWish) -> Iterator[Document]:
        """Pages of a stack, made by the platform: ``items`` with ``value``, ``endpoints``, ``first`` and ``last``."""
        return self._wished(f"/actions/{part(action)}/stack", wish)

    def follow(self, action: str, position: str = "", *, tick: int = 0) -> Iterator[Event]:
        """Answers as they come in, until the action has ended: see :class:`~mig_core.client.follow.Event`.

        Broken connections are taken up again where they broke. With ``tick`` there is an event ``tick`` after so many
        seconds in which nothing happened.
        """
        path = f"/actions/{part(action)}/events"
        return follow_events(
            lambda at: self._stream(path, at, tick),
            position,
            self._transport.base_url,
            monotonic=self._monotonic,
            sleep=self._sleep,
            ticks=bool(tick),
        )

    # -- agents

    def evaluate(self, target: str, limit: int = 20) -> Document:
        """How many agents a target means (``count``), and the first of them (``agents``)."""
        return self._post("/targets/evaluate", {"target": target, "limit": limit})

    def agents(self, *, target: str = "", states: Sequence[str] = (), limit: int | None = None) -> Iterator[Document]:
        """Agents by name."""
        return self._pages("/agents", {"target": target, "state": [*states]}, limit)

    def agent_page(
        self, *, target: str = "", states: Sequence[str] = (), cursor: str = "", limit: int = 100
    ) -> Document:
        """One page of :meth:`agents`."""
        return self._page("/agents", {"target": target, "state": [*states], "cursor": cursor, "limit": limit})

    def agent(self, agent: str) -> Document:
        """One agent, by id."""
        return self._get(f"/agents/{part(agent)}")

    def agent_id(self, text: str) -> str:
        """The id of an agent that is given by its id, the beginning of it, its exact name, or as ``name~id``.

        Raises:
            ApiError: no agent has this name, or several call themselves so and none of them holds it.
        """
        return find_agent(self, text)

    def approve_agent(self, agent: str) -> Document:
        """Admits an agent that waits."""
        return self._post(f"/agents/{part(agent)}/approve", None)

    def retire_agent(self, agent: str) -> Document:
        """Takes an agent out for good."""
        return self._post(f"/agents/{part(agent)}/retire", None)

    def retire_silent(self, agents: Sequence[str], since: str = "") -> list[str]:
        """Takes those agents out of which nothing was heard since (RFC 3339, or now); returns which they were."""
        retired: list[str] = []
        for first in range(0, len(agents), MOST_RETIRED_AT_ONCE):
            some = agents[first : first + MOST_RETIRED_AT_ONCE]
            wish: dict[str, JSON] = {"agents": [*some]}
            if since:
                wish["notheardsince"] = since
            retired += self._post("/agents/retire", wish)["retired"]
        return retired

    def renew_tokens(self, agents: Sequence[str]) -> list[str]:
        """Makes the agents' relay tokens worthless, so that they enrol again for others; returns whose they were."""
        renewed: list[str] = []
        for first in range(0, len(agents), MOST_RETIRED_AT_ONCE):
            some = agents[first : first + MOST_RETIRED_AT_ONCE]
            renewed += self._post("/agents/renew-tokens", {"agents": [*some]})["renewed"]
        return renewed

    def trust(self) -> Document:
        """Digests of the platform's copies of the agents' ``acl`` and ``keyring``; empty where it has none."""
        return self._get("/trust")

    # -- enrolment secrets

    def enrolment_secrets(self) -> list[Document]:
        """Those there are, and were, by name; never the secrets themselves."""
        return list(self._pages("/enrolment-secrets", {}, None))

    def add_enrolment_secret(
        self,
        name: str,
        *,
        expires: str = "",
        uses: int | None = None,
        tags: Mapping[str, str] | None = None,
        relay: str = "",
    ) -> Document:
        """Adds one; ``secret`` of the answer is shown this once. ``expires`` is RFC 3339."""
        wish: dict[str, JSON] = {"name": name}
        if expires:
            wish["expires"] = expires
        if uses is not None:
            wish["uses"] = uses
        if tags:
            wish["tags"] = {**tags}
        if relay:
            wish["relay"] = relay
        return self._post("/enrolment-secrets", wish)

    def revoke_enrolment_secret(self, name: str) -> Document:
        """It admits nobody any more; agents that it admitted stay."""
        return self._post(f"/enrolment-secrets/{part(name)}/revoke", None)

    def openapi(self) -> Document:
        """The platform's description of itself, with the modules that are installed there."""
        return self._get("/openapi.json")

    def dashboard(self) -> Document:
        """Numbers: ``agents``, ``actions``, ``commands``, ``versions``, ``counters``."""
        return self._get("/dashboard")

    def fleet_history(self, hours: int = 24) -> list[Document]:
        """How many ``agents`` were in which state at a ``time``, the earliest first."""
        return list(self._get("/dashboard/history", {"hours": hours})["items"])


def _word(truth: bool | None) -> str | None:
    return None if truth is None else str(truth).lower()


def _carried(signature: Signature) -> dict[str, JSON]:
    return {"keyid": signature.keyid, "sig": base64.b64encode(signature.sig).decode("ascii")}
