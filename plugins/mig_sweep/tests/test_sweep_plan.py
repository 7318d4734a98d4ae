"""Indicators become few operations that their modules accept, and rows lead back to indicators."""

from __future__ import annotations

import hashlib
import json
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_core.domain.action import Operation
from mig_core.domain.envelope import MAX_ACTION_BYTES
from mig_core.plugin.manager import load_module
from mig_core.plugin.module import Context
from mig_endpoint.finding.known import hashes_in
from mig_sweep.indicator import Indicator, Kind, Term
from mig_sweep.matching import Matching
from mig_sweep.plan import Plan, Settings, plan_of
from mig_sweep.recognise import recognise
from mig_sweep.versions import is_affected

if TYPE_CHECKING:
    from pathlib import Path


def one(*terms: tuple[Kind, str], source: str = "r") -> Indicator:
    return Indicator(tuple(Term(kind, value) for kind, value in terms), source)


def planned(*indicators: Indicator, **options: Any) -> Plan:
    return plan_of(indicators, Settings(**options))


class Asked(NamedTuple):
    module: str
    parameters: Any


def accepted(plan: Plan) -> list[Asked]:
    """All operations, each accepted by its module."""
    found = [operation for operations in plan.actions for operation in operations]
    for operation in found:
        load_module(operation.module).parse_parameters(operation.parameters)
    return [Asked(one.module, one.parameters) for one in found]


def hashes(count: int) -> list[Indicator]:
    chance = random.Random(3)
    return [one((Kind.HASH, chance.randbytes(32).hex())) for _ in range(count)]


def test_twenty_thousand_hashes_are_one_operation_of_one_action() -> None:
    plan = planned(*hashes(20_000))

    (operation,) = accepted(plan)
    assert operation.module == "file"
    assert len(json.dumps(operation.parameters)) < MAX_ACTION_BYTES - 20_000


def test_what_is_too_much_for_one_action_is_split_and_nothing_is_lost() -> None:
    listed = hashes(50_000)
    rules = [one((Kind.YARA, f"rule r{n} {{ condition: false }} // {'x' * 100_000}")) for n in range(12)]

    plan = planned(*listed, *rules, *(one((Kind.FILE_NAME, f"name{n}.bin")) for n in range(20_000)))

    assert len(plan.actions) > 3
    for operations in plan.actions:
        assert sum(len(json.dumps(each.parameters)) + 100 for each in operations) < MAX_ACTION_BYTES
        assert len(operations) <= 64
    asked = accepted(plan)
    searches = [search for each in asked if each.module == "file" for search in each.parameters["searches"].values()]
    packed = {
        found.digest.hex() for search in searches for entry in search.get("hashes", ()) for found in hashes_in(entry)
    }
    assert packed == {each.value for each in listed}
    assert {text for each in asked if each.module == "yara" for text in each.parameters["rules"]} == {
        each.value for each in rules
    }
    assert sum(name.count("|") + 1 for search in searches for name in search.get("names", ())) == 20_000


def test_each_module_is_asked_once_where_everything_fits() -> None:
    plan = planned(
        one((Kind.HASH, "ab" * 32)),
        one((Kind.HASH, "ab" * 16), (Kind.SIZE, "7")),
        one((Kind.PATH, "/tmp/.x")),
        one((Kind.FILE_NAME, "x[1].bin")),
        one((Kind.FILE_PATTERN, "^x.*y$")),
        one((Kind.ADDRESS, "203.0.113.0/24")),
        one((Kind.PACKAGE, "left-pad"), (Kind.VERSION, "1.0"), (Kind.ECOSYSTEM, "npm")),
        one((Kind.SSH_KEY, "SHA256:" + "A" * 43)),
        one((Kind.ACCOUNT, "svc")),
        one((Kind.DOMAIN, "c2.example")),
        one((Kind.URL, "http://c2.example/?a=(b)")),
        one((Kind.COMMAND_LINE, "sh -c 'x'")),
    )

    assert [operation.module for operation in accepted(plan)] == [
        *("file", "memory", "netstat", "pkg", "process", "sshkey", "account"),
    ]
    assert not plan.refused


def test_the_hash_of_an_empty_file_is_not_asked_unless_something_else_comes_with_it() -> None:
    digests = [hashlib.new(name, b"").hexdigest() for name in ("md5", "sha1", "sha256", "sha512")]
    named = one((Kind.HASH, digests[0]), (Kind.FILE_NAME, "marker"))

    plan = planned(
        *(one((Kind.HASH, digest)) for digest in digests), one((Kind.HASH, digests[2]), (Kind.SIZE, "0")), named
    )

    assert plan.indicators == [named]
    assert {each.refused for each in plan.refused} == {"it is the hash of an empty file, and every endpoint has many"}


def test_no_memory_leaves_out_what_only_memory_shows_and_says_so() -> None:
    plan = planned(one((Kind.DOMAIN, "c2.example")), one((Kind.YARA, "rule r { condition: true }")), memory=False)

    assert [(operation.module, "processes" in operation.parameters) for operation in accepted(plan)] == [
        ("yara", False)
    ]
    assert ["log" in each.refused for each in plan.refused] == [True]


@pytest.mark.parametrize(
    "terms",
    [
        ((Kind.OTHER, "x"),),
        ((Kind.PORT, "80"),),
        ((Kind.SIZE, "7"),),
        ((Kind.HASH, "abcd"),),
        ((Kind.HASH, "ab" * 16), (Kind.SIZE, str(1 << 50))),
        ((Kind.PATH, "C:\\x"),),
        ((Kind.PATH, "/a/**"),),
        ((Kind.FILE_NAME, "a/b"),),
        ((Kind.FILE_PATTERN, "("),),
        ((Kind.ACCOUNT, ""),),
        ((Kind.DOMAIN, "x" * 5000),),
    ],
)
def test_what_cannot_be_asked_says_why(terms: tuple[tuple[Kind, str], ...]) -> None:
    plan = planned(one(*terms))

    assert not plan.actions
    assert plan.refused[0].refused


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [Kind.PATH, Kind.FILE_NAME, Kind.PACKAGE, Kind.PROCESS, Kind.COMMAND_LINE, Kind.ACCOUNT, Kind.DOMAIN]
            ),
            st.text(max_size=30),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_a_document_says_the_modules_accept_the_question(found: list[tuple[Kind, str]]) -> None:
    plan = planned(*(one((kind, "/" + value if kind is Kind.PATH else value)) for kind, value in found))

    accepted(plan)
    assert len(plan.indicators) + len(plan.refused) == len(set(found))


def matches(plan: Plan, module: str, row: dict[str, Any]) -> list[str]:
    chosen = next(each for each in plan.actions[0] if each.module == module)
    return [each.value for each in Matching(plan).of_row(chosen, row)]


def test_rows_lead_back_to_their_indicators() -> None:
    rules = ["rule a { condition: true }", "rule b { condition: true }"]
    plan = planned(
        one((Kind.HASH, "ab" * 32), (Kind.FILE_NAME, "other name")),
        one((Kind.FILE_NAME, "x.bin"), (Kind.SIZE, "7")),
        one((Kind.FILE_PATTERN, "^y.*z$")),
        one((Kind.PATH, "/tmp/.x/")),
        one((Kind.ADDRESS, "203.0.113.0/24")),
        one((Kind.ADDRESS, "198.51.100.7"), (Kind.PORT, "443")),
        one((Kind.PACKAGE, "Some.Thing"), (Kind.VERSION, "<2.1"), (Kind.ECOSYSTEM, "python")),
        one((Kind.PROCESS, "averyveryverylongname")),
        one((Kind.COMMAND_LINE, "curl http")),
        one((Kind.DOMAIN, "c2.example")),
        one((Kind.SSH_KEY, "aa:" * 15 + "aa")),
        *(one((Kind.YARA, text)) for text in rules),
    )

    assert matches(plan, "file", {"file": "/a/b", "hash": "ab" * 32}) == ["ab" * 32]
    assert matches(plan, "file", {"file": "/a/x.bin", "size": 7}) == ["x.bin"]
    assert matches(plan, "file", {"file": "/a/x.bin", "size": 8}) == []
    assert matches(plan, "file", {"file": "/a/yoz"}) == ["^y.*z$"]
    assert matches(plan, "file", {"file": "/tmp/.x"}) == ["/tmp/.x/"]
    assert matches(plan, "netstat", {"remote_address": "203.0.113.9"}) == ["203.0.113.0/24"]
    assert matches(plan, "netstat", {"remote_address": "198.51.100.7", "remote_port": 443}) == ["198.51.100.7"]
    assert matches(plan, "netstat", {"remote_address": "198.51.100.7", "remote_port": 80}) == []
    assert matches(plan, "pkg", {"name": "some-thing", "version": "2.0.9"}) == ["Some.Thing"]
    assert matches(plan, "pkg", {"name": "some-thing", "version": "2.1"}) == []
    assert matches(plan, "process", {"exe": "/x/averyveryverylongname (deleted)"}) == ["averyveryverylongname"]
    assert matches(plan, "process", {"name": "averyveryverylo"}) == ["averyveryverylongname"]
    assert matches(plan, "process", {"cmdline": "sh -c curl http://x"}) == ["curl http"]
    assert matches(plan, "memory", {"content": r"c2\.example"}) == ["c2.example"]
    assert matches(plan, "sshkey", {"fingerprint_md5": "aa:" * 15 + "aa"}) == ["aa:" * 15 + "aa"]
    assert matches(plan, "yara", {"namespace": "rules2"}) == [rules[1]]
    assert matches(plan, "yara", {"namespace": "rules99"}) == []


@pytest.mark.parametrize(
    ("indicator", "planted", "others"),
    [
        ("{}/sub/.x", "sub/.x", ["sub/y", ".x"]),
        ("{}/sub/*.sh", "sub/evil.sh", ["sub/evil.py", "sub/deep/evil.sh"]),
        ("{}/a?c", "abc", ["abbc"]),
        ("{}/a[1]", "a[1]", ["a1"]),
        ("{}/sub", "sub/", []),
    ],
)
def test_a_path_of_a_report_is_asked_and_found_again(
    tmp_path: Path, indicator: str, planted: str, others: list[str]
) -> None:
    for name in (planted, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_text("x")
    plan = planned(one((Kind.PATH, indicator.format(tmp_path))))
    (asked,) = plan.actions[0]
    module = load_module(asked.module)

    result = module.run(module.parse_parameters(asked.parameters), Context(deadline=time.monotonic() + 30))

    found = [row["file"] for row in module.rows(result) if Matching(plan).of_row(asked, row)]
    assert found == [f"{tmp_path}/{planted}".rstrip("/")]


def test_a_path_in_every_home_is_found_in_any() -> None:
    plan = planned(one((Kind.PATH, "~/.config/evil")))

    assert matches(plan, "file", {"file": "/home/ada/.config/evil"}) == ["~/.config/evil"]
    assert matches(plan, "file", {"file": "/home/ada/.config/evil2"}) == []


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["file", "size", "hash", "remote_address", "remote_port", "name", "version", "namespace"]),
        st.none() | st.integers() | st.text(max_size=10) | st.lists(st.text(max_size=3), max_size=2),
    ),
    st.sampled_from(["file", "netstat", "pkg", "process", "yara", "memory", "nothing"]),
)
def test_any_row_of_a_hostile_endpoint_leads_somewhere(row: dict[str, Any], module: str) -> None:
    plan = planned(one((Kind.ADDRESS, "10.0.0.0/8")), one((Kind.PACKAGE, "a"), (Kind.VERSION, ">=1,<2")))

    Matching(plan).of_row(Operation(module, {}), row)


@pytest.mark.parametrize(
    ("version", "condition", "expected"),
    [
        ("1.2.3", "1.2.3", True),
        ("v1.2.3", "1.2.3", True),
        ("1.2.30", "1.2.3", False),
        ("1.10", "<1.9", False),
        ("1.9", ">=1.0,<1.10", True),
        ("2.0rc1", "<2.0", True),
        ("2.0", "<2.0.0", False),
        ("2.0.1", "<=2.0", False),
        ("2.0-1ubuntu3", ">=2.0", True),
        ("x", ">", False),
    ],
)
def test_versions_are_compared(version: str, condition: str, expected: bool) -> None:
    assert is_affected(version, condition) is expected


@given(st.text(max_size=60))
def test_recognising_any_text_gives_terms(text: str) -> None:
    assert all(value for found in recognise(text) for _, value in found)
