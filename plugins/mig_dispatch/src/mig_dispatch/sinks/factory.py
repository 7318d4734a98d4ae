"""From settings to a sink. The only file that knows all kinds; each is imported when it is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mig_dispatch.targets import (
    BulkTarget,
    FileTarget,
    GelfTarget,
    SnsTarget,
    SplunkTarget,
    SyslogTarget,
    WebTarget,
)

if TYPE_CHECKING:
    from mig_dispatch.record import RecordMaker
    from mig_dispatch.settings import SinkSettings
    from mig_dispatch.sinks.base import Sink


def make_sink(settings: SinkSettings, maker: RecordMaker, spool_id: str) -> Sink:
    """The sink; nothing is opened or connected yet."""
    target, timeout = settings.target, settings.timeout
    match target:
        case WebTarget():
            from mig_dispatch.sinks.http import HttpSink, MozDefSink

            return (MozDefSink if settings.kind == "mozdef" else HttpSink)(target, timeout, maker, spool_id)
        case BulkTarget():
            from mig_dispatch.sinks.elasticsearch import BulkSink

            return BulkSink(target, timeout, maker, spool_id)
        case SplunkTarget():
            from mig_dispatch.sinks.splunk import SplunkSink

            return SplunkSink(target, timeout, maker, spool_id)
        case GelfTarget():
            from mig_dispatch.sinks.gelf import make_gelf_sink

            return make_gelf_sink(target, timeout, maker, spool_id)
        case SnsTarget():
            from mig_dispatch.sinks.sns import SnsSink

            return SnsSink(target, timeout, maker, spool_id)
        case SyslogTarget():
            from mig_dispatch.sinks.syslog import SyslogSink

            return SyslogSink(target, timeout, maker)
        case FileTarget():
            from mig_dispatch.sinks.file import FileSink

            return FileSink(target, maker)
    assert_never(target)
