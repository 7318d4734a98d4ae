"""What is built into other packages: wheels' bills of materials, and Java archives."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from mig_endpoint.packages.versions import maven

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

SITE = "/usr/lib/python3.11/site-packages"
CYCLONE = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "metadata": {"component": {"name": "whole", "version": "9"}},
    "components": [
        {"name": "openssl", "version": "3.0.7", "purl": "pkg:generic/openssl@3.0.7?download_url=x"},
        {"name": "openssl-sys", "version": "0.9.115", "purl": "pkg:cargo/openssl-sys@0.9.115"},
        {"name": "PIL._imaging", "version": "13.0.0", "purl": "pkg:pypi/pillow@13.0.0#c-ext/PIL._imaging"},
        {"group": "@s", "name": "b", "version": "1.0.0", "purl": "pkg:npm/%40s/b@1.0.0"},
        {"name": "outer", "components": [{"name": "libXau", "version": "1.0.9-3.el8", "purl": "pkg:rpm/a/libXau@1"}]},
    ],
}
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {"name": "zlib", "versionInfo": "1.3", "externalRefs": [{"referenceType": "purl", "referenceLocator": "x"}]}
    ],
}


def test_components_of_a_wheel_s_bills_of_materials_are_found(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    info = f"{SITE}/big-1.dist-info"
    write(f"{info}/METADATA", "Metadata-Version: 2.5\nName: big\nVersion: 1\n")
    write(f"{info}/sboms/a.cdx.json", json.dumps(CYCLONE))
    write(f"{info}/sboms/b.spdx.json", json.dumps(SPDX))

    said = ask(".", root=str(tmp_path), types=["sbom"])

    assert [(row["name"], row["version"], row.get("ecosystem")) for row in said.rows] == [
        ("@s/b", "1.0.0", "npm"),
        ("PIL._imaging", "13.0.0", "python"),
        ("libXau", "1.0.9-3.el8", "rpm"),
        ("openssl", "3.0.7", None),
        ("openssl-sys", "0.9.115", "cargo"),
        ("outer", "", None),
        ("zlib", "1.3", None),
    ]
    assert said.rows[0]["path"] == f"{info}/sboms/a.cdx.json"
    assert said.complete
    assert ask("^openssl$", version="<3.0.14", root=str(tmp_path), types=["sbom"]).names == ["openssl"]
    assert len(ask(".", root=str(tmp_path), types=["sbom"], paths=[info]).rows) == len(said.rows)
    assert ask("openssl", root=str(tmp_path), types=["all"]).rows == []


@pytest.mark.parametrize("content", ["{", "[]", '{"bomFormat": "other"}', "<bom/>"])
def test_a_bill_of_another_form_is_said(content: str, write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write(f"{SITE}/big-1.dist-info/sboms/x", content)

    assert ask(".", root=str(tmp_path), types=["sbom"]).reasons == {"record not understood": 1}


def pom(group: str, artifact: str, version: str) -> tuple[str, str]:
    return (
        f"META-INF/maven/{group}/{artifact}/pom.properties",
        f"#Created\r\nversion={version}\r\ngroupId={group}\r\nartifactId = {artifact}\r\n",
    )


def jar(*members: tuple[str, str | bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return raw.getvalue()


LOG4J = pom("org.apache.logging.log4j", "log4j-core", "2.14.1")


@pytest.fixture
def found(write: Any, ask: Any, tmp_path: pathlib.Path) -> Callable[..., list[tuple[str, str, str]]]:
    def found(file: str, content: bytes, name: str = ".") -> list[tuple[str, str, str]]:
        write(file, content)
        rows = ask(name, root=str(tmp_path), types=["jar"]).rows
        return [(row["name"], row["version"], row["path"]) for row in rows]

    return found


def test_an_archive_is_what_maven_wrote_into_it(found: Any) -> None:
    rows = found("/opt/app/lib/l.jar", jar(LOG4J), "^log4j-core$")

    assert rows == [("org.apache.logging.log4j:log4j-core", "2.14.1", "/opt/app/lib/l.jar")]


def test_archives_that_were_merged_are_each_found(found: Any) -> None:
    rows = found("/opt/fat.jar", jar(LOG4J, pom("a", "b", "1"), ("META-INF/MANIFEST.MF", "Bundle-SymbolicName: z\n")))

    assert [row[0] for row in rows] == ["a:b", "org.apache.logging.log4j:log4j-core"]


def test_archives_in_archives_are_looked_into(found: Any) -> None:
    inner = jar(("BOOT-INF/lib/log4j-core-2.14.1.jar", jar(LOG4J)), pom("com.example", "web", "1.0"))

    rows = found("/srv/app.ear", jar(("web.war", inner)))

    assert ("org.apache.logging.log4j:log4j-core", "2.14.1") in [row[:2] for row in rows]
    assert ("com.example:web", "1.0", "/srv/app.ear!/web.war") in rows
    assert "/srv/app.ear!/web.war!/BOOT-INF/lib/log4j-core-2.14.1.jar" in [row[2] for row in rows]


@pytest.mark.parametrize(
    ("manifest", "file", "expected"),
    [
        (
            "Bundle-SymbolicName: org.x.y;single\r\n ton:=true\r\nBundle-Version: 1.2.3\r\n",
            "y.jar",
            ("org.x.y", "1.2.3"),
        ),
        ("Implementation-Title: Some Thing\nImplementation-Version: 4\n", "thing-4.jar", ("thing", "4")),
        ("Automatic-Module-Name: a.b\nSpecification-Version: 9\n", "b.jar", ("a.b", "9")),
        ("Manifest-Version: 1.0\n\nName: x\nBundle-Version: 7\n", "commons-io-2.11.0.jar", ("commons-io", "2.11.0")),
        (None, "guava-31.1-jre.jar", ("guava", "31.1-jre")),
        (None, "plain.jar", ("plain", "")),
    ],
)
def test_an_archive_of_others_is_what_its_manifest_or_its_name_says(
    manifest: str | None, file: str, expected: tuple[str, str], found: Any
) -> None:
    members = [("a.class", "x")] if manifest is None else [("META-INF/MANIFEST.MF", manifest)]

    assert [row[:2] for row in found(f"/opt/{file}", jar(*members))] == [expected]


def test_an_archive_that_is_none_is_said(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/opt/x.jar", "no archive")
    write("/opt/y.jar", jar(("lib/z.jar", b"no archive either")))

    said = ask(".", root=str(tmp_path), types=["jar"])

    assert said.reasons == {"package database unreadable": 2}


def test_links_to_one_archive_give_it_once(write: Any, ask: Any, tmp_path: pathlib.Path) -> None:
    write("/usr/share/java/a-1.jar", jar(pom("g", "a", "1")))
    (tmp_path / "usr/share/java/a.jar").symlink_to("a-1.jar")

    assert ask(".", root=str(tmp_path), types=["jar"]).names == ["g:a"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2.14.1", "2.15.0"),
        ("1.0-alpha-1", "1.0-beta-1"),
        ("2.0-M1", "2.0-rc1"),
        ("2.0-rc1", "2.0-SNAPSHOT"),
        ("2.0-SNAPSHOT", "2.0"),
        ("2.0", "2.0-sp1"),
        ("2.0-sp1", "2.0-x"),
        ("2.0-x", "2.0-1"),
        ("2.0-1", "2.0.1"),
        ("2.9", "2.10"),
    ],
)
def test_maven_s_order(older: str, newer: str) -> None:
    assert maven.compare(older, newer) < 0
    assert maven.compare(newer, older) > 0


@pytest.mark.parametrize(
    ("one", "same"), [("1", "1.0.0"), ("1.0.Final", "1"), ("1a1", "1-alpha-1"), ("1.0.RC2", "1-cr2"), ("1.0-GA", "1")]
)
def test_versions_that_are_one_to_maven(one: str, same: str) -> None:
    assert maven.compare(one, same) == 0


def test_what_is_no_version_of_maven_s_is_refused() -> None:
    for text in ("", "1 2", "1" * 600):
        with pytest.raises(ValueError, match="Maven"):
            maven.compare(text, "1")


def test_this_machine_s_own_archives_are_understood(ask: Any) -> None:
    if shutil.which("java") is None or not os.path.isdir("/usr/share/java"):
        pytest.skip("needs Java's libraries as a distribution installs them")

    said = ask(".", types=["jar"], paths=["/usr/share/java"])

    assert said.rows
    assert "record not understood" not in said.reasons


MAVEN = "/usr/share/java/maven-artifact-3.x.jar:/usr/share/java/commons-lang3.jar"


def test_maven_itself_agrees_about_the_order() -> None:
    if shutil.which("java") is None or not os.path.exists(MAVEN.split(":", maxsplit=1)[0]):
        pytest.skip("needs Java and Maven's own library")
    parts = ["1", "0", "10", "a", "b", "alpha", "rc", "cr", "ga", "final", "snapshot", "sp", "foo", ".", "-", ".", "-"]
    chosen = random.Random(1)
    versions = ["1.0.RC2", "1-cr2", "31.1-jre", *("1" + "".join(chosen.choices(parts, k=4)) for _ in range(200))]
    command = ["java", "-cp", MAVEN, "org.apache.maven.artifact.versioning.ComparableVersion", *versions]

    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    lines = [line.split() for line in said.splitlines() if line.startswith("   ")]
    assert len(lines) > 200
    for one, order, other in lines:
        assert maven.compare(one, other) == {"<": -1, "==": 0, ">": 1}[order], (one, order, other)
