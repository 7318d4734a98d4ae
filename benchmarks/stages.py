"""One question, stage by stage: does what ``mig file`` does, in the same order, and writes down when.

``question`` starts it as a process of its own, ``python -m benchmarks.stages SPAWNED``, where SPAWNED is the moment of
the start by the monotonic clock, which all processes of a machine share. Writes one line of JSON: moments in seconds
since then.
"""

from __future__ import annotations

import time

READY = time.monotonic()

import contextlib  # noqa: E402  the clock is read before anything else is imported
import io  # noqa: E402  as above
import json  # noqa: E402  as above
import sys  # noqa: E402  as above
from typing import TYPE_CHECKING  # noqa: E402  as above

if TYPE_CHECKING:
    from mig_core.domain.document import JSON


def main() -> None:
    """Asks, and reports."""
    spawned = float(sys.argv[1])
    moments = {"interpreter": READY - spawned}

    def reached(stage: str) -> None:
        moments[stage] = time.monotonic() - spawned

    import mig_core.cli.main
    from mig_core.cli import words
    from mig_core.cli.answers import AnswerPrinter
    from mig_core.cli.formats import Format, Show
    from mig_core.client.compose import compose_action
    from mig_core.client.connection import connect
    from mig_core.domain import envelope as envelopes
    from mig_core.domain.action import Operation
    from mig_core.domain.envelope import Envelope

    words.module("file")
    connection = connect()
    client, signer = connection.client, connection.signer
    import mig_core.client.direct  # noqa: F401  the client imports it at its first request

    reached("imports")
    client.log_in()
    reached("session")
    parameters: dict[str, JSON] = {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}
    settings = connection.settings
    action = compose_action(
        [Operation("file", parameters)], name="stages", target=settings.target, expiry=settings.expiry
    )
    envelope = signer.sign(Envelope(envelopes.ACTION, action.to_payload()))
    reached("sign")
    offset = time.time() - time.monotonic() + spawned
    document = client.create_action(envelope)
    reached("post")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        printer = AnswerPrinter(["file"], Show.ALL, Format.TEXT)
        for event in client.follow(document["id"]):
            if event.kind == "command":
                printer.print(event.data)
                moments.setdefault("first answer", time.monotonic() - spawned)
                reached("last answer")
            else:
                document = event.data
        printer.finish(document)
    reached("end")
    print(json.dumps({"action": document["id"], "moments": moments, "epoch": offset, "counts": document["counts"]}))


if __name__ == "__main__":
    main()
