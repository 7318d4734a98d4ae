"""The agent's decision: every refusal with its check and reason, and the order of the checks; real signatures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mig_core.authorization import (
    Authorized,
    Check,
    ModuleWeight,
    authorize,
    authorize_cancel,
    verify_action,
    weights_needed,
)
from mig_core.domain.acl import Acl, AclEntry
from mig_core.domain.action import Action, Cancel, Operation
from mig_core.domain.agent import AgentFacts
from mig_core.domain.envelope import ACTION, CANCEL, LOGIN, MAX_ACTION_BYTES, MAX_SIGNATURES, Envelope, Signature
from mig_core.domain.ids import ActionId, AgentId
from mig_core.errors import ModuleUnknown, ParameterError, Refused
from mig_core.testing.keys import sign_action

if TYPE_CHECKING:
    from mig_core.pgp.base import Keyring
    from mig_core.testing.keys import InvestigatorKeys

ID = ActionId("0197f9f0-1111-7222-8333-444455556666")
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
GOOD = Action(
    id=ID,
    name="who has it",
    target="os = 'linux' AND status = 'online'",
    valid_from=NOW - timedelta(minutes=5),
    expire_after=NOW + timedelta(minutes=5),
    operations=(Operation("file", {"path": "/etc"}), Operation("pkg", {"name": "vim"})),
)
FACTS = AgentFacts(
    id=AgentId("a" * 32), name="web1", version="0.1.0", mode="service", pid=1, started=NOW, environment={"os": "linux"}
)


@dataclass
class Modules:
    """A set of modules that notes what it was asked to read."""

    names: tuple[str, ...] = ("file", "pkg", "broken")
    read: list[str] = field(default_factory=list)

    def enabled(self, name: str) -> bool:
        return name in self.names

    def parse(self, name: str, raw: object) -> object:
        self.read.append(name)
        if name == "broken":
            raise ZeroDivisionError
        if raw == {"gone": True}:
            raise ModuleUnknown(name, "was removed meanwhile")
        if raw == {}:
            raise ParameterError("path", "is missing", module=name)
        return (name, raw)


@dataclass
class Journal:
    """The ids already run."""

    ran: frozenset[str] = frozenset()

    def objection(self, action: Action) -> str:
        return f"action {action.id} was already run here" if action.id in self.ran else ""


@dataclass
class Agent:
    """One agent with everything it decides by; alice and bob count 1 each, and one of them is enough."""

    keyring: Keyring
    acl: Acl
    journal: Journal = field(default_factory=Journal)
    modules: Modules = field(default_factory=Modules)
    facts: AgentFacts = FACTS

    def decide(self, envelope: Envelope, now: datetime = NOW) -> Authorized:
        return authorize(
            envelope,
            keyring=self.keyring,
            acl=self.acl,
            facts=self.facts,
            journal=self.journal,
            modules=self.modules,
            now=now,
        )

    def refusal(self, envelope: Envelope, now: datetime = NOW) -> Refused:
        with pytest.raises(Refused) as refused:
            self.decide(envelope, now)
        return refused.value


@pytest.fixture
def agent(investigator_keys: InvestigatorKeys, investigator_keyring: Keyring) -> Agent:
    alice, bob = investigator_keys.alice.fingerprint, investigator_keys.bob.fingerprint
    return Agent(investigator_keyring, Acl({"default": AclEntry(1, {alice: 1, bob: 1})}))


def test_a_good_action_comes_back_with_signers_and_parameters(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    decided = agent.decide(sign_action(GOOD, investigator_keys.alice))

    assert decided == Authorized(
        action=GOOD,
        signers=(investigator_keys.alice.fingerprint,),
        parameters=(("file", {"path": "/etc"}), ("pkg", {"name": "vim"})),
    )


def test_what_is_not_an_action_or_breaks_a_limit_is_refused_as_envelope(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    signed = sign_action(GOOD, investigator_keys.alice)
    one = signed.signatures[0]
    junk = investigator_keys.alice.sign(Envelope(ACTION, b'{"syntaxversion": 3}'))
    refusals = {
        "its type must be": replace(signed, payload_type=LOGIN),
        "at most": Envelope(ACTION, bytes(MAX_ACTION_BYTES + 1), (one,)),
        "got 0": Envelope(ACTION, signed.payload),
        f"got {MAX_SIGNATURES + 1}": Envelope(ACTION, signed.payload, (one,) * (MAX_SIGNATURES + 1)),
        "action: id: is missing": junk,
    }

    for text, envelope in refusals.items():
        refused = agent.refusal(envelope)
        assert (refused.check, text in refused.problem) == (Check.ENVELOPE, True), refused


def test_one_bad_signature_among_good_ones_refuses_all(agent: Agent, investigator_keys: InvestigatorKeys) -> None:
    signed = sign_action(GOOD, investigator_keys.alice, investigator_keys.bob)
    good, other = signed.signatures
    bad = Signature(other.keyid, other.sig[:-1] + bytes([other.sig[-1] ^ 1]))

    for envelope in (
        sign_action(GOOD, investigator_keys.alice, investigator_keys.stranger),
        replace(signed, signatures=(good, bad)),
        replace(signed, payload=signed.payload + b" "),
    ):
        assert agent.refusal(envelope).check == Check.SIGNATURE


def test_a_signed_login_or_cancel_is_no_action(agent: Agent, investigator_keys: InvestigatorKeys) -> None:
    login = investigator_keys.alice.sign(Envelope(LOGIN, GOOD.to_payload()))

    refused = agent.refusal(Envelope(ACTION, login.payload, login.signatures))

    assert refused.check == Check.SIGNATURE


def test_who_signs_twice_is_refused_even_with_two_different_signatures(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    refused = agent.refusal(sign_action(GOOD, investigator_keys.bob, investigator_keys.alice, investigator_keys.bob))

    assert refused.check == Check.SIGNERS
    assert refused.problem == f"{investigator_keys.bob.fingerprint} signed more than once"


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (GOOD.valid_from - timedelta(microseconds=1), "valid from 2026-11-23T02:55:00Z"),
        (GOOD.expire_after, "expired at 2026-11-23T03:05:00Z, and it is 2026-11-23T03:05:00Z here"),
        (GOOD.expire_after + timedelta(days=1), "expired at"),
    ],
)
def test_outside_its_window_an_action_is_refused_even_with_good_signatures(
    now: datetime, reason: str, agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    refused = agent.refusal(sign_action(GOOD, investigator_keys.alice), now)

    assert refused.check == Check.WINDOW and refused.problem.startswith(reason)


def test_the_window_begins_with_validfrom(agent: Agent, investigator_keys: InvestigatorKeys) -> None:
    assert agent.decide(sign_action(GOOD, investigator_keys.alice), GOOD.valid_from).action == GOOD


@pytest.mark.parametrize("target", ["os = 'windows'", "name = 'db1' AND status = 'online'", "NOT all"])
def test_an_agent_that_the_target_excludes_refuses(
    target: str, agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    refused = agent.refusal(sign_action(replace(GOOD, target=target), investigator_keys.alice))

    assert refused.check == Check.TARGET and "web1" in refused.problem


@pytest.mark.parametrize(
    "target",
    ["all", "status = 'offline'", "heartbeattime > NOW() - interval '1 minute'", f"found('{ID}') OR name = 'x'"],
)
def test_what_only_the_platform_knows_excludes_nobody(
    target: str, agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    assert agent.decide(sign_action(replace(GOOD, target=target), investigator_keys.alice)).signers


def test_an_action_that_was_run_here_is_not_run_again(agent: Agent, investigator_keys: InvestigatorKeys) -> None:
    agent.journal = Journal(frozenset({ID}))

    refused = agent.refusal(sign_action(GOOD, investigator_keys.alice))

    assert (refused.check, refused.problem) == (Check.REPLAY, f"action {ID} was already run here")


def test_one_module_that_is_not_enabled_refuses_all_and_nothing_is_parsed(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    agent.modules = Modules(("file",))

    refused = agent.refusal(sign_action(GOOD, investigator_keys.alice))

    assert (refused.check, refused.problem) == (Check.MODULE, "module pkg is not installed or not enabled here")
    assert agent.modules.read == []


def test_too_little_weight_for_one_operation_refuses_all_and_nothing_is_parsed(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    alice, bob = investigator_keys.alice, investigator_keys.bob
    weights = {alice.fingerprint: 1, bob.fingerprint: 1}
    agent.acl = Acl({"default": AclEntry(1, weights), "pkg": AclEntry(2, weights)})

    refused = agent.refusal(sign_action(GOOD, alice))

    assert (refused.check, refused.problem) == (Check.ACL, "module pkg needs weight 2, has 1")
    assert agent.modules.read == []
    assert agent.decide(sign_action(GOOD, alice, bob)).action == GOOD


def test_without_entry_and_default_even_everybody_together_is_refused(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    agent.acl = Acl({"file": agent.acl.entries["default"]})

    refused = agent.refusal(sign_action(GOOD, *investigator_keys.trusted))

    assert refused.check == Check.ACL and "neither an entry" in refused.problem


@pytest.mark.parametrize(
    ("operation", "check", "reason"),
    [
        (Operation("pkg", {}), Check.PARAMETERS, "module pkg: operations[1].parameters.path: is missing"),
        (Operation("broken", {"a": 1}), Check.PARAMETERS, "the module broke on them (ZeroDivisionError)"),
        (Operation("pkg", {"gone": True}), Check.MODULE, "module pkg is not installed or not enabled here"),
    ],
)
def test_parameters_that_the_module_cannot_read_refuse_all(
    operation: Operation, check: Check, reason: str, agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    action = replace(GOOD, operations=(GOOD.operations[0], operation))

    refused = agent.refusal(sign_action(action, investigator_keys.alice))

    assert refused.check == check and refused.problem.endswith(reason)


def test_the_first_check_that_fails_is_the_one_that_is_named(agent: Agent, investigator_keys: InvestigatorKeys) -> None:
    alice, stranger = investigator_keys.alice, investigator_keys.stranger
    action = replace(
        GOOD, target="os = 'windows'", valid_from=NOW - timedelta(hours=2), expire_after=NOW - timedelta(hours=1),
        operations=(Operation("nothing", {}),),
    )  # fmt: skip
    agent.journal, acl, agent.acl = Journal(frozenset({ID})), agent.acl, Acl()
    named = []

    # Everything is wrong; then one fault after the other is mended, in the order of the checks.
    envelope = sign_action(action, stranger, alice, alice)
    named.append(agent.refusal(replace(envelope, payload_type=LOGIN)).check)
    named.append(agent.refusal(envelope).check)
    named.append(agent.refusal(sign_action(action, alice, alice)).check)
    named.append(agent.refusal(sign_action(action, alice)).check)
    action = replace(action, valid_from=GOOD.valid_from, expire_after=GOOD.expire_after)
    named.append(agent.refusal(sign_action(action, alice)).check)
    action = replace(action, target=GOOD.target)
    named.append(agent.refusal(sign_action(action, alice)).check)
    agent.journal = Journal()
    named.append(agent.refusal(sign_action(action, alice)).check)
    agent.modules = Modules(("nothing",))
    named.append(agent.refusal(sign_action(action, alice)).check)
    agent.acl = acl
    named.append(agent.refusal(sign_action(action, alice)).check)

    assert named == list(Check)
    action = replace(action, operations=(Operation("nothing", {"now": "right"}),))
    assert agent.decide(sign_action(action, alice)).action == action


def test_the_weights_an_action_still_needs_are_told_per_module(investigator_keys: InvestigatorKeys) -> None:
    alice, bob = investigator_keys.alice.fingerprint, investigator_keys.bob.fingerprint
    weights = {alice: 1, bob: 2}
    acl = Acl({"default": AclEntry(1, weights), "pkg": AclEntry(3, weights)})
    action = replace(GOOD, operations=(*GOOD.operations, GOOD.operations[0]))

    alone, together = weights_needed(action, acl, [alice, alice]), weights_needed(action, acl, [alice, bob])

    assert alone == (ModuleWeight("file", 1, 1), ModuleWeight("pkg", 3, 1))
    assert [one.suffices for one in alone] == [True, False]
    assert all(one.suffices for one in together)
    with pytest.raises(Refused, match="neither an entry"):
        weights_needed(action, Acl({"file": AclEntry(1, weights)}), [alice, bob])


def test_the_platform_reads_an_action_with_the_same_first_checks(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    alice, dave = investigator_keys.alice, investigator_keys.dave

    action, signers = verify_action(sign_action(GOOD, alice, dave), agent.keyring)

    assert (action, signers) == (GOOD, (alice.fingerprint, dave.fingerprint))
    with pytest.raises(Refused, match="more than once"):
        verify_action(sign_action(GOOD, alice, alice), agent.keyring)


def test_any_one_investigator_of_the_acl_may_cancel(agent: Agent, investigator_keys: InvestigatorKeys) -> None:
    cancel = Cancel(ID, "wrong target", NOW)
    acl = Acl({"file": AclEntry(5, {investigator_keys.bob.fingerprint: 1})})

    signed = investigator_keys.bob.sign(Envelope(CANCEL, cancel.to_payload()))

    assert authorize_cancel(signed, keyring=agent.keyring, acl=acl).cancel == cancel


def test_a_cancel_by_a_stranger_or_somebody_outside_the_acl_or_of_another_type_is_refused(
    agent: Agent, investigator_keys: InvestigatorKeys
) -> None:
    payload = Cancel(ID, "", NOW).to_payload()
    alice, carol, stranger = investigator_keys.alice, investigator_keys.carol, investigator_keys.stranger
    refusals = [
        (carol.sign(Envelope(CANCEL, payload)), Check.ACL),
        (stranger.sign(Envelope(CANCEL, payload)), Check.SIGNATURE),
        (alice.sign(Envelope(ACTION, payload)), Check.ENVELOPE),
        (alice.sign(Envelope(CANCEL, b"{}")), Check.ENVELOPE),
        (Envelope(CANCEL, payload), Check.ENVELOPE),
    ]

    for envelope, check in refusals:
        with pytest.raises(Refused) as refused:
            authorize_cancel(envelope, keyring=agent.keyring, acl=agent.acl)
        assert refused.value.check == check


def test_a_refusal_reads_as_investigators_see_it() -> None:
    text = str(Refused(Check.ACL, "module pkg needs weight 2, has 1"))

    assert text == "refused (acl): module pkg needs weight 2, has 1"
