"""What became of one command, and why, in lines for a person: what ``mig why`` and the page show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mig_core.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mig_core.client.client import MigClient

Document = dict[str, Any]

MEANING = {
    "queued": "it waits to be handed to the agent's relay, or has just been; a scheduler must be running",
    "sent": "the relay has it; the agent has not answered yet",
    "success": "the agent ran every operation",
    "failed": "a module could not do its work",
    "refused": "the agent said no",
    "timeout": "the module's time ran out; what it had found is kept",
    "killed": "the module was ended for its use of memory or processor, or because it took the agent down twice",
    "cancelled": "an investigator cancelled the action before the answer",
    "expired": "no answer came before the action's window ended",
}


def explain(client: MigClient, command: Document) -> Iterator[str]:
    """The lines, each visible. Asks the platform about action and agent where there is no answer."""
    state = command["state"]
    yield f"{visible(command['agentname'])}: {state}: {MEANING.get(state, '')}"
    if command["reason"]:
        yield f"reason: {visible(command['reason'])}"
    for name, key in (("queued", "queued"), ("handed to the relay", "sent"), ("ended", "finished")):
        if command[key]:
            yield f"{name}: {moment(command[key])}"
    for number, result in enumerate(command["results"] or (), start=1):
        yield from _operation(number, result)
    if command.get("waiting"):
        yield f"now: {visible(command['waiting'])}"
    if state in ("queued", "sent", "cancelled", "expired") and (
        said := cancelled(client.action(str(command["action"])))
    ):
        yield f"the action was {said}"
    if state in ("sent", "expired"):
        about = client.agent(str(command["agent"]))
        yield f"the agent is {about['state']}; its last heartbeat: {moment(about['heartbeat']) or 'none'}"
        for line in _on_the_endpoint(about.get("spool") or {}, command["id"]):
            yield visible(line)


def moment(text: str | None) -> str:
    """A time from the API, to the second."""
    return (text or "")[:19].replace("T", " ")


def cancelled(action: Document) -> str:
    """Who cancelled an action and when; empty when nobody did."""
    if not action.get("cancelled"):
        return ""
    return f"cancelled by {action['cancelledby']} at {moment(action['cancelled'])}"


def _on_the_endpoint(spool: dict[str, Any], command: str) -> Iterator[str]:
    """What the agent's last heartbeat says of its answer, and of its way to the relay."""
    lost = [one for one in _lines(spool.get("lost")) if one.get("command") == command]
    troubled = [one for one in _lines(spool.get("troubled")) if one.get("command") == command]
    for one in lost:
        yield f"the agent had answered and gave the answer up: {one.get('reason')}"
    for one in troubled:
        yield (
            f"the agent has answered, since {moment(str(one.get('since')))} the answer waits there"
            f" ({one.get('bytes')} bytes, {one.get('tries')} attempts): {one.get('problem')}"
        )
    if not lost and not troubled and spool.get("answers"):
        oldest = moment(str(spool.get("oldest") or ""))
        full = "; it is full, and nothing further is begun" if spool.get("full") is True else ""
        yield f"{spool['answers']} answers wait on the endpoint for its relay, the oldest since {oldest}{full}"


def _lines(value: object) -> list[dict[str, Any]]:
    """Lines of a report by an agent, who may write there what it likes."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _operation(number: int, result: dict[str, Any]) -> Iterator[str]:
    coverage = result.get("coverage") or {}
    examined = ", ".join(f"{count} {kind}" for kind, count in (coverage.get("examined") or {}).items())
    verdict = "found" if result["foundanything"] else "not found"
    yield f"operation {number}: {verdict}; looked at: {visible(examined) or 'unknown'}"
    for skipped in coverage.get("skipped") or ():
        examples = ", ".join(skipped.get("examples") or ())
        suffix = f": {visible(examples)}" if examples else ""
        yield f"  not looked at: {visible(skipped['reason'])} ({skipped['count']}){suffix}"
    for error in result.get("errors") or ():
        yield f"  error: {visible(str(error))}"
