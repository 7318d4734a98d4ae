"""Identifiers, points in time, durations."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mig_core.domain.ids import agent_id, check_agent_id, check_fingerprint, check_uuid, uuid7
from mig_core.domain.times import format_duration, format_time, parse_duration, parse_time
from mig_core.errors import InvalidDocument

ANYTHING = st.text() | st.none() | st.integers() | st.lists(st.text()) | st.binary()
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(MOMENTS, st.binary(min_size=10, max_size=10))
def test_a_uuid7_has_version_variant_and_its_moment(now: datetime, randomness: bytes) -> None:
    text = uuid7(now, randomness)

    made = uuid.UUID(text)
    assert made.version == 7 and made.variant == uuid.RFC_4122
    assert made.int >> 80 == int(now.timestamp() * 1000)
    assert check_uuid(text.upper(), subject="x", path="id") == text


def test_uuids_made_later_sort_later() -> None:
    moments = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=step) for step in range(50)]
    texts = [uuid7(moment, bytes([255 - step] * 10)) for step, moment in enumerate(moments)]

    assert texts == sorted(texts)


@pytest.mark.parametrize(
    "text",
    [
        "0197f9f0197f9f0197f9f0197f9f0197----",
        "{0197f9f0-1111-7222-8333-44445555666}",
        "0197f9f0-1111-7222-8333-44445555666",
        "0197f9f0-1111-7222-8333-4444555566_6",
        "\u0660197f9f0-1111-7222-8333-444455556666",
        "0197f9f0-1111-7222-8333-444455556666\n",
        7,
        None,
    ],
)
def test_only_the_usual_form_of_a_uuid_is_accepted(text: object) -> None:
    with pytest.raises(InvalidDocument, match="x: id: must be a UUID"):
        check_uuid(text, subject="x", path="id")


@given(ANYTHING)
def test_checking_anything_gives_an_identifier_or_an_invalid_document(value: object) -> None:
    for check in (check_uuid, check_agent_id, check_fingerprint):
        with_error = False
        try:
            check(value, subject="x", path="id")
        except InvalidDocument:
            with_error = True
        assert with_error or isinstance(value, str)


@given(st.binary(min_size=32, max_size=32))
def test_an_agents_id_derives_from_its_key(public_key: bytes) -> None:
    identifier = agent_id(public_key)

    assert check_agent_id(identifier, subject="x", path="id") == identifier
    assert agent_id(bytes([public_key[0] ^ 1]) + public_key[1:]) != identifier


@pytest.mark.parametrize(
    "text",
    [
        "e60892bb9bd89a69f759a1a0a3d652173b763e8f",
        "0xE60892BB9BD89A69F759A1A0A3D652173B763E8F",
        "E608 92BB 9BD8 9A69 F759  A1A0 A3D6 5217 3B76 3E8F",
    ],
)
def test_a_fingerprint_is_read_as_people_write_it(text: str) -> None:
    expected = "E60892BB9BD89A69F759A1A0A3D652173B763E8F"

    assert check_fingerprint(text, subject="x", path="f") == expected


@pytest.mark.parametrize("text", ["3B763E8F", "G" * 40, "A" * 64, "", None])
def test_a_short_or_foreign_fingerprint_is_refused(text: object) -> None:
    with pytest.raises(InvalidDocument, match="40 hexadecimal digits"):
        check_fingerprint(text, subject="x", path="f")


@given(MOMENTS)
def test_a_time_is_read_back_the_same(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment


def test_times_are_utc_whatever_their_offset_and_digits_past_microseconds_are_dropped() -> None:
    assert parse_time("2026-11-23T03:00:00+02:00") == datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert parse_time("2026-11-23T03:00:00.123456789Z").microsecond == 123456
    assert format_time(datetime(2026, 11, 23, 3, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-23T02:00:00Z"


@given(ANYTHING | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_reading_anything_as_a_time_or_duration_raises_nothing_but_value_errors(value: object) -> None:
    for read in (parse_time, parse_duration):
        try:
            read(value)
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23 03:00:00Z",
        "2026-11-23T03:00:00",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "٢٠٢٦-11-23T03:00:00Z",
        "",
    ],
)
def test_a_time_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@given(st.integers(0, 10**11))
def test_a_duration_is_read_back_the_same_to_the_millisecond(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)

    assert abs(parse_duration(format_duration(duration)) - duration) < timedelta(microseconds=500)


@pytest.mark.parametrize(
    ("text", "seconds"), [("300s", 300), ("1h30m", 5400), ("2d", 172800), ("250ms", 0.25), ("1.5m", 90), ("0s", 0)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["300", "-1s", "1 h", "", "9" * 41 + "s", "40000d", "٣s", 300, None])
def test_durations_without_unit_or_beyond_bounds_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(text)
