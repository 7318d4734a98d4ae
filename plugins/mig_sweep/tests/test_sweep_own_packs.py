"""Packs of one's own: listed, shown and run like the delivered ones, and refused with the reason."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from mig_core.cli import exit_codes
from mig_core.cli.main import main
from mig_sweep.assistant import packs
from mig_sweep.pack import PackError, pack_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pack_of_ones_own_is_listed_shown_and_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text(
        textwrap.dedent(
            f"""
            version = 3
            question = "Is it there?"
            reading = "It is."
            references = []

            [[operations]]
            module = "file"

            [operations.parameters.searches.s1]
            paths = ["{tmp_path}"]
            names = ['^mine']
            """
        )
    )

    listed = main(["pack", "list", "--packs", str(tmp_path)])
    shown = main(["pack", "show", "mine", "--packs", str(tmp_path)])
    printed = capsys.readouterr().out
    ran = main(["pack", "run", "mine", "--packs", str(tmp_path), "-t", "local"])

    assert (listed, shown, ran) == (exit_codes.ALL_ANSWERED,) * 3
    assert "Is it there?" in printed
    assert f"{tmp_path}/mine.toml" in capsys.readouterr().out


def test_the_environment_names_packs_of_ones_own_where_no_option_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text(
        "version = 1\nquestion = 'Is it there?'\nreading = 'It is.'\nreferences = []\nindicators = 'example.invalid'\n"
    )
    monkeypatch.setenv("MIG_PACKS", str(tmp_path))

    listed, read = packs(), packs("mine")

    assert listed["packs"]["mine"] == read["question"] == "Is it there?"
    assert "deleted-executables" in listed["packs"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version = 1", "question"),
        ("version = 'x'\nquestion = 'a'\nreading = 'b'\nreferences = []", "asks nothing"),
        ("version = 1\nquestion = 'a'\nreading = 'b'\nreferences = []", "asks nothing"),
        ("version = 1\nsurprise = 1", "unknown"),
        ("=", "no TOML"),
        ("version = 1\nquestion = 'a'\nreading = 'b'\nreferences = []\noperations = [1]", "module"),
    ],
)
def test_a_pack_that_is_not_usable_says_why(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mine.toml").write_text(text)

    with pytest.raises(PackError) as caught:
        pack_of("mine", str(tmp_path))
    assert told in str(caught.value) or "version" in str(caught.value)


def test_an_unknown_pack_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", "run", "no-such", "-t", "local"]) == exit_codes.ERROR
    assert "mig pack list" in capsys.readouterr().err
