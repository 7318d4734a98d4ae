"""Whole searches on random trees, held against a slow reference that does one obvious thing after the other."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mig_core.plugin.coverage import Tally
from mig_core.plugin.module import Context
from mig_endpoint.finding import exploring
from mig_endpoint.finding.evaluation import Evaluation
from mig_endpoint.finding.expressions import mode_text, parse_size
from mig_file import FileModule, rows

if TYPE_CHECKING:
    from mig_endpoint.finding.search import Search

CONTENTS = [b"", b"alpha\n", b"alpha\nbeta", b"beta\r\n", b"\n", b"a\xffb\n", "é\n".encode(), b"alpha\nalpha\n"]
NAMES = ["a", "b.txt", "c.conf", "d e", "é"]
TREES = st.dictionaries(
    st.lists(st.sampled_from(["x", "y"]), max_size=2).flatmap(
        lambda parents: st.sampled_from(NAMES).map(lambda name: "/".join([*parents, name]))
    ),
    st.tuples(st.sampled_from(CONTENTS), st.sampled_from([0o644, 0o600, 0o4755])),
    max_size=6,
)
FILTERS = {
    "names": st.sampled_from([r"\.txt$", "!^a$", "^.$", "[^a]", "c"]),
    "contents": st.sampled_from(["alpha", "!alpha", "^beta$", "a.b", "^$", "!^$", "^a"]),
    "sizes": st.sampled_from(["<5", ">6", "0", "6"]),
    "modes": st.sampled_from(["^u", "!^u", "rw-------"]),
    "md5": st.sampled_from([hashlib.md5(content).hexdigest() for content in CONTENTS[:3]]),
    "sha2": st.sampled_from([hashlib.sha512(content).hexdigest() for content in CONTENTS[:3]]),
}
WORDS = {"names": "name", "contents": "content", "sizes": "size", "modes": "mode", "md5": "md5", "sha2": "sha2"}
SEARCHES = st.fixed_dictionaries(
    {
        "roots": st.lists(st.sampled_from(["", "x", "x/y", "y"]), min_size=1, max_size=2),
        "options": st.fixed_dictionaries(
            {
                "matchall": st.booleans(),
                "macroal": st.booleans(),
                "maxdepth": st.sampled_from([0, 1, 2]),
                "mismatch": st.lists(st.sampled_from(sorted(WORDS.values())), max_size=2),
            }
        ),
    },
    optional={key: st.lists(values, min_size=1, max_size=2) for key, values in FILTERS.items()},
).filter(lambda search: any(key in search for key in FILTERS))


def _lines(content: bytes) -> list[str]:
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]


def _passes(path: Path, key: str, value: str, options: dict[str, Any]) -> bool:
    inverted = key in ("names", "contents", "modes") and value.startswith("!") and len(value) > 1
    regex = value[1:] if inverted else value
    content = path.read_bytes()
    if key == "names":
        outcome = re2.search(regex, path.name) is not None
    elif key == "modes":
        outcome = re2.search(regex, mode_text(path.stat().st_mode)) is not None
    elif key == "sizes":
        outcome = parse_size(value).holds(len(content))
    elif key == "contents":
        answers = [re2.search(regex, line) is not None for line in _lines(content)]
        every = options["macroal"] and not inverted  # inverted, macroal too means: no line may match
        outcome = bool(answers) and all(answers) if every else any(answers)
    else:
        outcome = hashlib.new("md5" if key == "md5" else "sha512", content).hexdigest() == value
    return (outcome != inverted) != (WORDS[key] in options["mismatch"])


def _passes_all(path: Path, search: dict[str, Any]) -> bool:
    """Values of which a file has only one are alternatives."""
    options = search["options"]
    for key in FILTERS:
        mismatched = WORDS[key] in options["mismatch"]
        values = search.get(key, [])
        exact = [value for value in values if key in ("md5", "sha2") or (key == "sizes" and value[0] not in "<>")]
        any_of_them = any(_passes(path, key, value, options) != mismatched for value in exact)
        if exact and any_of_them == mismatched:
            return False
        if not all(_passes(path, key, value, options) for value in values if value not in exact):
            return False
    return True


def _expected(base: Path, search: dict[str, Any]) -> set[tuple[str, str]]:
    found = set()
    for root in search["roots"]:
        start = base / root if root else base
        for directory, _, names in os.walk(start):
            depth = len(Path(directory).relative_to(start).parts) + 1
            if search["options"]["maxdepth"] and depth > search["options"]["maxdepth"]:
                continue
            for name in names:
                path = Path(directory) / name
                checks = [(key, value) for key in FILTERS for value in search.get(key, [])]
                passed = [_passes(path, key, value, search["options"]) for key, value in checks]
                if search["options"]["matchall"] and _passes_all(path, search):
                    found.add((str(path), "all"))
                if not search["options"]["matchall"]:
                    found |= {
                        (str(path), f"{key}={value}") for (key, value), yes in zip(checks, passed, strict=True) if yes
                    }
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=TREES, asked=st.lists(SEARCHES, min_size=1, max_size=3))
def test_every_search_finds_what_the_reference_finds(
    tree: dict[str, tuple[bytes, int]], asked: list[dict[str, Any]]
) -> None:
    base = Path(tempfile.mkdtemp(prefix="mig-reference-"))
    try:
        for directory in ("x/y", "y", "x/x", "y/x", "y/y"):
            (base / directory).mkdir(parents=True, exist_ok=True)
        for name, (content, mode) in tree.items():
            (base / name).write_bytes(content)
            (base / name).chmod(mode)
        module = FileModule()
        raw = {
            f"s{number}": {
                "paths": [f"{base}/{root}" for root in search["roots"]],
                **{key: value for key, value in search.items() if key != "roots"},
            }
            for number, search in enumerate(asked)
        }

        searches = module.parse_parameters({"searches": raw})
        result = module.run(searches, Context(deadline=time.monotonic() + 60))

        assert _with_two_threads(searches) == [
            [hit.path for slot in run.slots for hit in slot.hits] for run in _with_one_thread(searches).runs
        ]
        elements: Any = result.elements
        for number, search in enumerate(asked):
            rows = [row for row in elements[f"s{number}"] if row["file"]]
            found = [(row["file"], _check(row, matchall=search["options"]["matchall"])) for row in rows]
            unique = {(path, check.lower() if "md5" in check or "sha2" in check else check) for path, check in found}
            assert unique == _expected(base, search)
            if all(len(search.get(key, [])) == len(set(search.get(key, []))) for key in FILTERS):
                assert len(found) == len(unique)
        assert result.coverage.complete
    finally:
        shutil.rmtree(base)


def _with_one_thread(searches: tuple[Search, ...]) -> Evaluation:
    tally = Tally(0)
    evaluation = Evaluation(searches, tally, lambda: False, time.time_ns(), rows.keep)
    exploring.explore(searches, evaluation, tally, lambda: 60.0)
    return evaluation


def _with_two_threads(searches: tuple[Search, ...]) -> list[list[str]]:
    tally = Tally(0)
    evaluation = Evaluation(searches, tally, lambda: False, time.time_ns(), rows.keep, processes=2, large=1)
    try:
        exploring.explore(searches, evaluation, tally, lambda: 60.0)
    finally:
        evaluation.close()
    assert tally.complete
    return [[hit.path for slot in run.slots for hit in slot.hits] for run in evaluation.runs]


def _check(row: dict[str, Any], *, matchall: bool) -> str:
    if matchall:
        return "all"
    ((key, (value,)),) = [(key, value) for key, value in row["search"].items() if key in FILTERS]
    return f"{key}={value}"
