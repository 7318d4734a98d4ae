"""Documents of every kind, and what is read from them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mig_sweep.documents.reading import read_all
from mig_sweep.indicator import DocumentError, Indicator, Kind
from mig_sweep.recognise import recognise

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 28, tzinfo=UTC)
SHA = "ab" * 32


def read(folder: Path, name: str, content: Any) -> list[Indicator]:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return list(read_all([str(folder / name)], NOW))


def terms(found: list[Indicator]) -> list[list[tuple[str, str]]]:
    return [[(str(kind), value) for kind, value in one.terms] for one in found if not one.refused]


def stix(pattern: str, **more: Any) -> dict[str, Any]:
    one = {"type": "indicator", "id": "indicator--1", "name": "n", "pattern_type": "stix", "pattern": pattern, **more}
    return {"type": "bundle", "id": "bundle--1", "objects": [{"type": "malware"}, one]}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (f"[file:hashes.'SHA-256' = '{SHA.upper()}']", [[("hash", SHA)]]),
        (f"[file:hashes.MD5 = '{'cd' * 16}']", [[("hash", "cd" * 16)]]),
        (f"[file:size = 12 AND file:hashes.'SHA-256' = '{SHA}']", [[("hash", SHA), ("file size", "12")]]),
        ("[file:name = 'it\\'s' OR directory:path = '/tmp/x']", [[("file name", "it's")], [("path", "/tmp/x")]]),
        ("[file:name = '/usr/bin/x']", [[("path", "/usr/bin/x")]]),
        (
            "[domain-name:value = 'a.example' AND network-traffic:dst_port = 443 AND file:size = 3]",
            [[("domain", "a.example"), ("file size", "3"), ("port", "443")]],
        ),
        ("[file:name LIKE '%.so_x']", [[("file name pattern", r"^.*\.so.x$")]]),
        ("[ipv4-addr:value ISSUBSET '203.0.113.9/24']", [[("address", "203.0.113.0/24")]]),
        (
            "[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 4444]",
            [[("address", "198.51.100.7"), ("port", "4444")]],
        ),
        ("[file:name IN ('a', 'b') AND file:size = 3]", [[("file name", one), ("file size", "3")] for one in "ab"]),
        ("[process:name = 'kdevtmpfsi']", [[("process", "kdevtmpfsi")]]),
        ("[user-account:account_login = 'svc']", [[("account", "svc")]]),
        (
            "([domain-name:value = 'a.example'] AND [url:value = 'http://b.example/']) WITHIN 5 SECONDS",
            [[("domain", "a.example")], [("url", "http://b.example/")]],
        ),
        (
            "[(file:name = 'a' OR file:name = 'b') AND file:size = 3]",
            [[("file name", "a"), ("file size", "3")], [("file name", "b"), ("file size", "3")]],
        ),
    ],
)
def test_a_stix_pattern_becomes_its_alternatives(tmp_path: Path, pattern: str, expected: list[Any]) -> None:
    assert terms(read(tmp_path, "r.json", stix(pattern))) == expected


@pytest.mark.parametrize("name", ["IMPHASH", "AUTHENTIHASH", "'SHA3-256'", "'SHA-512/256'", "SSDEEP"])
def test_a_hash_that_no_file_is_compared_by_is_not_asked_for_as_one_of_its_length(tmp_path: Path, name: str) -> None:
    found = read(tmp_path, "r.json", stix(f"[file:hashes.{name} = '{SHA if '256' in name else 'cd' * 16}']"))

    assert [(one.kind, one.value.partition(":")[0]) for one in found] == [(Kind.OTHER, "file")]


def test_a_stix_indicator_keeps_its_confidence_and_labels(tmp_path: Path) -> None:
    (one,) = read(tmp_path, "r.json", stix("[file:name = 'a']", confidence=80, labels=["apt0"]))

    assert (one.source, one.name, one.confidence, one.labels) == ("r.json", "n", "80", ("apt0",))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (stix("[file:name = 'a']", revoked=True), "revoked"),
        (stix("[file:name = 'a']", valid_until="2020-01-01T00:00:00Z"), "valid until"),
        (stix("[file:name = ]"), "cannot be parsed"),
        (stix("x", pattern_type="sigma"), "sigma"),
        (stix("[" + "(" * 300 + "file:name='a'" + ")" * 300 + "]"), ""),
    ],
)
def test_what_a_stix_indicator_cannot_be_asked_for_is_said(tmp_path: Path, document: Any, why: str) -> None:
    found = read(tmp_path, "r.json", document)

    assert why in found[0].refused
    assert why == "" or len(found) == 1


def test_of_several_versions_of_a_stix_indicator_the_newest_counts(tmp_path: Path) -> None:
    versions = [
        {"type": "indicator", "id": "indicator--1", "pattern": f"[file:name = '{name}']", "modified": modified, **more}
        for name, modified, more in (
            ("new", "2026-01-02T00:00:00.5Z", {}),
            ("old", "2026-01-02T00:00:00Z", {}),
            ("revoked", "2026-01-01T00:00:00Z", {"revoked": True}),
        )
    ]
    revoked = [*versions, {**versions[2], "modified": "2026-01-03T00:00:00Z"}]

    found = read(tmp_path, "a.json", {"type": "bundle", "objects": versions})
    none = read(tmp_path, "b.json", {"type": "bundle", "objects": revoked})

    assert terms(found) == [[("file name", "new")]]
    assert "newer version" in found[1].refused
    assert terms(none) == []


def test_sequences_of_observations_are_asked_each_by_itself_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, "r.json", stix("[file:name = 'a'] FOLLOWEDBY [file:name = 'b']"))

    assert len(found) == 2
    assert all("each by itself" in one.note for one in found)


def test_a_misp_event_is_read_with_its_objects_and_tags(tmp_path: Path) -> None:
    event = {
        "Event": {
            "info": "campaign",
            "Tag": [{"name": "tlp:amber"}],
            "Attribute": [
                {"type": "filename|sha256", "value": f"x.bin|{SHA}", "to_ids": True, "Tag": [{"name": "stage1"}]},
                {"type": "ip-dst|port", "value": "203.0.113.9|443"},
                {"type": "domain", "value": "c2[.]example"},
                {"type": "hostname|port", "value": "c3.example|8443"},
                {"type": "yara", "value": "rule r { condition: true }"},
                {"type": "text", "value": "hello"},
                {"type": "md5", "value": "cd" * 16, "to_ids": False},
            ],
            "Object": [
                {
                    "name": "file",
                    "Attribute": [{"type": "size-in-bytes", "value": "7"}, {"type": "sha1", "value": "ef" * 20}],
                }
            ],
        }
    }

    found = read(tmp_path, "e.json", event)

    assert terms(found) == [
        [("hash", SHA), ("file name", "x.bin")],
        [("address", "203.0.113.9"), ("port", "443")],
        [("domain", "c2.example")],
        [("domain", "c3.example"), ("port", "8443")],
        [("yara rules", "rule r { condition: true }")],
        [("hash", "ef" * 20), ("file size", "7")],
    ]
    assert found[0].labels == ("tlp:amber", "stage1")
    assert [one.refused[:10] for one in found if one.refused] == ["no module ", "the event "]


def test_what_was_deleted_in_misp_is_left_out_and_said(tmp_path: Path) -> None:
    size = {"type": "size-in-bytes", "value": "7", "deleted": True}
    gone = {"name": "file", "deleted": True, "Attribute": [{"type": "sha1", "value": "ef" * 20, "deleted": False}]}
    kept = {"name": "file", "deleted": False, "Attribute": [size, {"type": "md5", "value": "cd" * 16}]}
    addresses = [
        {"type": "ip-dst", "value": "203.0.113.9", "to_ids": True, "deleted": True},
        {"type": "ip-dst", "value": "203.0.113.10", "to_ids": True, "deleted": "1"},
        {"type": "ip-dst", "value": "203.0.113.11", "to_ids": True, "deleted": False},
    ]

    found = read(tmp_path, "e.json", {"Event": {"info": "x", "Attribute": addresses, "Object": [gone, kept]}})

    assert terms(found) == [[("address", "203.0.113.11")], [("hash", "cd" * 16)]]
    assert [one.refused for one in found if one.refused] == ["it was deleted in MISP"] * 3


def test_attributes_that_a_misp_server_was_searched_for_are_read(tmp_path: Path) -> None:
    event = {"id": "7", "info": "campaign"}
    attributes = [
        {"type": "sha256", "value": SHA, "Event": event},
        {"type": "malware-sample", "value": f"a|b.exe|{'cd' * 16}", "Event": event},
    ]

    found = read(tmp_path, "a.json", {"response": {"Attribute": attributes}})

    assert terms(found) == [[("hash", SHA)], [("hash", "cd" * 16), ("file name", "a|b.exe")]]
    assert {one.name for one in found} == {"campaign"}


@pytest.mark.parametrize("form", ["event", "events", "attributes"])
def test_what_pymisp_writes_is_read(tmp_path: Path, form: str) -> None:
    attributes = [
        {"type": "sha256", "value": SHA, "to_ids": True},
        {"type": "md5", "value": "cd" * 16, "to_ids": False},
    ]
    event = {"info": "campaign", "uuid": "0", "Attribute": attributes}

    found = read(
        tmp_path,
        "a.json",
        {"event": event, "events": [{"Event": event}], "attributes": {"Attribute": attributes}}[form],
    )

    assert terms(found) == [[("hash", SHA)]]
    assert len(found) == 2


def test_in_a_table_of_misp_the_type_says_what_a_value_is_and_to_ids_whether_it_is_a_sign(tmp_path: Path) -> None:
    rows = (
        ("ip-dst", "198.51.100.7", "c2", "1"),
        ("ip-dst", "203.0.113.9", "victim", "0"),
        ("filename|sha256", f"evil.sh|{SHA}", "", "1"),
        ("imphash", "cd" * 16, "", "1"),
        ("comment", "198.51.100.8", "", "1"),
    )
    text = '"uuid","category","type","value","comment","to_ids"\n' + "".join(
        f'"0","x","{kind}","{value}","{comment}","{sign}"\n' for kind, value, comment, sign in rows
    )

    found = read(tmp_path, "misp.csv", text)

    assert terms(found) == [[("address", "198.51.100.7")], [("hash", SHA), ("file name", "evil.sh")]]
    assert [one.refused[:9] for one in found] == ["", "the event", "", "no module", "no module"]
    assert found[0].name == "c2"


OPENIOC = """<?xml version="1.0"?>
<OpenIOC xmlns="http://openioc.org/schemas/OpenIOC_1.1"><metadata><short_description>Zeta</short_description></metadata>
<criteria><Indicator operator="OR">
 <IndicatorItem condition="is"><Context search="FileItem/Md5sum"/><Content type="md5">{md5}</Content></IndicatorItem>
 <Indicator operator="AND">
  <IndicatorItem condition="is"><Context search="FileItem/FileName"/><Content type="string">a</Content></IndicatorItem>
  <IndicatorItem condition="is"><Context search="FileItem/SizeInBytes"/><Content type="int">9</Content></IndicatorItem>
 </Indicator>
 <IndicatorItem condition="is"><Context search="RegistryItem/Path"/><Content>HKLM</Content></IndicatorItem>
</Indicator></criteria></OpenIOC>"""


def test_openioc_is_read_with_its_operators(tmp_path: Path) -> None:
    found = read(tmp_path, "z.ioc", OPENIOC.format(md5="CD" * 16))

    assert terms(found)[:2] == [[("hash", "cd" * 16)], [("file name", "a"), ("file size", "9")]]
    assert found[2].kind is Kind.OTHER
    assert found[0].name == "Zeta"


def test_an_xml_document_with_entities_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="document type"):
        read(tmp_path, "z.ioc", '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><OpenIOC>&a;</OpenIOC>')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("package,version\nlodash,4.17.20", [[("package", "lodash"), ("package version", "4.17.20")]]),
        (
            "Package\tVersion\tEcosystem\nopenssl\t<3.0.11\tDebian:12",
            [[("package", "openssl"), ("package version", "<3.0.11"), ("package ecosystem", "dpkg")]],
        ),
        ("package,name\nlodash@4.17.20,x", [[("package", "lodash"), ("package version", "4.17.20")]]),
        (
            "package,version\npkg:npm/lodash@4.17.21,1",
            [[("package", "lodash"), ("package version", "4.17.21"), ("package ecosystem", "npm")]],
        ),
        ("package,comment\nlog4j-core,x", [[("package", "log4j-core")]]),
        ("ip,port\n198.51.100.7,443", [[("address", "198.51.100.7"), ("port", "443")]]),
        ("ip,port\n198.51.100.7:80,443", [[("address", "198.51.100.7"), ("port", "80")]]),
    ],
)
def test_what_a_table_says_beside_a_value_belongs_to_it(tmp_path: Path, text: str, expected: list[Any]) -> None:
    assert terms(read(tmp_path, "t.csv", text)) == expected


CYCLONEDX = """<?xml version="1.0"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.6" serialNumber="urn:uuid:1" version="1">
 <metadata><tools><components><component type="application"><name>sq</name><version>7</version></component>
 </components></tools><component type="application"><name>mine</name></component></metadata>
 <components>
  <component type="library"><name>x</name><version>1</version><purl>pkg:npm/%40s/outer@1.0.0</purl>
   <components>
    <component type="library"><group>@s</group><name>inner</name><version>2</version></component>
   </components>
  </component>
 </components>
</bom>"""


def test_an_inventory_as_xml_is_read_with_what_is_inside_others_and_without_its_tools(tmp_path: Path) -> None:
    assert terms(read(tmp_path, "bom.xml", CYCLONEDX)) == [
        [("package", "@s/outer"), ("package version", "1.0.0"), ("package ecosystem", "npm")],
        [("package", "@s/inner"), ("package version", "2")],
    ]


def test_xml_of_another_kind_is_no_list_of_its_lines(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="XML"):
        read(tmp_path, "x.xml", '<?xml version="1.0"?>\n<a>\n198.51.100.7\n</a>')


def test_a_table_is_read_by_its_header(tmp_path: Path) -> None:
    text = f"SHA256;Size;Confidence;Malware;Description\n{SHA};12;high;zeta;dropper\n;;;;\n{'cd' * 16};;;;"

    found = read(tmp_path, "t.csv", text)

    assert terms(found) == [[("hash", SHA), ("file size", "12")], [("hash", "cd" * 16)]]
    assert (found[0].confidence, found[0].labels, found[0].name) == ("high", ("zeta",), "dropper")


@pytest.mark.parametrize(
    "text",
    [
        f"hash_type,hash\nimphash,{'cd' * 16}\nSHA3-256,{SHA}\nmd5,{'ef' * 16}\n",
        f"MD5;Imphash;SHA3-256\n{'ef' * 16};{'cd' * 16};{SHA}\n",
    ],
)
def test_a_hash_of_a_table_that_files_are_not_compared_by_is_refused_and_not_taken_for_another(
    tmp_path: Path, text: str
) -> None:
    found = read(tmp_path, "t.csv", text)

    assert terms([one for one in found if not one.refused]) == [[("hash", "ef" * 16)]]
    assert len([one for one in found if "compares files by their" in one.refused]) == 2


def test_the_names_of_hashes_in_a_header_may_have_a_dash(tmp_path: Path) -> None:
    assert terms(read(tmp_path, "t.csv", f"File,SHA-256\nx,{SHA}\n")) == [[("hash", SHA)]]


def test_advisories_and_inventories_give_packages(tmp_path: Path) -> None:
    osv = {
        "id": "MAL-1",
        "affected": [
            {"package": {"name": "left-pad", "ecosystem": "npm"}, "versions": ["1.0.0", "1.0.1"]},
            {
                "package": {"name": "Some.Thing", "ecosystem": "PyPI"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}, {"introduced": "3"}]}
                ],
            },
        ],
    }
    bom = {"bomFormat": "CycloneDX", "components": [{"name": "x", "purl": "pkg:npm/%40scope/x@1.2.3"}]}
    spdx = {"spdxVersion": "SPDX-2.3", "packages": [{"name": "openssl", "versionInfo": "3.0.1"}]}

    assert terms(read(tmp_path, "o.json", osv)) == [
        [("package", "left-pad"), ("package version", "1.0.0"), ("package ecosystem", "npm")],
        [("package", "left-pad"), ("package version", "1.0.1"), ("package ecosystem", "npm")],
        [("package", "Some.Thing"), ("package version", "<2.1"), ("package ecosystem", "python")],
        [("package", "Some.Thing"), ("package version", ">=3"), ("package ecosystem", "python")],
    ]
    assert terms(read(tmp_path, "b.json", bom)) == [
        [("package", "@scope/x"), ("package version", "1.2.3"), ("package ecosystem", "npm")]
    ]
    assert terms(read(tmp_path, "s.json", spdx)) == [[("package", "openssl"), ("package version", "3.0.1")]]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SHA.upper(), [[("hash", SHA)]]),
        (f"{SHA}:77", [[("hash", SHA), ("file size", "77")]]),
        ("10.1.2.3", [[("address", "10.1.2.3")]]),
        ("10.1.2.3/8", [[("address", "10.0.0.0/8")]]),
        ("10.1.2.3:80", [[("address", "10.1.2.3"), ("port", "80")]]),
        ("[2001:db8::1]:80", [[("address", "2001:db8::1"), ("port", "80")]]),
        ("2001:DB8::1", [[("address", "2001:db8::1")]]),
        ("::ffff:c000:201", [[("address", "192.0.2.1")]]),
        ("::ffff:192.0.2.9/120", [[("address", "192.0.2.0/24")]]),
        ("::ffff:0:0/90", [[("address", "::ffc0:0:0/90")]]),
        ("hxxps://Bad[.]example/x", [[("url", "https://Bad.example/x")]]),
        ("*.Bad.example", [[("domain", "bad.example")]]),
        ("/tmp/.x", [[("path", "/tmp/.x")]]),
        ("kworker.sh", [[("file name", "kworker.sh")], [("domain", "kworker.sh")]]),
        ("x.exe", [[("file name", "x.exe")]]),
        ("@scope/pkg@1.2.3", [[("package", "@scope/pkg"), ("package version", "1.2.3")]]),
        ("requests==2.0", [[("package", "requests"), ("package version", "2.0")]]),
        ("SHA256:" + "A" * 43, [[("ssh key", "SHA256:" + "A" * 43)]]),
        ("hello", []),
        ("somebody@example.org", []),
    ],
)
def test_bare_values_are_recognised(value: str, expected: list[Any]) -> None:
    assert [[(str(kind), text) for kind, text in one] for one in recognise(value)] == expected


def test_a_directory_of_documents_is_read_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("# comment\n10.0.0.1 # gateway\n\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yar").write_text("rule r { condition: true }")

    found = list(read_all([str(tmp_path)], NOW))

    assert [(one.source, str(one.kind), one.name) for one in found] == [
        ("a.txt", "address", "gateway"),
        ("b.yar", "yara rules", "b.yar"),
    ]


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": 1}', "{}", "[[[[", '"x"'])
def test_a_document_that_is_nothing_known_is_refused_or_said(tmp_path: Path, content: str) -> None:
    try:
        found = read(tmp_path, "x.json", content)
    except DocumentError as error:
        assert "x.json" in str(error)
    else:
        assert all(one.refused for one in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "objects", "pattern", "Event", "Attribute", "Object", "affected", "package", "versions"]
            )
            | st.sampled_from(
                ["ranges", "events", "introduced", "bomFormat", "components", "purl", "name", "value", "Tag"]
            ),
            inner | st.sampled_from(["bundle", "indicator", "CycloneDX", "md5", "filename|md5", "npm"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(document=JSON)
def test_reading_any_json_gives_indicators_or_a_document_error(
    tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(folder, "any.json", document)
    except DocumentError:
        return
    assert all(one.terms for one in found)
