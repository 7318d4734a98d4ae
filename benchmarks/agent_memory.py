"""What one idle agent keeps resident: its main process, and the zygote that modules are forked from.

The two share most of their pages, so their sum would count those twice. What they keep together is at most the main
process's resident set plus what is the zygote's alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.usage import children_of


@dataclass(frozen=True, slots=True)
class Resident:
    """One process's memory in bytes, from /proc/PID/smaps_rollup."""

    rss: int
    pss: int
    private: int

    def to_json(self) -> dict[str, int]:
        """The JSON form."""
        return {"rss": self.rss, "pss": self.pss, "private": self.private}


@dataclass(frozen=True, slots=True)
class AgentMemory:
    """An agent's processes: the main one first."""

    main: Resident
    others: tuple[Resident, ...]

    @property
    def together(self) -> int:
        """Bytes resident, shared pages counted once."""
        return self.main.rss + sum(one.private for one in self.others)

    def to_json(self) -> dict[str, dict[str, int]]:
        """The JSON form."""
        zygotes = {f"zygote {number + 1}" if number else "zygote": one for number, one in enumerate(self.others)}
        together = {
            "rss": self.together,
            "pss": self.main.pss + sum(one.pss for one in self.others),
            "private": self.main.private + sum(one.private for one in self.others),
        }
        return {
            "main process": self.main.to_json(),
            **{name: one.to_json() for name, one in zygotes.items()},
            "together": together,
        }


def memory_of_agent(pid: int) -> AgentMemory:
    """The memory of a running agent and its children."""
    return AgentMemory(_resident(pid), tuple(_resident(child) for child in children_of(pid)))


def _resident(pid: int) -> Resident:
    sizes: dict[str, int] = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            words = rest.split()
            if len(words) == 2 and words[1] == "kB":
                sizes[name] = int(words[0]) * 1024
    return Resident(sizes["Rss"], sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])
