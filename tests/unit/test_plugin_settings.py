"""The table of a persistent module: what is read, and how a mistake is named."""

from __future__ import annotations

import pytest

from mig_core.errors import ConfigurationError
from mig_core.plugin.parameters import Parameters
from mig_core.plugin.settings import flag, number, read_table, rooted, setting, texts

DECLARED = Parameters(
    setting("method", "how", choices=("auto", "never"), required=True),
    texts("paths", "where", check=rooted, most=2),
    number("most", "how many", 1, 9),
    flag("deep", "whether below, too"),
)


def test_what_a_table_has_is_given_and_nothing_else() -> None:
    given = read_table(DECLARED, {"method": "auto", "paths": ["/a", "/b"], "deep": False}, path="persistent.x")

    assert given.given_values() == {"method": "auto", "paths": ("/a", "/b"), "deep": False}


@pytest.mark.parametrize(
    ("table", "key", "problem"),
    [
        ({}, "method", "is missing"),
        ({"method": "both"}, "method", "must be one of auto, never"),
        ({"method": "auto", "paths": "/a"}, "paths", "must be a list"),
        ({"method": "auto", "paths": ["/a", "b"]}, "paths[1]", "must be an absolute path"),
        ({"method": "auto", "paths": ["/a", "/b", "/c"]}, "paths", "at most 2"),
        ({"method": "auto", "most": 10}, "most", "from 1 to 9"),
        ({"method": "auto", "deep": 1}, "deep", "true or false"),
        ({"method": "auto", "Method": "never"}, "Method", "as method too"),
        ({"methud": "auto"}, "methud", "is not a known key"),
    ],
)
def test_a_mistake_names_the_path_of_its_key(table: dict[str, object], key: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_table(DECLARED, table, path="persistent.x")  # type: ignore[arg-type]  # whatever TOML gives

    assert refused.value.key == f"persistent.x.{key}"
    assert problem in refused.value.problem


def test_a_misspelt_key_gets_a_hint() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_table(DECLARED, {"methud": "auto"}, path="")

    assert refused.value.key == "methud"
    assert refused.value.next_step == "did you mean method?"
