"""Names of units: types, templates, prefixes, specifiers (systemd.unit(5))."""

from __future__ import annotations

import re

TYPES = ("service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope")
_NAME = re.compile(rf"[A-Za-z0-9:_.\\@-]+\.(?:{'|'.join(TYPES)})")
MAX_NAME = 255


def is_unit(name: str) -> bool:
    """Whether it is a valid name of a unit or of a template."""
    if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
        return False
    return not name.startswith(("@", "."))


def type_of(name: str) -> str:
    """The part behind the last full stop."""
    return name.rpartition(".")[2]


def stem_of(name: str) -> str:
    """The name without its type."""
    return name.rpartition(".")[0]


def is_template(name: str) -> bool:
    """Whether instances are made of it."""
    return stem_of(name).endswith("@")


def template_of(name: str) -> str:
    """The template that an instance is of; empty when the name is no instance's."""
    stem, at, instance = stem_of(name).partition("@")
    return f"{stem}@.{type_of(name)}" if at and instance else ""


def instance_of(name: str) -> str:
    """What stands between ``@`` and the type."""
    return stem_of(name).partition("@")[2]


def with_instance(template: str, instance: str) -> str:
    """The instance of a template; what is no template is left as it is."""
    return f"{stem_of(template)}{instance}.{type_of(template)}" if is_template(template) else template


def folders_of(name: str, suffix: str) -> list[str]:
    """Folders in which drop-ins (``.d``) or links (``.wants``) of a unit lie, without that of its type.

    ``a-b@c.service`` has ``a-b@c.service.d``, its template's, and those of the prefixes, ``a-.service.d``.
    """
    kind = type_of(name)
    found = []
    for one in (name, template_of(name)):
        if not one:
            continue
        found.append(f"{one}{suffix}")
        prefix = stem_of(one).partition("@")[0]
        while (cut := prefix.rstrip("-").rfind("-")) > 0:
            prefix = prefix[:cut]
            found.append(f"{prefix}-.{kind}{suffix}")
    return list(dict.fromkeys(found))


def unescape(text: str) -> str:
    """``systemd-escape --unescape``."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), text.replace("-", "/"))


SPECIFIER = re.compile(r"%(.)")


def expand(text: str, name: str, known: dict[str, str]) -> str | None:
    """A text with its specifiers put in; None when it has one that only the running manager knows.

    Args:
        text: of a setting.
        name: of the unit.
        known: specifiers of the scope: ``{"t": "/run"}``.
    """
    if "%" not in text:
        return text
    stem = stem_of(name)
    prefix, _, instance = stem.partition("@")
    last = prefix.rpartition("-")[2]
    values = {
        "n": name,
        "N": stem,
        "p": prefix,
        "P": unescape(prefix),
        "i": instance,
        "I": unescape(instance),
        "j": last,
        "J": unescape(last),
        "f": "/" + unescape(instance or prefix).lstrip("/"),
        "%": "%",
        **known,
    }
    if any(found not in values for found in SPECIFIER.findall(text)):
        return None
    return SPECIFIER.sub(lambda found: values[found[1]], text)
