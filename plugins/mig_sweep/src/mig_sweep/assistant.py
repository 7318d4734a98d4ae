"""What an assistant can read of packs (entry point ``mig.assistant``)."""

from __future__ import annotations

from typing import Any

from mig_sweep.pack import all_packs, pack_of


def packs(name: str = "") -> dict[str, Any]:
    """Questions that are ready to be asked, written by people who know what to look for. With a `name`: its operations,
    to be proposed one by one, its target, and how to read the answers."""
    if not name:
        return {"packs": {one.name: one.question for one in all_packs()}}
    pack = pack_of(name)
    return {
        "name": pack.name,
        "question": pack.question,
        "reading": pack.reading,
        "references": list(pack.references),
        "target": pack.target,
        "operations": [{"module": one.module, "parameters": one.parameters} for one in pack.operations],
    }
