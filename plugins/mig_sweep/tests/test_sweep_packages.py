"""Packages of advisories and inventories: each document, its question, and the rows that are a sign of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mig_core.plugin.manager import load_module
from mig_sweep.documents.reading import read_all
from mig_sweep.indicator import Kind
from mig_sweep.matching import Matching
from mig_sweep.plan import Plan, Settings, plan_of
from mig_sweep.versions import is_affected

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def planned(folder: Path, document: Any, **options: Any) -> Plan:
    (folder / "d.json").write_text(json.dumps(document), encoding="utf-8")
    return plan_of(read_all([str(folder / "d.json")], NOW), Settings(**options))


def signs(plan: Plan, **row: Any) -> list[str]:
    """The names of the indicators that a row of ``pkg`` is a sign of; its module takes the question."""
    operation = next(one for operations in plan.actions for one in operations)
    load_module("pkg").parse_parameters(operation.parameters)
    return [one.name for one in Matching(plan).of_row(operation, {"arch": "amd64", **row})]


def osv(ecosystem: str, name: str, *events: dict[str, str], versions: tuple[str, ...] = (), **more: Any) -> Any:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    affected = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": ranges, "versions": list(versions)}
    return {"id": "X", "affected": [affected], **more}


def bom(*components: dict[str, Any]) -> Any:
    return {"bomFormat": "CycloneDX", "serialNumber": "X", "components": list(components)}


START = {"introduced": "0"}


@pytest.mark.parametrize(
    ("document", "row"),
    [
        (
            osv("Debian:12", "openssh", START, {"fixed": "1:9.2p1-2+deb12u3"}),
            {"name": "openssh", "version": "1:9.2p1-2+deb12u2", "type": "dpkg"},
        ),
        (
            osv("Debian:12", "xz-utils", START, {"fixed": "5.4.1-0.2"}),
            {"name": "liblzma5:amd64", "version": "5.4.1-0.1+b3", "type": "dpkg", "source": "xz-utils"}
            | {"sourceversion": "5.4.1-0.1"},
        ),
        (
            osv("Alpine:v3.20", "openssl", START, {"fixed": "3.3.2-r1"}),
            {"name": "libcrypto3", "version": "3.3.2-r0", "type": "apk", "source": "openssl"},
        ),
        (
            osv("Rocky Linux:9", "bind", START, {"fixed": "32:9.16.23-18.el9_4.6"}),
            {"name": "bind-libs", "version": "32:9.16.23-18.el9_4.1", "type": "rpm", "source": "bind"}
            | {"sourceversion": "9.16.23-18.el9_4.1"},
        ),
        (
            osv("PyPI", "foo", START, {"fixed": "2.0"}, versions=("1.0",)),
            {"name": "Foo", "version": "1.5", "type": "python"},
        ),
        (osv("PyPI", "foo", versions=("1.0.0",)), {"name": "foo", "version": "1.0", "type": "python"}),
        (
            osv("npm", "foo", {"fixed": "1.2.0"}, START, {"introduced": "3.0.0"}),
            {"name": "foo", "version": "1.2.0-rc.1", "type": "npm"},
        ),
        (
            bom({"name": "a", "version": "1", "components": [{"name": "b", "components": [{"name": "c"}]}]}),
            {"name": "c", "version": "3", "type": "npm"},
        ),
        (
            bom({"group": "@babel", "name": "core", "version": "1.0.0"}),
            {"name": "@babel/core", "version": "1.0.0", "type": "npm"},
        ),
        (bom({"name": "core", "purl": "pkg:npm/@babel/core@1.0.0"}), {"name": "@babel/core", "version": "1.0.0"}),
        (
            bom({"name": "curl", "purl": "pkg:RPM/fedora/curl@7.50.3-1.fc25?arch=x86_64&epoch=1#x"}),
            {"name": "curl", "version": "1:7.50.3-1.fc25", "type": "rpm"},
        ),
        (
            bom({"name": "xz-utils", "purl": "pkg:deb/debian/xz-utils@5.6.1-1?arch=source"}),
            {"name": "liblzma5:amd64", "version": "5.6.1-1", "type": "dpkg", "source": "xz-utils"},
        ),
        (
            bom({"name": "libc6", "purl": "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64"}),
            {"name": "libc6:amd64", "version": "2.36-9+deb12u4", "type": "dpkg"},
        ),
    ],
)
def test_a_row_is_a_sign_of_the_package_that_a_document_names(tmp_path: Path, document: Any, row: Any) -> None:
    assert [name.partition(" ")[0] for name in signs(planned(tmp_path, document), **row)] == ["X"]


@pytest.mark.parametrize(
    ("document", "row"),
    [
        (
            osv("Debian:12", "openssh", START, {"fixed": "1:9.2p1-2+deb12u3"}),
            {"name": "openssh", "version": "1:9.2p1-2+deb12u3", "type": "dpkg"},
        ),
        (
            osv("npm", "foo", {"fixed": "1.2.0"}, START, {"introduced": "3.0.0"}),
            {"name": "foo", "version": "2.9.9", "type": "npm"},
        ),
        (osv("npm", "foo", START), {"name": "foo", "version": "1.0", "type": "python"}),
        (
            bom({"name": "curl", "purl": "pkg:rpm/fedora/curl@7.50.3-1.fc25?epoch=1"}),
            {"name": "curl", "version": "7.50.3-1.fc25", "type": "rpm"},
        ),
    ],
)
def test_a_row_of_another_version_or_ecosystem_is_a_sign_of_nothing(tmp_path: Path, document: Any, row: Any) -> None:
    assert signs(planned(tmp_path, document), **row) == []


def test_programs_are_looked_for_below_paths_and_do_not_spoil_the_other_questions(tmp_path: Path) -> None:
    document = bom({"purl": "pkg:golang/a/b@v1.0.0"}, {"purl": "pkg:cargo/c@1.0.0"}, {"purl": "pkg:npm/d@1.0.0"})

    everywhere = [one.parameters for one in planned(tmp_path, document).actions[0]]
    below = [one.parameters for one in planned(tmp_path, document, roots=("/srv",)).actions[0]]

    for parameters in (*everywhere, *below):
        load_module("pkg").parse_parameters(parameters)
    assert [(one["types"], "paths" in one) for one in everywhere] == [
        *((["cargo"], True), (["go"], True), (["npm"], False)),
    ]
    assert [one.get("paths") for one in below] == [["/srv"], ["/srv"], None]


def test_what_may_be_of_any_kind_is_looked_for_in_programs_and_jars_too(tmp_path: Path) -> None:
    document = bom({"name": "log4j-core", "version": "2.14.1"})

    asked = [one.parameters for one in planned(tmp_path, document).actions[0]]
    jars = [one.parameters for one in planned(tmp_path, bom({"purl": "pkg:maven/a/b@1"}), roots=("/srv",)).actions[0]]

    assert [(one["types"], "paths" in one) for one in asked] == [(["all"], False), (["cargo", "go", "jar"], True)]
    assert [(one["types"], one.get("paths")) for one in jars] == [(["jar"], None), (["jar"], ["/srv"])]
    for parameters in (*asked, *jars):
        load_module("pkg").parse_parameters(parameters)


@pytest.mark.parametrize(
    ("named", "is_sign"), [("log4j-core", True), ("org.apache:log4j-core", True), ("org.other:log4j-core", False)]
)
def test_a_jar_is_a_sign_of_its_artifact_with_and_without_the_group(tmp_path: Path, named: str, is_sign: bool) -> None:
    plan = planned(tmp_path, bom({"name": named, "version": "2.14.1"}))

    assert bool(signs(plan, name="org.apache:log4j-core", version="2.14.1", type="jar")) is is_sign


def test_a_component_with_a_group_and_no_package_url_may_be_maven_s(tmp_path: Path) -> None:
    plan = planned(tmp_path, bom({"group": "org.apache", "name": "log4j-core", "version": "2.14.1"}))

    assert signs(plan, name="org.apache:log4j-core", version="2.14.1", type="jar")


def test_a_listed_version_inside_a_range_is_not_asked_twice(tmp_path: Path) -> None:
    document = osv("npm", "foo", START, {"last_affected": "1.4.0"}, versions=("1.3.0", "1.4.0", "9.0.0"))

    plan = planned(tmp_path, document)

    limits = [term.value for one in plan.indicators for term in one.terms if term.kind is Kind.VERSION]
    assert limits == ["<=1.4.0", "9.0.0"]


def test_a_withdrawn_advisory_is_left_out_and_said(tmp_path: Path) -> None:
    plan = planned(tmp_path, osv("npm", "foo", START, withdrawn="2026-01-01T00:00:00Z"))

    assert [one.refused for one in plan.refused] == ["the advisory was withdrawn"]


def test_an_advisory_of_one_release_says_which_in_its_name(tmp_path: Path) -> None:
    plan = planned(tmp_path, osv("Debian:12", "bash", START))

    assert [(one.name, "one release" in one.note) for one in plan.indicators] == [("X of Debian 12", True)]


@pytest.mark.parametrize(
    ("version", "condition", "kind", "expected"),
    [
        ("1:1.0-1", "<2.0", "dpkg", False),
        ("1.0~rc1-1", "<1.0", "dpkg", True),
        ("1.0-1.el9", "1.0", "rpm", True),
        ("1.0_rc1", "<1.0", "apk", True),
        ("1.0.post1", "<=1.0", "python", False),
        ("1.0.0-beta.10", "<1.0.0-beta.9", "npm", False),
        ("not a version", "<2.0", "dpkg", True),
        ("1" * 600, ">2", "dpkg", True),
    ],
)
def test_versions_are_compared_by_the_rules_of_the_type(
    version: str, condition: str, kind: str, expected: bool
) -> None:
    assert is_affected(version, condition, kind) is expected
