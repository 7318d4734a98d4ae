"""Amazon's Simple Notification Service. The only file that uses boto3, which is imported at the first delivery."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mig_core.plugin.printing import excerpt
from mig_dispatch.sinks.base import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mig_dispatch.record import Alert, RecordMaker
    from mig_dispatch.targets import SnsTarget

MAX_MESSAGE_BYTES = 256 << 10
"""The service's limit."""
_ABOUT_THE_MESSAGE = frozenset(
    {"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationError"}
)


class SnsSink:
    """Publishes one record a message, one after the other: order is kept. FIFO topics get group and identity.

    It has no socket of its own to break off: botocore's time-outs apply to connecting and to each read.
    """

    def __init__(self, target: SnsTarget, timeout: float, maker: RecordMaker, spool_id: str) -> None:
        self._target = target
        self._timeout = timeout
        self._maker = maker
        self._spool_id = spool_id
        self._client: Any = None
        self._stopped = False

    def deliver(self, alerts: Sequence[Alert]) -> Verdict:
        """Publishes them; events that make more than 256 KB are cut, and say so."""
        refused: dict[int, str] = {}
        for place, alert in enumerate(alerts):
            message = self._maker.fitted(alert, MAX_MESSAGE_BYTES)
            if self._stopped:
                return Verdict(place, refused, "interrupted")
            trouble, refusal = self._publish(alert, message)
            if trouble:
                return Verdict(place, refused, trouble)
            if refusal:
                refused[place] = refusal
        return Verdict(len(alerts), refused)

    def watch(self, now: float) -> None:
        """Nothing: see the class."""

    def interrupt(self) -> None:
        """Ends before the next message."""
        self._stopped = True

    def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def _publish(self, alert: Alert, message: bytes) -> tuple[str, str]:
        """(trouble, refusal), at most one of them not empty."""
        options = {}
        if self._target.topic_arn.endswith(".fifo"):
            options = {
                "MessageGroupId": "".join(one for one in self._maker.hostname if "!" <= one <= "~")[:128] or "mig",
                "MessageDeduplicationId": alert.identity(self._spool_id),
            }
        try:
            client = self._client or self._connect()
            client.publish(TopicArn=self._target.topic_arn, Message=message.decode("utf-8"), **options)
        except ImportError:
            return "boto3 is not installed: pip install 'mig-plugin-dispatch[sns]'", ""
        except Exception as error:  # botocore's errors have two roots, and are made at run time
            answer = getattr(error, "response", None)
            fault = answer.get("Error", {}) if isinstance(answer, dict) else {}
            said = excerpt(f"{fault.get('Code') or type(error).__name__}: {fault.get('Message') or error}")
            if fault.get("Code") in _ABOUT_THE_MESSAGE and "Message" in str(fault.get("Message")):
                return "", said
            self.close()
            return said, ""
        return "", ""

    def _connect(self) -> Any:
        boto3 = importlib.import_module("boto3")
        botocore_config = importlib.import_module("botocore.config")
        session = importlib.import_module("botocore.session").Session()
        if self._target.credentials_file:
            session.set_config_variable("credentials_file", self._target.credentials_file)
        self._client = boto3.Session(botocore_session=session, region_name=self._target.region).client(
            "sns",
            endpoint_url=self._target.endpoint_url or None,
            config=botocore_config.Config(
                connect_timeout=self._timeout,
                read_timeout=self._timeout,
                retries={"total_max_attempts": 1},  # the delivery thread does that, with the receipts in view
                max_pool_connections=1,
            ),
        )
        return self._client
