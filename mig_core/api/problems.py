"""Errors as problem documents (RFC 9457): what a client is told, and with which status.

Whatever is not in MIG's own error tree becomes a bare 500 with the request's id; the log has the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from mig_core.errors import (
    ApiError,
    ConfigurationError,
    Conflict,
    InvalidDocument,
    MigError,
    NoRoom,
    NotFound,
    ParameterError,
    PluginError,
    Refused,
    RelayUnavailable,
    SignatureInvalid,
    StoreUnavailable,
    TargetError,
)

if TYPE_CHECKING:
    from mig_core.domain.document import JSON

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL = 2000


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document. ``field`` is the JSON path of the fault in the request, if one is to blame."""

    status: int
    detail: str
    kind: str = ""
    """A word that programs can rely on; it makes ``type``."""
    field: str = ""
    next_step: str = ""
    position: int | None = None
    """Where in a target expression, counted from 0."""

    def to_json(self, request_id: str) -> dict[str, JSON]:
        """The document."""
        document: dict[str, JSON] = {
            "type": f"urn:mig:problem:{self.kind}" if self.kind else "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail[:MAX_DETAIL],
            "request": request_id,
        }
        if self.field:
            document["field"] = self.field
        if self.next_step:
            document["next_step"] = self.next_step[:MAX_DETAIL]
        if self.position is not None:
            document["position"] = self.position
        return document


_PLAIN: dict[type[MigError], tuple[int, str]] = {
    Refused: (403, "refused"),
    NotFound: (404, "not-found"),
    Conflict: (409, "conflict"),
    NoRoom: (429, "too-many"),
    PluginError: (400, "module"),
}


def problem_of(error: Exception, request_id: str) -> Problem:
    """What a client is told about an error. Only errors made for people are quoted."""
    match error:
        case ApiError():
            status = error.status if 400 <= error.status <= 599 else 500
            return Problem(status, error.problem, _kind(status), error.field, error.next_step)
        case TargetError():
            return Problem(400, str(error), error.subject, error.subject, error.next_step, error.position)
        case InvalidDocument() | ParameterError():
            return Problem(400, str(error), "invalid-document", error.path, error.next_step)
        case SignatureInvalid():
            return Problem(403, str(error), "signature", "signatures", error.next_step)
        case Refused() | NotFound() | Conflict() | NoRoom() | PluginError():
            status, kind = next(meaning for one, meaning in _PLAIN.items() if isinstance(error, one))
            return Problem(status, str(error), kind, "", error.next_step)
        case StoreUnavailable() | RelayUnavailable():
            return Problem(503, "the database cannot be reached now", "unavailable", "", "try again later")
        case _:
            return Problem(
                500, "mig-api failed to answer this request", "internal", "", f"its log says why: request {request_id}"
            )


def is_expected(error: Exception) -> bool:
    """Whether an error is part of ordinary life, so that the log needs no stack trace."""
    return isinstance(error, MigError) and not isinstance(error, ConfigurationError)


def _kind(status: int) -> str:
    return {
        401: "unauthenticated",
        403: "forbidden",
        404: "not-found",
        405: "method",
        408: "timeout",
        409: "conflict",
        410: "not-awaited",
        413: "too-large",
        415: "media-type",
        429: "too-many",
        503: "unavailable",
    }.get(status, "")
