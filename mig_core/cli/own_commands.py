"""The commands of ``mig`` itself: name -> where its typer app is, and a line of help. Nothing is imported here."""

from __future__ import annotations

OWN_COMMANDS = {
    "ask": ("mig_core.cli.ask_file:app", "Ask the action in a file (also: mig -i FILE)."),
    "agents": ("mig_core.cli.agents:app", "List agents."),
    "agent": ("mig_core.cli.agents:agent_app", "Show or approve one agent, retire one or many."),
    "actions": ("mig_core.cli.actions:app", "List actions."),
    "action": ("mig_core.cli.actions:action_app", "Show, follow, repeat, cancel, approve one action, or its results."),
    "results": ("mig_core.cli.results:app", "Print an action's answers; --verify checks what agents signed."),
    "sign": ("mig_core.cli.envelopes:sign_app", "Add your signature to a signed action in a file, without a platform."),
    "send": ("mig_core.cli.envelopes:send_app", "Send a signed action in a file (mig MODULE -s printed it)."),
    "diff": ("mig_core.cli.diff:app", "What differs: the same question then and now, or groups of endpoints."),
    "history": ("mig_core.cli.history:app", "Everything one endpoint ever answered."),
    "why": ("mig_core.cli.why:app", "Explain what became of one command."),
    "cases": ("mig_core.cli.cases:app", "List cases: questions and signed answers that belong together."),
    "case": ("mig_core.cli.cases:case_app", "Begin a case, add to it, export it, verify a case file."),
    "timeline": ("mig_core.cli.cases:timeline_app", "Write rows with times, as Timesketch imports them."),
    "proposals": ("mig_core.cli.proposals:app", "List questions that were proposed, for you to sign."),
    "proposal": ("mig_core.cli.proposals:proposal_app", "Show, sign or reject one proposal."),
    "investigators": ("mig_core.cli.investigators:app", "List investigators."),
    "investigator": ("mig_core.cli.investigators:investigator_app", "Add, change or show one investigator."),
    "log": ("mig_core.cli.platform_log:app", "Who asked, approved, retired, logged in or failed to, and from where."),
    "logout": ("mig_core.cli.logout:app", "End your session at the platform."),
    "enrolment": ("mig_core.cli.enrolment:app", "Secrets that admit agents, and agents that wait for approval."),
    "dashboard": ("mig_core.cli.dashboard:app", "Numbers of the platform."),
    "mcp": ("mig_core.cli.mcp:app", "Serve an assistant that reads, and proposes questions for you to sign."),
    "plugins": ("mig_core.cli.plugins:app", "List installed plugins, and what keeps others from loading."),
    "plugin": ("mig_core.cli.plugins:plugin_app", "Make a new plugin."),
    "config": ("mig_core.cli.configuration:app", "Write or show this investigator's settings."),
    "doctor": ("mig_core.cli.doctor:app", "Try everything that asking needs, and name the one thing that is wrong."),
    "demo": ("mig_core.cli.demo.command:app", "Run platform and agents on this machine, and ask some questions."),
}
