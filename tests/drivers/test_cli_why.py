"""``mig why`` and ``mig dashboard``: an answer that did not come has a reason, and what needs a look is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.cli.main import main
from mig_core.domain.action import Action, Operation
from mig_core.domain.agent import Heartbeat
from mig_core.domain.command import ActionState
from mig_core.domain.envelope import ACTION, Envelope, Signature
from mig_core.domain.ids import ActionId, uuid7
from mig_core.domain.messages import Inbound, Kind
from mig_core.testing.api_site import SampleAgent
from mig_core.testing.store_samples import SIGNER

if TYPE_CHECKING:
    from pathlib import Path

    from mig_core.domain.document import JSON
    from mig_core.store.postgres import PostgresStore
    from mig_core.testing.api_site import ApiSite

NOW = datetime.now(UTC)
ASKED = Action(
    ActionId(uuid7(NOW, b"x" * 10)),
    "what waits",
    "all",
    NOW - timedelta(minutes=1),
    NOW + timedelta(hours=1),
    (Operation("file", {}),),
)
SIGNED = Envelope(ACTION, ASKED.to_payload(), (Signature(SIGNER, b"not looked at here"),)).to_bytes()


class Question:
    """One question to one agent, which has not answered."""

    def __init__(self, site: ApiSite) -> None:
        self.site = site
        self.agent = SampleAgent(site, "web1.example.net")
        self.agent.enrol()
        self.command = site.platform(self._ask)

    async def _ask(self, store: PostgresStore) -> str:
        await store.actions.create(ASKED, SIGNED, signers=[SIGNER], state=ActionState.SCHEDULED, now=NOW)
        await store.actions.fan_out(ASKED.id, ASKED.parsed_target(), now=NOW)
        command = await store.commands.get(ASKED.id, self.agent.id)
        await store.commands.mark_sent([command.id], NOW)
        return command.id

    def heartbeat(self, spool: dict[str, JSON]) -> None:
        async def beat(store: PostgresStore) -> None:
            await store.agents.beat([Heartbeat(self.agent.facts(), 1, NOW, spool=spool)], NOW)

        self.site.platform(beat)

    def why(self, capsys: pytest.CaptureFixture[str]) -> str:
        capsys.readouterr()
        assert main(["why", ASKED.id, "web1.example.net"]) == 0
        return capsys.readouterr().out


@pytest.fixture
def question(api_site: ApiSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Question:
    api_site.first_investigator()
    alice = api_site.keys.alice
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'api = "{api_site.url}"\nfingerprint = "{alice.fingerprint}"\ngnupg_home = "{api_site.keys.home}"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("MIG_CONFIG", str(settings))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    return Question(api_site)


def test_an_answer_that_waits_on_the_endpoint_says_why_and_since_when(
    question: Question, capsys: pytest.CaptureFixture[str]
) -> None:
    troubled: dict[str, JSON] = {
        "command": question.command,
        "bytes": 30_000_000,
        "since": "2026-11-23T12:00:00Z",
        "tries": 3,
        "problem": "413 Request Entity Too Large\x1b[31m",
    }
    question.heartbeat({"answers": 1, "troubled": [troubled], "lost": []})

    text = question.why(capsys)

    assert "the agent has answered, since 2026-11-23 12:00:00 the answer waits there" in text
    assert "(30000000 bytes, 3 attempts): 413 Request Entity Too Large" in text
    assert "\x1b" not in text


def test_an_answer_that_was_given_up_says_why(question: Question, capsys: pytest.CaptureFixture[str]) -> None:
    lost: JSON = {"command": question.command, "reason": "the file is damaged", "at": "2026-11-23T12:00:00Z"}
    question.heartbeat({"answers": 0, "lost": [lost, {"command": "another", "reason": "not this one"}]})

    text = question.why(capsys)

    assert "gave the answer up: the file is damaged" in text
    assert "not this one" not in text
    main(["dashboard"])
    assert "agents_that_lost_answers" in capsys.readouterr().out


def test_a_full_spool_is_told_and_an_alarm(question: Question, capsys: pytest.CaptureFixture[str]) -> None:
    question.heartbeat({"answers": 712, "full": True, "oldest": "2026-11-23T12:00:00Z"})

    text = question.why(capsys)

    assert "712 answers wait on the endpoint for its relay, the oldest since 2026-11-23 12:00:00; it is full" in text
    main(["dashboard"])
    assert "agents_with_a_full_spool" in capsys.readouterr().out


def test_a_broker_in_an_alarm_is_what_a_command_waits_for(
    question: Question, capsys: pytest.CaptureFixture[str]
) -> None:
    async def tell(store: PostgresStore) -> None:
        await store.numbers.relay_is("https", "it takes no messages now: low on memory", datetime.now(UTC))

    question.site.platform(tell)

    assert "now: relay https: it takes no messages now: low on memory" in question.why(capsys)
    main(["dashboard"])
    assert "relay_https_in_trouble" in capsys.readouterr().out


def test_a_message_that_was_set_aside_is_an_alarm(question: Question, capsys: pytest.CaptureFixture[str]) -> None:
    async def put(store: PostgresStore) -> None:
        await store.set_aside.put("https", Inbound(Kind.RESULT, question.agent.id, b"x"), "why", NOW)

    question.site.platform(put)

    main(["dashboard"])

    assert "messages_set_aside" in capsys.readouterr().out


@pytest.mark.parametrize(
    "spool",
    [
        {"lost": "text", "troubled": 7},
        {"lost": [1, None, []], "answers": [1]},
        {"troubled": [{"command": {}}], "oldest": {"a": 1}, "answers": True, "full": "yes"},
    ],
)
def test_nonsense_in_a_report_is_survived(
    question: Question, capsys: pytest.CaptureFixture[str], spool: dict[str, JSON]
) -> None:
    question.heartbeat(spool)

    assert "web1.example.net: sent" in question.why(capsys)
    assert main(["dashboard"]) == 0
