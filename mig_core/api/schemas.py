"""The documents of the REST API as JSON schemas, by the names that routes use. A test holds real replies to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mig_core.domain import envelope as envelopes
from mig_core.domain.agent import AgentState
from mig_core.domain.command import ActionState, CommandState
from mig_core.store.rows import Permission, ProposalState

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

Schema = dict[str, "JSON"]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
TRUTH: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
TIME: Schema = {"type": "string", "format": "date-time"}
BASE64: Schema = {"type": "string", "contentEncoding": "base64"}
FINGERPRINT: Schema = {"type": "string", "pattern": "^[0-9A-F]{40}$"}
AGENT_ID: Schema = {"type": "string", "pattern": "^[a-z2-7]{32}$"}
UUID: Schema = {"type": "string", "format": "uuid"}
COUNTS: Schema = {"type": "object", "additionalProperties": NUMBER}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _words(words: list[str]) -> Schema:
    return {"type": "string", "enum": [*words]}


def _object(properties: dict[str, Schema], *optional: str) -> Schema:
    required: list[JSON] = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": {**properties},
        "required": required,
        "additionalProperties": False,
    }


def _page(name: str) -> Schema:
    return _object({"items": _list(_ref(name)), "cursor": TEXT})


_COMMAND: dict[str, Schema] = {
    "id": UUID,
    "action": UUID,
    "agent": AGENT_ID,
    "agentname": TEXT,
    "state": _words([one.value for one in CommandState]),
    "reason": TEXT,
    "found": _or_null(TRUTH),
    "complete": _or_null(TRUTH),
    "results": _or_null(_list(ANY)),
    "queued": TIME,
    "sent": _or_null(TIME),
    "finished": _or_null(TIME),
    "proof": _or_null(_object({"envelope": _ref("Envelope"), "publickey": BASE64})),
    "waiting": TEXT,
}
_CHOICE: dict[str, Schema] = {"shapes": _list(_or_null(_ref("Shape"))), "where": TEXT}
_PERMISSIONS = _list(_words([one.value for one in Permission]))
_ACTION: dict[str, Schema] = {
    "id": UUID,
    "name": TEXT,
    "target": TEXT,
    "state": _words([one.value for one in ActionState]),
    "reason": TEXT,
    "validfrom": TIME,
    "expireafter": TIME,
    "created": TIME,
    "creator": FINGERPRINT,
    "signers": _list(FINGERPRINT),
    "targeted": NUMBER,
    "counts": COUNTS,
    "found": NUMBER,
    "partial": NUMBER,
    "finished": _or_null(TIME),
    "cancelled": _or_null(TIME),
    "cancelledby": _or_null(FINGERPRINT),
    "operations": _list(_object({"module": TEXT, "parameters": ANY})),
    "needed": _list(_object({"module": TEXT, "minimum": NUMBER, "have": NUMBER})),
}

_PROPOSAL: dict[str, Schema] = {
    "name": TEXT,
    "target": TEXT,
    "operations": _list(_object({"module": TEXT, "parameters": ANY})),
    "reason": TEXT,
    "author": TEXT,
    "expiryseconds": NUMBER,
    "description": TEXT,
    "threat": TEXT,
}

_INVESTIGATOR: dict[str, Schema] = {
    "fingerprint": FINGERPRINT,
    "name": TEXT,
    "permissions": _PERMISSIONS,
    "active": TRUTH,
    "created": TIME,
    "removed": _or_null(TIME),
}

_ENROLMENT_SECRET: dict[str, Schema] = {
    "name": TEXT,
    "state": _words(["usable", "unusable", "expired", "used up", "revoked"]),
    "created": _or_null(TIME),
    "creator": TEXT,
    "expires": _or_null(TIME),
    "usesleft": _or_null(NUMBER),
    "used": _or_null(NUMBER),
    "lastused": _or_null(TIME),
    "tags": TEXTS,
    "relay": TEXT,
    "revoked": _or_null(TIME),
}

SCHEMAS: dict[str, Schema] = {
    "AnyObject": ANY,
    "Text": TEXT,
    "Events": TEXT,
    "Form": TEXTS,
    "Octets": {"type": "string", "format": "binary"},
    "Upload": _object({"complete": TRUTH}),
    "Health": _object({"status": TEXT}),
    "Problem": _object(
        {
            "type": TEXT,
            "title": TEXT,
            "status": NUMBER,
            "detail": TEXT,
            "request": TEXT,
            "field": TEXT,
            "next_step": TEXT,
            "position": NUMBER,
        },
        "field",
        "next_step",
        "position",
    ),
    "Signature": _object({"keyid": TEXT, "sig": BASE64}),
    "Envelope": _object(
        {
            "payloadType": _words(
                [
                    envelopes.ACTION,
                    envelopes.CANCEL,
                    envelopes.LOGIN,
                    envelopes.RESULT,
                    envelopes.HEARTBEAT,
                    envelopes.ENROL,
                ]
            ),
            "payload": BASE64,
            "signatures": _list(_ref("Signature")),
        }
    ),
    "Nonce": _object({"nonce": TEXT, "expires": TIME}),
    "Session": _object({"token": TEXT, "expires": TIME, "investigator": _ref("Investigator")}),
    "Bootstrap": _object({"secret": TEXT, "name": TEXT, "publickey": TEXT}),
    "Investigator": _object(_INVESTIGATOR),
    "InvestigatorWithKey": _object({**_INVESTIGATOR, "publickey": TEXT}),
    "InvestigatorList": _page("Investigator"),
    "NewInvestigator": _object({"name": TEXT, "publickey": TEXT, "permissions": _PERMISSIONS}, "permissions"),
    "InvestigatorChange": _object({"active": TRUTH, "permissions": _PERMISSIONS}, "active", "permissions"),
    "Action": _object(_ACTION),
    "ActionWithEnvelope": _object({**_ACTION, "envelope": _ref("Envelope")}),
    "ActionList": _page("Action"),
    "NewProposal": _object(_PROPOSAL, "author", "expiryseconds", "description", "threat"),
    "Proposal": _object(
        {
            "id": UUID,
            "state": _words([one.value for one in ProposalState]),
            "proposer": FINGERPRINT,
            "proposername": TEXT,
            "created": TIME,
            "decided": _or_null(TIME),
            "decidedby": TEXT,
            "answer": TEXT,
            "action": _or_null(UUID),
            "proposal": _object(_PROPOSAL),
        }
    ),
    "ProposalList": _page("Proposal"),
    "LogEntry": _object(
        {
            "time": TIME,
            "id": UUID,
            "what": TEXT,
            "who": TEXT,
            "whoname": TEXT,
            "address": TEXT,
            "login": TEXT,
            "subject": TEXT,
            "subjectname": TEXT,
            "detail": ANY,
        }
    ),
    "LogEntryList": _page("LogEntry"),
    "ProposalSigned": _object({"action": UUID}),
    "ProposalRejected": _object({"reason": TEXT}, "reason"),
    "WeightQuestion": _object({"modules": _list(TEXT), "signers": _list(FINGERPRINT)}),
    "Weights": _object({"weights": _list(_object({"module": TEXT, "minimum": NUMBER, "have": NUMBER}))}),
    "Command": _object({**_COMMAND}, "proof", "waiting"),
    "CommandList": _page("Command"),
    "History": _object({**_COMMAND, "actionname": TEXT, "bytes": NUMBER}, "proof", "waiting"),
    "HistoryList": _page("History"),
    "DiffWish": _object(
        {**_CHOICE, "other": UUID, "columns": _list(TEXT), "key": _list(TEXT), "limit": NUMBER, "cursor": TEXT},
        *("where", "columns", "key", "limit", "cursor"),
    ),
    "Diff": _object(
        {
            "columns": _list(TEXT),
            "items": _list(
                _object(
                    {
                        "agent": AGENT_ID,
                        "agentname": TEXT,
                        "module": TEXT,
                        "before": _or_null(ANY),
                        "after": _or_null(ANY),
                        "certain": TRUTH,
                    }
                )
            ),
            "cursor": TEXT,
            **dict.fromkeys(
                ("gone", "new", "changed", "differing", "both", "partial", "onlyfirst", "onlysecond", "silent"), NUMBER
            ),
        }
    ),
    "Shape": _object(
        {
            "module": TEXT,
            "rowsat": TEXT,
            "columns": _list(_object({"name": TEXT, "kind": TEXT, "at": TEXT, "always": TRUTH}, "at", "always")),
        },
        "rowsat",
    ),
    "RowsWish": _object(
        {**_CHOICE, "columns": _list(TEXT), "sort": _list(TEXT), "limit": NUMBER, "cursor": TEXT},
        *("where", "columns", "sort", "limit", "cursor"),
    ),
    "StackWish": _object(
        {**_CHOICE, "columns": _list(TEXT), "groupby": _list(TEXT), "rare": TRUTH, "limit": NUMBER, "cursor": TEXT},
        *("where", "columns", "groupby", "rare", "limit", "cursor"),
    ),
    "Account": _object(
        {
            "counts": COUNTS,
            **dict.fromkeys(
                ("targeted", "answered", "partial", "withrows", "undecided", "undecidedrows", "unreadable"), NUMBER
            ),
        }
    ),
    "RowPage": _object(
        {
            "columns": _list(TEXT),
            "items": _list(_object({"agent": AGENT_ID, "agentname": TEXT, "module": TEXT, "row": ANY})),
            "cursor": TEXT,
            "account": _or_null(_ref("Account")),
        }
    ),
    "Stack": _object(
        {
            "columns": _list(TEXT),
            "groupby": _list(TEXT),
            "items": _list(
                _object(
                    {
                        "group": _list(_or_null(TEXT)),
                        "value": ANY,
                        "endpoints": NUMBER,
                        "answered": NUMBER,
                        "rows": NUMBER,
                        "first": TEXT,
                        "last": TEXT,
                    }
                )
            ),
            "values": NUMBER,
            "rows": NUMBER,
            "groups": _list(_object({"group": _list(_or_null(TEXT)), "answered": NUMBER})),
            "cursor": TEXT,
            "account": _ref("Account"),
        }
    ),
    "TargetQuestion": _object({"target": TEXT, "limit": NUMBER}, "limit"),
    "TargetEvaluation": _object(
        {
            "count": NUMBER,
            "agents": _list(_object({"id": AGENT_ID, "name": TEXT, "state": TEXT})),
        }
    ),
    "Agent": _object(
        {
            "id": AGENT_ID,
            "name": TEXT,
            "calledname": TEXT,
            "twosessions": _or_null(TIME),
            "ledgerback": _or_null(TIME),
            "state": _words([one.value for one in AgentState]),
            "relay": TEXT,
            "version": TEXT,
            "mode": TEXT,
            "pid": NUMBER,
            "environment": ANY,
            "tags": TEXTS,
            "modules": _list(TEXT),
            "failures": TEXTS,
            "statistics": COUNTS,
            "persistent": ANY,
            "spool": ANY,
            "started": _or_null(TIME),
            "heartbeat": _or_null(TIME),
            "clockahead": _or_null(ANY),
            "enrolled": _or_null(TIME),
            "enrolledwith": TEXT,
            "retired": _or_null(TIME),
            "samemachine": _list(
                _object({"id": AGENT_ID, "name": TEXT, "state": TEXT, "enrolled": TIME, "later": TRUTH})
            ),
            "events": _list(_object({"time": TIME, "event": TEXT, "detail": TEXT})),
        },
        *("events", "samemachine"),
    ),
    "AgentsToRetire": _object({"agents": _list(AGENT_ID), "notheardsince": TIME}, "notheardsince"),
    "AgentsToRenew": _object({"agents": _list(AGENT_ID)}),
    "RenewedAgents": _object({"renewed": _list(AGENT_ID)}),
    "RetiredAgents": _object({"retired": _list(AGENT_ID)}),
    "Trust": _object({"acl": TEXT, "keyring": TEXT}),
    "EnrolmentSecret": _object(_ENROLMENT_SECRET),
    "EnrolmentSecretList": _page("EnrolmentSecret"),
    "NewEnrolmentSecret": _object(
        {"name": TEXT, "expires": TIME, "uses": NUMBER, "tags": TEXTS, "relay": TEXT},
        *("expires", "uses", "tags", "relay"),
    ),
    "ShownEnrolmentSecret": _object({**_ENROLMENT_SECRET, "secret": TEXT}),
    "AgentList": _page("Agent"),
    "Dashboard": _object(dict.fromkeys(("alarms", "agents", "actions", "commands", "versions", "counters"), COUNTS)),
    "FleetHistory": _object({"items": _list(_object({"time": TIME, "agents": COUNTS}))}),
    "PluginAnswer": {},
    "Enrolment": _object(
        {"state": TEXT, "token": TEXT, "relay": TEXT, "tags": TEXTS, "relayurl": TEXT},
        *("token", "relay", "tags", "relayurl"),
    ),
    "Messages": _object({"messages": _list(_object({"id": NUMBER, "body": ANY}))}),
    "ExchangeAnswer": _object(
        {"messages": _list(_object({"id": NUMBER, "body": ANY})), "problem": {"$ref": "#/components/schemas/Problem"}}
    ),
    "Acknowledgement": _object({"session": TEXT, "ids": _list(NUMBER)}),
}
