"""From settings to a sink. The only file that knows all kinds; each is imported when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mig_dispatch.settings import FileTarget, SinkSettings, SnsTarget, SyslogTarget, WebTarget

if TYPE_CHECKING:
    from mig_dispatch.record import RecordMaker
    from mig_dispatch.sinks.base import Sink


def make_sink(settings: SinkSettings, maker: RecordMaker, spool_id: str) -> Sink:
    """The sink; nothing is opened or connected yet."""
    target, timeout = settings.target, settings.timeout
    if isinstance(target, WebTarget):
        from mig_dispatch.sinks.http import HttpSink, MozDefSink

        return (MozDefSink if settings.kind == "mozdef" else HttpSink)(target, timeout, maker, spool_id)
    if isinstance(target, SnsTarget):
        from mig_dispatch.sinks.sns import SnsSink

        return SnsSink(target, timeout, maker, spool_id)
    if isinstance(target, SyslogTarget):
        from mig_dispatch.sinks.syslog import SyslogSink

        return SyslogSink(target, timeout, maker)
    if isinstance(target, FileTarget):
        from mig_dispatch.sinks.file import FileSink

        return FileSink(target, maker)
    assert_never(target)
