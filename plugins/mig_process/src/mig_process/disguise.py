"""Processes that look like threads of the kernel and are none.

``ps`` shows a thread of the kernel as ``[kworker/0:1]`` because it has no command line. A program can give itself such
a name, and an empty command line; the kernel's own word (flag PF_KTHREAD) it cannot.
"""

from __future__ import annotations

import re

_KERNEL_NAME = re.compile(
    r"k(?:worker|softirqd|threadd|swapd|compactd|blockd|hugepaged|auditd|integrityd|devtmpfs|strp|psmoused|cryptd"
    r"|hungtaskd|damond|smd|throtld)\d*\b.*"
    r"|(?:migration|cpuhp|idle_inject|irq|rcu\w*|jbd2|ext4-\w+|xfs-?\w*|scsi_\w+|watchdogd?|card\d+-crtc\d+)[/:-].*"
    r"|oom_reaper|writeback|netns|kdevtmpfs|inet_frag_wq|mm_percpu_wq|slub_flushwq"
)
_BRACKETED = re.compile(rb"\[[^\s\0\]][^\]]*\](?:[\s\0]|$)")
"""Also with blanks in it, as in ``[kworker/u8:2-flush 8:0]``; not the program ``[`` and its ``]``."""


def looks_like_kernel(command: str, arguments: tuple[bytes, ...]) -> bool:
    """Whether a process that is no thread of the kernel looks like one in ``ps`` and ``top``.

    Args:
        command: its name, at most 15 bytes.
        arguments: its command line; without one ``ps`` puts the name into brackets.
    """
    shown = b" ".join(arguments).strip(b"\0 ")
    if not shown:
        return True
    return _BRACKETED.match(shown) is not None or _KERNEL_NAME.fullmatch(command) is not None
