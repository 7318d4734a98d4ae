"""The access control list: its form, and what weights add up to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.acl import Acl, AclEntry, read_acl
from mig_core.domain.ids import Fingerprint
from mig_core.errors import InvalidDocument, Refused

ALICE, BOB, CAROL = (Fingerprint(letter * 40) for letter in "ABC")
FILE = {
    "default": {
        "minimumweight": 2,
        "investigators": {
            "Alice": {"fingerprint": ALICE, "weight": 1},
            "Bob": {"fingerprint": "0x" + "bbbb " * 10, "weight": 1},
        },
    },
    "file": {"minimumweight": 1, "investigators": {"Alice": {"fingerprint": ALICE, "weight": 1}}},
}
LIST = read_acl(json.dumps(FILE).encode())


def entry(**changes: Any) -> bytes:
    plain = {"minimumweight": 1, "investigators": {"Alice": {"fingerprint": ALICE, "weight": 1}}}
    return json.dumps({"default": plain | changes}).encode()


def test_a_file_of_the_originals_form_is_read() -> None:
    assert Acl({"default": AclEntry(2, {ALICE: 1, BOB: 1}), "file": AclEntry(1, {ALICE: 1})}) == LIST


def test_a_modules_own_entry_wins_over_the_default_and_is_not_added_to_it() -> None:
    LIST.check("file", [ALICE])
    LIST.check("pkg", [ALICE, BOB])

    with pytest.raises(Refused, match="module file needs weight 1, has 0"):
        LIST.check("file", [BOB])
    with pytest.raises(Refused, match="module pkg needs weight 2, has 1"):
        LIST.check("pkg", [ALICE])


def test_without_entry_and_default_a_module_may_not_be_run() -> None:
    acl = Acl({"file": AclEntry(1, {ALICE: 1})})

    with pytest.raises(Refused, match="neither an entry for it nor a default") as refusal:
        acl.check("memory", [ALICE])
    with pytest.raises(Refused):
        Acl().check("file", [ALICE])

    assert refusal.value.check == "acl"


@given(
    st.dictionaries(st.sampled_from([ALICE, BOB, CAROL]), st.integers(1, 1000)),
    st.lists(st.sampled_from([ALICE, BOB, CAROL])),
)
def test_each_signer_counts_once_and_strangers_count_nothing(
    weights: dict[Fingerprint, int], signers: list[Fingerprint]
) -> None:
    expected = sum(weight for signer, weight in weights.items() if signer in signers)

    assert AclEntry(1, weights).weight_of(signers) == expected


def test_who_stands_in_any_entry_is_known() -> None:
    assert LIST.knows(BOB) and not LIST.knows(CAROL)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"[]", ""),
        (b'{"default": null}', "default"),
        (b'{"default": {}, "default": {}}', ""),
        (entry(minimumweight=0), "default.minimumweight"),
        (entry(minimumweight=-1), "default.minimumweight"),
        (entry(minimumweight=True), "default.minimumweight"),
        (entry(minimum=1), "default.minimum"),
        (entry(investigators=[]), "default.investigators"),
        (entry(investigators={"A": {"fingerprint": ALICE, "weight": 0}}), "default.investigators.A.weight"),
        (entry(investigators={"A": {"fingerprint": ALICE, "weight": 1.5}}), "default.investigators.A.weight"),
        (entry(investigators={"A": {"fingerprint": "A0", "weight": 1}}), "default.investigators.A.fingerprint"),
        (entry(investigators={"A": {"fingerprint": ALICE, "weight": 1, "x": 1}}), "default.investigators.A.x"),
        (
            entry(investigators={name: {"fingerprint": ALICE, "weight": 1} for name in "AB"}),
            "default.investigators.B.fingerprint",
        ),
    ],
)
def test_a_file_that_could_be_misread_is_refused_with_the_path(raw: bytes, path: str) -> None:
    with pytest.raises(InvalidDocument) as error:
        read_acl(raw)

    assert error.value.path == path


@given(st.binary(max_size=200))
def test_reading_any_bytes_gives_a_list_or_an_invalid_document(raw: bytes) -> None:
    try:
        read_acl(raw)
    except InvalidDocument as error:
        assert error.subject == "acl"


def test_an_empty_object_is_a_list_that_allows_nothing() -> None:
    assert read_acl(b"{}") == Acl()
