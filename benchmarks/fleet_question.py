"""One question to a simulated fleet: asked with the real client library, timed from outside and from the books."""

from __future__ import annotations

import contextlib
import io
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.usage import Usage, platform_pids, usage_of
from mig_core.cli.answers import AnswerPrinter
from mig_core.cli.formats import Format, Show
from mig_core.client.compose import compose_action
from mig_core.domain import envelope as envelopes
from mig_core.domain.action import Operation
from mig_core.domain.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.simulator.workers import Workers
    from mig_core.cli.demo.platform import Platform

TARGET = "tags.environment = 'simulated' AND status = 'online'"
_PARAMETERS: dict[str, Any] = {"searches": {"s1": {"paths": ["etc"], "names": ["^motd$"]}}}
_EXPIRY = timedelta(minutes=5)

# The books' times are the scheduler's clock, read just before each commit; it runs on this machine.
_BOOKS = """
    SELECT extract(epoch FROM max(queued_at)), extract(epoch FROM max(sent_at)), extract(epoch FROM max(finished_at)),
           extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY finished_at - sent_at)),
           extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY finished_at - sent_at)),
           count(*), count(*) FILTER (WHERE state = 'success'), count(*) FILTER (WHERE finished_at IS NULL)
      FROM commands WHERE action_id = '{action}'
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question cost. Times are seconds from the moment the client sends the signed action."""

    accepted: float
    """The API has answered: the action is in the books."""
    fanned_out: float
    """Every agent's command is in the books."""
    handed_over: float
    """The relay has confirmed the last command."""
    recorded: float
    """The last answer is in the books."""
    printed: float
    """The client has printed the last answer."""
    ended: float
    """The client knows that it was the last one."""
    median: float
    """From the relay's confirmation of a command to its answer in the books."""
    percentile95: float
    targeted: int
    success: int
    missing: int
    """Commands without an answer. Anything but 0 is a failure."""
    commands: int
    printed_answers: int
    cpu: Mapping[str, float]
    """Seconds of processor by part, until the client had printed everything."""
    usage: Mapping[str, Usage]
    """By part, after the question."""

    @property
    def rate(self) -> float:
        """Commands a second, from the question to the last answer printed."""
        return self.targeted / self.printed if self.printed else 0.0

    def accounted_for(self, agents: int) -> bool:
        """Whether every agent was asked and has answered, by the books and by what the client has printed."""
        return agents == self.targeted == self.commands == self.success == self.printed_answers and not self.missing


def ask_fleet(platform: Platform, workers: Workers) -> Asked:
    """Asks one small question and waits for the last answer."""
    action = compose_action([Operation("file", _PARAMETERS)], name="fleet benchmark", target=TARGET, expiry=_EXPIRY)
    envelope = platform.signer.sign(Envelope(envelopes.ACTION, action.to_payload()))
    client = platform.client
    before = part_usage(platform, workers)
    wall, began = time.time(), time.monotonic()
    document = client.create_action(envelope)
    accepted = time.monotonic() - began
    last = 0.0
    answers = 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        printer = AnswerPrinter(["file"], Show.ALL, Format.TEXT)
        for event in client.follow(document["id"]):
            if event.kind == "command":
                printer.print(event.data)
                last = time.monotonic() - began
                answers += 1
            else:
                document = event.data
        ended = time.monotonic() - began
        printer.finish(document)
    after = part_usage(platform, workers)
    books = platform.postgres.run_sql(_BOOKS.format(action=document["id"])).split("|")
    queued, sent, finished, median, percentile95 = (float(one or "nan") for one in books[:5])
    commands, success, missing = (int(one) for one in books[5:8])
    return Asked(
        accepted=accepted,
        fanned_out=queued - wall,
        handed_over=sent - wall,
        recorded=finished - wall,
        printed=last,
        ended=ended,
        median=median,
        percentile95=percentile95,
        targeted=int(document["targeted"]),
        success=success,
        missing=missing,
        commands=commands,
        printed_answers=answers,
        cpu={name: after[name].cpu - before[name].cpu for name in after},
        usage=after,
    )


def part_usage(platform: Platform, workers: Workers) -> dict[str, Usage]:
    """Processor and memory of each part now."""
    pids = platform_pids(platform.rabbitmq.pid if platform.rabbitmq else None, platform.postgres.pid)
    usage = {name: usage_of(one) for name, one in pids.items()}
    usage["simulator"] = usage_of(workers.pids)
    usage["client"] = usage_of([os.getpid()], descendants=False)
    return usage
