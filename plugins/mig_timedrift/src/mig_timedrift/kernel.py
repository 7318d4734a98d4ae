"""What the kernel knows of its clock: whether somebody disciplines it. Reading it changes nothing.

Source: adjtimex(2), ``linux/timex.h``; ``maxerror`` grows by 500 ppm while nobody synchronizes the clock.
"""

from __future__ import annotations

import ctypes
import os

from mig_timedrift.reading import Reading

_UNSYNCHRONIZED, _INSERT, _DELETE = 0x40, 0x10, 0x20
_MICRO = 1_000_000


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("rest", ctypes.c_byte * 256),
    )


def reading() -> Reading:
    """Whether the clock is synchronized, and how far it may be off by.

    Raises:
        OSError: the kernel does not say (a container's filter of system calls).
    """
    state = _Timex(modes=0)
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    synchronized = not state.status & _UNSYNCHRONIZED
    return Reading(
        source="kernel",
        synchronized=synchronized,
        error=state.maxerror / _MICRO if synchronized else None,
        leap="insert" if state.status & _INSERT else "delete" if state.status & _DELETE else "none",
    )
