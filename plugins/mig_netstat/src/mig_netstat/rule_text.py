"""What a rule of nftables says, much as ``nft list ruleset`` writes it. Sources: nft(8);
``linux/netfilter/nf_tables.h``.

The kernel keeps a rule as small steps: load a field into a register, mask it, compare, decide. They are put together
again here. A step that is not understood stands in brackets with everything the kernel said of it, by number, so that
nothing is left out of a rule but its counters; what was in the registers counts for nothing from there on. Pure: the
kernel's bytes in, text out.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from mig_netstat import rule_headers, rule_statements
from mig_netstat.nft_attributes import attributes, listed, number_of, text_of
from mig_netstat.nft_values import FAMILIES, PROTOCOLS, number_in, value_text, verdict_text
from mig_netstat.rule_iptables import match_text, target_text
from mig_netstat.rule_registers import Loaded, Part, Registers, mask_text, of_part
from mig_netstat.rule_sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mig_netstat.nft_attributes import Attributes

_OPERATORS = {0: "", 1: "!= ", 2: "< ", 3: "<= ", 4: "> ", 5: ">= "}
_SILENT = frozenset({"counter", "last"})
_IP, _IP6, _ARP, _VLAN = 0x0800, 0x86DD, 0x0806, 0x8100


class Named(NamedTuple):
    """A set that rules look into."""

    text: str
    """``@name``, or what is in it where it has no name of its own."""
    key_length: int
    """In bytes."""
    data_length: int = 4
    """Of a map: of what it leads to."""


class Rule:
    """A rule while its steps are read."""

    def __init__(self, family: int, sets: Mapping[str, Named]) -> None:
        self.words: list[str] = []
        self.registers = Registers()
        self.network = {"ip": "ip", "ip6": "ip6", "arp": "arp"}.get(FAMILIES.get(family, ""), "")
        """Of which protocol a packet's network header is, where the rule or its table has said so."""
        self.transport = "th"
        self._is_tagged = False
        self._sets = sets
        self._steps: dict[str, Callable[[Attributes], None]] = {
            "payload": self._payload,
            "bitwise": self._bitwise,
            "byteorder": self._byteorder,
            "cmp": self._cmp,
            "range": self._range,
            "lookup": self._lookup,
            "immediate": self._immediate,
            "dynset": self._dynset,
            "match": self._match,
            "target": self._target,
            "objref": self._object,
            "reject": lambda said: self.words.append(rule_statements.reject_text(said, self.network)),
        }

    def step(self, name: str, said: Attributes) -> None:
        """Adds one step; one that does not look as it should is shown as it is."""
        if name in _SILENT:
            return
        words = list(self.words)
        try:
            if name in SOURCES:
                self._source(name, said)
            elif name in rule_statements.STATEMENTS:
                self.words.append(rule_statements.STATEMENTS[name](said, self.registers))
            else:
                self._steps[name](said)
        except (LookupError, TypeError, ValueError, struct.error):
            self.words = [*words, raw_text(name, said)]
            self.registers.forget()

    def named(self, name: str) -> Named:
        """A set by its name.

        Raises:
            LookupError: it is not known, and so it is not how many registers its keys are in.
        """
        return self._sets[name]

    def _source(self, name: str, said: Attributes) -> None:
        number, loaded, target = SOURCES[name](said, self.registers)
        if target:
            self.words.append(target)
        else:
            self.registers.load(number, loaded)

    def _payload(self, said: Attributes) -> None:
        base, place, length = (number_of(said[one]) for one in (2, 3, 4))
        loaded = rule_headers.loaded(base, place, length, self.network, self.transport, self._is_tagged)
        if 5 in said:
            self.words.append(f"{loaded.part.text} set {self.registers.value(number_of(said[5]), loaded.part.kind)}")
        else:
            self.registers.load(number_of(said[1]), loaded)

    def _bitwise(self, said: Attributes) -> None:
        source, operation = self.registers.held(number_of(said[1])), number_of(said.get(6, b""))
        part = source.part
        if operation in (1, 2):
            by = number_of(attributes(said[7])[1])
            shifted = of_part(f"{part.text} {'<<' if operation == 1 else '>>'} {by}", part.kind, source.length)
            self.registers.load(number_of(said[2]), shifted)
            return
        mask, other = (attributes(said[one])[1] for one in (4, 5))
        if operation or source.mask or source.raw is not None:
            raise ValueError("more than a mask")
        masked = source._replace(mask=mask)
        if any(other):
            text = f"({part.text} & {mask_text(masked)} ^ {hex(number_in(other, part.kind))})"
            masked = of_part(text, part.kind, source.length)
        self.registers.load(number_of(said[2]), masked)

    def _byteorder(self, said: Attributes) -> None:
        """What is in the machine's order is in the network's from here on, and the other way round."""
        source = self.registers.held(number_of(said[1]))
        part = source.part
        if source.mask or part.kind not in ("host", ""):
            raise ValueError("no plain number")
        swapped = Part(part.text, "" if part.kind == "host" else "host", part.length)
        self.registers.load(number_of(said[2]), source._replace(parts=(swapped,)))

    def _cmp(self, said: Attributes) -> None:
        loaded, raw = self.registers.held(number_of(said[1])), attributes(said[3])[1]
        operator = _OPERATORS[number_of(said[2])]
        if len(loaded.parts) > 1:
            self._compare_each(loaded, operator, raw)
            return
        if not operator and not loaded.mask:
            self._learn(loaded.part, raw)
        self.words.append(f"{loaded.part.text} {_compared(loaded, operator, raw)}")

    def _compare_each(self, loaded: Loaded, operator: str, raw: bytes) -> None:
        """Fields that follow each other were loaded at once: all have their values."""
        if operator or loaded.mask or len(raw) != loaded.length:
            raise ValueError("fields that are not compared one by one")
        place = 0
        for part in loaded.parts:
            value = raw[place : place + part.length]
            place += part.length
            self._learn(part, value)
            self.words.append(f"{part.text} {value_text(value, part.kind)}")

    def _learn(self, part: Part, raw: bytes) -> None:
        """From here on it is known of which protocol the headers are."""
        if part.text in ("meta l4proto", "ip protocol", "ip6 nexthdr"):
            self.transport = PROTOCOLS.get(raw[0], "")
        elif part.text == "meta nfproto":
            self.network = FAMILIES.get(raw[0], "")
        elif part.text in ("meta protocol", "ether type", "vlan type"):
            number = number_of(raw)
            self._is_tagged |= number == _VLAN
            self.network = {_IP: "ip", _IP6: "ip6", _ARP: "arp"}.get(number, self.network)

    def _range(self, said: Attributes) -> None:
        loaded = self.registers.held(number_of(said[1]))
        ends = "-".join(value_text(attributes(said[one])[1], loaded.part.kind) for one in (3, 4))
        operator = "!= " if number_of(said[2]) else ""
        masked = f" & {mask_text(loaded)}" if loaded.mask else ""
        self.words.append(f"{loaded.part.text}{masked} {operator}{ends}")

    def _lookup(self, said: Attributes) -> None:
        name, source = self.named(text_of(said[1])), number_of(said[2])
        looked = self.registers.gathered(source, name.key_length)
        if 3 not in said:
            self.words.append(f"{looked} {'!= ' if number_of(said.get(5, b'')) else ''}{name.text}")
        elif not (target := number_of(said[3])):
            self.words.append(f"{looked} vmap {name.text}")
        else:
            self.registers.load(target, of_part(f"{looked} map {name.text}", "", name.data_length))

    def _immediate(self, said: Attributes) -> None:
        data = attributes(said[2])
        if 2 in data:
            self.words.append(verdict_text(data[2]))
        else:
            raw = data[1]
            self.registers.load(number_of(said[1]), Loaded((Part("value", "", len(raw)),), len(raw), raw=raw))

    def _dynset(self, said: Attributes) -> None:
        """A rule that writes into a set: who came by is remembered there, or counted."""
        name = self.named(text_of(said[1]))
        word = {0: "add", 1: "update", 2: "delete"}[number_of(said[3])]
        element = [self.registers.gathered(number_of(said[4]), name.key_length)]
        if timeout := number_of(said.get(6, b"")):
            element.append(f"timeout {timeout / 1000:g}s")
        for one in [*listed(said.get(10, b"")), *([said[7]] if 7 in said and 10 not in said else [])]:
            inner = Rule(0, self._sets)
            inner.step(*expression_of(one))
            element += inner.words
        if 5 in said:
            element.append(f": {self.registers.value(number_of(said[5]), '')}")
        flags = " (inverted)" if number_of(said.get(9, b"")) & 1 else ""
        self.words.append(f"{word} {name.text} {{ {' '.join(element)} }}{flags}")

    def _object(self, said: Attributes) -> None:
        """Of a named counter, limit, quota; which one may be told by a map."""
        if 4 in said:
            name = self.named(text_of(said[4]))
            self.words.append(f"object {self.registers.gathered(number_of(said[3]), name.key_length)} map {name.text}")
        else:
            self.words.append(rule_statements.object_text(number_of(said[1]), text_of(said[2])))

    def _match(self, said: Attributes) -> None:
        name, revision, raw = text_of(said[1]), number_of(said[2]), said[3]
        text = match_text(name, revision, raw, self.transport)
        self.words.append(text or f"[match {name} rev={revision} info=0x{raw.rstrip(bytes(1)).hex()}]")

    def _target(self, said: Attributes) -> None:
        name, revision, raw = text_of(said[1]), number_of(said[2]), said[3]
        text = target_text(name, revision, raw, self.network)
        self.words.append(text or f"[target {name} rev={revision} info=0x{raw.rstrip(bytes(1)).hex()}]")


def rule_text(steps: Iterable[tuple[str, Attributes]], family: int, sets: Mapping[str, Named]) -> str:
    """The rule.

    Args:
        steps: names of the expressions and their attributes.
        family: of the table.
        sets: the table's.
    """
    rule = Rule(family, sets)
    for name, said in steps:
        rule.step(name, said)
    return " ".join(rule.words)


def expression_of(raw: bytes) -> tuple[str, Attributes]:
    """The name of an expression, and its attributes."""
    said = attributes(raw)
    return text_of(said.get(1, b"")) or "?", attributes(said.get(2, b""))


def comment_text(raw: bytes) -> str:
    """The comment of a rule in what nft noted beside it (number, length, value); empty if there is none."""
    place = 0
    while place + 2 <= len(raw):
        number, length = raw[place], raw[place + 1]
        if number == 0:
            return f'comment "{text_of(raw[place + 2 : place + 2 + length])}"'
        place += 2 + length
    return ""


def raw_text(name: str, said: Attributes) -> str:
    """A step as it is."""
    return f"[{' '.join([name, *(f'{number}=0x{value.hex()}' for number, value in said.items())])}]"


def _compared(loaded: Loaded, operator: str, raw: bytes) -> str:
    part, mask = loaded.part, loaded.mask
    if part.kind in ("state", "status") and mask and not any(raw):
        return f"{'' if operator == '!= ' else '! '}{mask_text(loaded)}"
    if part.kind == "address":
        bits = "".join(f"{byte:08b}" for byte in mask or b"\xff" * len(raw))
        prefix = bits.rstrip("0")
        if "0" not in prefix:
            address = value_text(raw.ljust(part.length, b"\0"), "address")
            return f"{operator}{address}" + (f"/{len(prefix)}" if len(prefix) < part.length * 8 else "")
    if mask:
        return f"& {mask_text(loaded)} {operator or '== '}{value_text(raw, part.kind)}"
    return f"{operator}{value_text(raw, part.kind)}"
