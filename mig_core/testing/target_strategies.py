"""Hypothesis strategies for targets and the agents they may mean.

Texts, keys and patterns come from small pools with odd members (quotes, wildcards, capitals outside ASCII, newlines),
so that tests often hit; free text is mixed in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from mig_core.domain.target.agent_view import AgentView
from mig_core.domain.target.regex import parse_regex
from mig_core.domain.target.tree import Answer
from mig_core.errors import TargetError

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
"""An instant near which the times of agents and targets lie; a test may shift both with its own now."""

ACTIONS = ("0197f9f0-0000-7000-8000-000000000001", "0197f9f0-0000-7000-8000-000000000002")

_ODD_TEXTS = [
    *(
        "web1",
        "web2",
        "WEB1",
        "db_1",
        "db-1.example.com",
        "a%b",
        "back\\slash",
        "back\\",
        "it's",
        "",
        " ",
        "ab\ncd",
        "\n",
    ),
    *(
        "ünïcode",
        "ÜNÏCODE",
        "😀",
        "İi",
        "ǅ",
        "ß",
        "\u212a",
        "\uffff",
        "\U0010ffff",
        "e\u0301",
        "\x01",
        "123",
        "-1",
        "null",
    ),
]
_LETTERS = "aAbBzZ01_%\\'-. \n\tüÜ\u212aİ😀\uffff\U00010000"
_free = st.text(st.one_of(st.sampled_from(_LETTERS), st.characters(exclude_characters="\0", codec="utf-8")), max_size=6)
texts = st.one_of(st.sampled_from(_ODD_TEXTS), st.text(st.sampled_from(_LETTERS), max_size=5), _free)
"""Any text a database can hold."""

keys = st.sampled_from(["os", "arch", "ident", "k", "a", "it's", "😀", "", "A"])
statuses = st.sampled_from(["pending", "online", "idle", "offline", "retired"])
integers = st.one_of(st.integers(-3, 3), st.sampled_from([-(1 << 63), (1 << 63) - 1, 4711]))
_offsets = st.one_of(st.integers(-90000, 90000).map(float), st.sampled_from([0.0, 60.0, -60.0, -86400.0, 0.000001]))
times = _offsets.map(lambda seconds: NOW + timedelta(seconds=seconds))
_networks = st.sampled_from(
    [
        "10.0.0.0/8",
        "10.1.2.3",
        "10.1.2.3/16",
        "0.0.0.0/0",
        "192.168.1.0/25",
        "::/0",
        "fe80::/10",
        "2001:db8::1",
        "::ffff:10.1.2.3",
    ]
)
_addresses = st.sampled_from(
    [
        "10.1.2.3",
        "10.1.2.3/24",
        "192.168.1.77/24",
        "192.168.1.200",
        "fe80::1/64",
        "2001:db8::1",
        "::1",
        "::ffff:10.1.2.3/128",
    ]
)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(keys, texts), inner, max_size=3)),
    max_leaves=6,
)
environments = st.dictionaries(keys, st.one_of(texts, _json), max_size=6)
tags = st.dictionaries(keys, texts, max_size=4)


@st.composite
def agent_views(draw: st.DrawFn) -> AgentView:
    """An agent of which everything is known, with NULLs and missing keys."""
    answers = draw(st.sets(st.tuples(st.sampled_from(Answer), st.sampled_from(ACTIONS)), max_size=3))
    return AgentView(
        id=draw(texts),
        name=draw(texts),
        version=draw(st.one_of(st.none(), texts)),
        mode=draw(st.one_of(st.none(), texts)),
        relay=draw(st.one_of(st.none(), texts)),
        pid=draw(st.one_of(st.none(), integers)),
        environment=draw(environments),
        tags=draw(tags),
        addresses=draw(st.lists(_addresses, max_size=3)),
        status=draw(statuses),
        heartbeat=draw(st.one_of(st.none(), times)),
        starttime=draw(st.one_of(st.none(), times)),
        answered=lambda answer, action: (answer, action) in answers,
    )


def quoted(text: str) -> str:
    """The text as a target writes it."""
    return "'" + text.replace("'", "''") + "'"


_regex_atoms = st.one_of(
    st.sampled_from(
        ["a", "A", "b", "1", "_", "-", " ", "\n", "é", "ü", "Ü", "\u212a", "k", "😀", "'", "%", "<", "/", "}", "]"]
    ),
    st.sampled_from([".", "^", "$", r"\.", r"\\", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\n", r"\x41", r"\u00fc"]),
    st.sampled_from(
        ["[a-z]", "[^a-z]", "[A-Z0-9_]", r"[\d.]", r"[^\s\w]", "[]a]", "[^]]", "[a-]", "[[:upper:]]", "[^[:punct:]]"]
    ),
    st.sampled_from(["[ü-😀]", r"[\]\\^-]", r"[^\W]", "()", "(?:)", r"\A", r"\z", "[K-k]", "[\u0300-\uffff]", "[[a]"]),
)


def _repeated(atom: str, quantifier: str) -> str:
    return atom if atom in ("^", "$", r"\A", r"\z") else atom + quantifier


_quantifiers = st.sampled_from(["*", "+", "?", "{2}", "{0}", "{0,1}", "{1,3}", "{2,}", "*?", "+?", "{1,2}?"])


def _within_limits(pattern: str) -> bool:
    try:
        parse_regex(pattern)
    except TargetError:
        return False
    return True


regexes = st.builds(
    str.__add__,
    st.sampled_from(["", "", "", "(?i)"]),
    st.recursive(
        _regex_atoms,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4).map("".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: "(" + "|".join(items) + ")"),
            st.builds(_repeated, inner.map(lambda item: f"(?:{item})"), _quantifiers),
            st.builds(_repeated, _regex_atoms, _quantifiers),
        ),
        max_leaves=8,
    ),
).filter(_within_limits)
"""Regular expressions of the supported subset."""

likes = st.one_of(
    texts.filter(lambda text: (len(text) - len(text.rstrip("\\"))) % 2 == 0),
    st.lists(
        st.sampled_from(["%", "_", "a", "A", "web", r"\%", r"\_", "\\\\", "\n", "ü", "😀", r"\A", "1"]), max_size=6
    ).map("".join),
)
"""LIKE patterns."""

_json_operands = st.one_of(
    st.sampled_from(
        ["os", "arch", "IDENT", "tags.k", "environment.os", "environment.a.b", "tags.A", "environment.k.a.A"]
    ),
    keys.map(lambda key: f"tags->>{quoted(key)}"),
    st.lists(keys, min_size=1, max_size=3).map(
        lambda path: "environment" + "".join(f" -> {quoted(key)}" for key in path[:-1]) + f" ->> {quoted(path[-1])}"
    ),
)
_text_operands = st.one_of(st.sampled_from(["id", "name", "Version", "mode", "relay", "agentid"]), _json_operands)
_comparators = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
_negation = st.sampled_from(["", "NOT "])
_moments = st.one_of(
    times.map(lambda moment: quoted(moment.isoformat())),
    st.just("NOW()"),
    st.builds(
        lambda sign, count, unit: f"now() {sign} interval '{count} {unit}'",
        st.sampled_from("+-"),
        st.integers(0, 100),
        st.sampled_from(["second", "minutes", "hour", "days", "week"]),
    ),
)


def _tests_of(operands: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(lambda o, c, v: f"{o} {c} {v}", operands, _comparators, values),
        st.builds(
            lambda o, n, vs: f"{o} {n}IN ({', '.join(vs)})",
            operands,
            _negation,
            st.lists(values, min_size=1, max_size=4),
        ),
        st.builds(lambda o, n, low, high: f"{o} {n}BETWEEN {low} AND {high}", operands, _negation, values, values),
        st.builds(lambda o, n: f"{o} IS {n}NULL", operands, _negation),
    )


tests = st.one_of(
    _tests_of(_text_operands, texts.map(quoted)),
    _tests_of(st.just("pid"), integers.map(str)),
    _tests_of(st.sampled_from(["heartbeat_at", "heartbeattime", "started_at"]), _moments),
    st.builds(
        lambda o, n, op, p: f"{o} {n}{op} {quoted(p)}",
        _text_operands,
        _negation,
        st.sampled_from(["LIKE", "ilike"]),
        likes,
    ),
    st.builds(
        lambda o, op, p: f"{o} {op} {quoted(p)}", _text_operands, st.sampled_from(["~", "~*", "!~", "!~*"]), regexes
    ),
    st.builds(lambda c, s: f"status {c} '{s}'", _comparators, statuses),
    _networks.map(lambda network: f"address <<= '{network}'"),
    st.lists(_networks, min_size=1, max_size=3).map(lambda ns: "address IN (" + ", ".join(map(quoted, ns)) + ")"),
    st.builds(lambda answer, action: f"{answer}('{action}')", st.sampled_from(Answer), st.sampled_from(ACTIONS)),
    st.sampled_from(["all", "web*", "*b_1%", "d?-1*"]),
)
"""One test, or a name pattern."""

target_texts = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds(
            lambda items, operator: f" {operator} ".join(f"({item})" for item in items),
            st.lists(inner, min_size=2, max_size=3),
            st.sampled_from(["AND", "OR"]),
        ),
        inner.map(lambda item: f"NOT ({item})"),
        st.builds(
            lambda left, operator, right: f"{left} {operator} NOT {right}", tests, st.sampled_from(["and", "or"]), tests
        ),
    ),
    max_leaves=6,
)
"""The text of a target; every one parses."""
