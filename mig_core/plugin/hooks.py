"""Hook specifications, in the order of their life: what a plugin may add besides modules.

A plugin implements a hook with the marker and registers its object under the entry-point group of the role that calls
it::

    from mig_core.plugin.hooks import hookimpl

    class CloudFacts:
        @hookimpl
        def mig_agent_environment(self, environment):
            return {"cloud": {"zone": read_zone()}}

    [project.entry-points."mig.agent"]
    cloud = "mig_cloud:CloudFacts"

A class is instantiated without arguments; any other object is registered as it is. No hook takes part in authorization.
A hook that raises is logged and counts as not having answered; it never stops its role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from mig_core.domain.document import JSON

    Answer = Callable[[Mapping[str, str]], Awaitable[JSON]]
    """Gives the document for a request's query parameters."""

PROJECT = "mig"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class AgentHooks:
    """Called by the agent (group ``mig.agent``)."""

    @hookspec
    def mig_agent_environment(self, environment: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Further facts about the endpoint, merged over ``environment``; JSON values only.

        Called at start and at every refresh, in a child process that ends afterwards: nothing is kept between calls.
        """

    @hookspec
    def mig_operation_finished(self, module: str, success: bool, found: bool, seconds: float) -> None:
        """An operation has ended. Told for measuring; the parameters and the result are not shown."""


class ServerHooks:
    """Called by mig-api at start (group ``mig.server``)."""

    @hookspec
    def mig_api_routes(self) -> Mapping[str, Answer] | None:
        """Further things to read: a path's last segment -> what answers ``GET /api/v1/plugins/SEGMENT``.

        The answer gets the query parameters and returns a JSON value. Investigators need the permission ``read``.
        """


SPECIFICATIONS: Mapping[str, type[object]] = {"agent": AgentHooks, "server": ServerHooks}
"""Role -> its specifications; the entry-point group is ``mig.<role>``."""
