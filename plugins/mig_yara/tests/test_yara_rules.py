"""Rules are compiled before anything is signed; what is wrong with them is said with line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_core.errors import ParameterError
from mig_yara import YaraModule, source
from mig_yara.rules import MAX_BYTES

if TYPE_CHECKING:
    from pathlib import Path

GOOD = 'rule good { strings: $a = "x" condition: $a }'


def refusal(*rules: str, **keys: object) -> ParameterError:
    with pytest.raises(ParameterError) as caught:
        YaraModule().parse_parameters({"rules": list(rules), "paths": ["/tmp"], **keys})
    return caught.value


def test_an_error_has_its_source_line_and_column() -> None:
    error = refusal(GOOD, "rule bad {\n  condition: $a\n}")

    assert error.path == "rules[1]"
    assert error.problem.startswith("line 2, column 14: unknown pattern `$a`")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('rule r { strings: $a = "ab" base64 condition: $a }', "too short"),
        ("rule r { condition: owner == 1 }", "unknown identifier"),
        ('import "cuckoo" rule r { condition: cuckoo.network.dns_lookup(/x/) == 1 }', "sandbox"),
        ('import "vt" rule r { condition: vt.metadata.times_submitted == 1 }', "VirusTotal"),
        ("", "is missing"),
        ("/* nothing */", "has no rule"),
        ("x" * (MAX_BYTES + 1), "at most"),
        ("\ud800", "surrogates"),
    ],
)
def test_what_no_endpoint_could_judge_is_refused(text: str, told: str) -> None:
    assert told in str(refusal(text))


def test_an_include_is_refused_and_shows_nothing_of_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:hunter2:0")

    error = refusal(f'include "{secret}"\nrule r {{ condition: true }}')

    assert "include" in str(error)
    assert "hunter2" not in str(error)


def test_files_and_processes_are_not_asked_in_one_question() -> None:
    assert "about files" in str(refusal(GOOD, processes=True))
    assert "about files" in str(refusal(GOOD, processes=True, paths=[], sizes=["<1k"]))
    assert "say where" in refusal(GOOD, paths=[]).next_step
    assert "both given" in str(refusal(GOOD, filesearch="-path /tmp -name x"))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("-path /tmp", "no filter"),
        ("-path /tmp -nam x", "no option"),
        ("-path", "no value"),
        ("-path '/tmp", "words"),
        ("-path /tmp -name x -maxdepth z", "number"),
        ("-name x", "paths"),
    ],
)
def test_a_file_specification_that_file_would_refuse_is_refused(spec: str, told: str) -> None:
    error = refusal(GOOD, paths=[], filesearch=spec)

    assert error.path == "filesearch"
    assert told in error.problem


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('rule r { strings: $a = "abcd" xor fullword condition: $a }', "fullword and xor"),
        ('import "hash" rule r { condition: hash.md5(0, filesize) == "x" }', "empty file"),
        ('import "elf" rule r { condition: elf.import_md5() == "x" }', "elf.import_md5"),
        ('import "string" rule r { condition: string.to_int("0x10") == 16 }', "as C does"),
        ('import "math" rule r { condition: math.max(-1, filesize) > 0 }', "without a sign"),
        ('import "math" rule r { condition: math.mode() == 0 }', "empty file"),
        ('import "elf" rule r { condition: elf.symtab_entries == 0 }', "stripped"),
        ('rule r { strings: $a = "abcd" condition: #a > 1000000 }', "never reached"),
        ("rule r { strings: $a = /ab[[:alpha:]]/ condition: $a }", "begins another set"),
        ("rule r { strings: $a = /ab[a-z&&c-d]/ condition: $a }", "joins two sets"),
        ("rule r { strings: $a = /ab[+--x]cd/ condition: $a }", "joins two sets"),
        (r"rule r { strings: $a = /abcd\z/ condition: $a }", "the letter z in YARA"),
        (r"rule r { strings: $a = /ab\u0041/ condition: $a }", "the letter u in YARA"),
        ("rule r { strings: $a = /abcd{ 2}/ condition: $a }", "with blanks"),
        (r'rule r { condition: "abcd" matches /ab\vcd/ }', "vertical tabulator"),
    ],
)
def test_what_yara_4_judges_otherwise_is_said(text: str, told: str) -> None:
    module = YaraModule()

    (remark,) = module.remarks(module.parse_parameters({"rules": [text], "paths": ["/tmp"]}))

    assert told in remark


@pytest.mark.parametrize("text", [GOOD, r"rule r { strings: $a = /^ab{2, 3}&&--[-][^]a\]\n-]\[\\A\b$/ condition: $a }"])
def test_nothing_is_said_of_ordinary_rules(text: str) -> None:
    module = YaraModule()

    assert not list(module.remarks(module.parse_parameters({"rules": [text], "paths": ["/tmp"]})))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='rule{}:$@#!="/\\ \nstrings condition:a.0*()[]-|?', max_size=200))
def test_reading_any_text_gives_some_answer(text: str) -> None:
    source.read(text)


def test_regular_expressions_comments_and_hex_strings_hide_nothing() -> None:
    text = r"""
    // rule not_this { condition: filesize }
    rule one : a b { meta: x = "condition: filesize" strings:
      $a = "condition: \" {" wide ascii // $b = "x"
      $b = /a\/b"[}]{2}/i nocase
      $c = { 01 /* } */ 02 }
      $d = "x" xor(1-255) private
    condition: /* filesize */ any of them and for any i in (1..2): (i == 1) }
    rule two { condition: one }"""

    read = source.read(text)

    assert [rule.name for rule in read.rules] == ["one", "two"]
    assert [(one.name, one.value.kind) for one in read.rules[0].patterns] == [
        ("$a", "text"),
        ("$b", "regex"),
        ("$c", "hex"),
        ("$d", "text"),
    ]
    assert read.rules[0].patterns[3].modifiers == ("xor(1-255)", "private")
    assert "filesize" not in read.words
