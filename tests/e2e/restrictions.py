"""Words that take something away from the program that follows them, as containers and administrators do.

Each is a prefix of a command line that root runs; nothing of it reaches beyond the program it is for.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from dataclasses import replace

from unprivileged import Person

NO_NEW_PRIVS = ("setpriv", "--no-new-privs")
# What follows gets a seccomp filter that refuses namespaces, as Docker's default one does.
NO_NAMESPACES = (sys.executable, __file__)

_MOUNTS = ("unshare", "--mount", "--propagation=private", "sh", "-ec")
# A container engine covers parts of /proc; over them the kernel allows no fresh one.
MASKED_PROC = (*_MOUNTS, 'mount -o bind,ro /proc/sys /proc/sys; exec "$@"', "sh")
NO_TUN_NODE = (*_MOUNTS, 'mount -t tmpfs -o mode=755 none /dev/net; exec "$@"', "sh")


def limit_user_namespaces(most: int, *, privileged: bool = False) -> tuple[str, ...]:
    """Return words for what runs in a user namespace below which there can be at most `most`, by default without capabilities."""
    # Uid 0 in there is uid 65534 outside, as the program's files demand.
    drop = "" if privileged else "setpriv --bounding-set=-all --inh-caps=-all"
    script = f'echo {most} >/proc/sys/user/max_user_namespaces; exec {drop} "$@"'
    return ("unshare", "--user", "--map-root-user", "sh", "-ec", script, "sh")


def under(person: Person, *restriction: str) -> Person:
    """Return the same person with something taken away before its own rights are."""
    return replace(person, prefix=(*restriction, *person.prefix))


def within(person: Person, *restriction: str) -> Person:
    """Return the same person with something taken away by itself."""
    return replace(person, prefix=(*person.prefix, *restriction))


# linux/audit.h, asm/unistd.h: the machines the wheel is built for.
_MACHINES = {
    "x86_64": (0xC000003E, {"clone": 56, "unshare": 272, "setns": 308}),
    "aarch64": (0xC00000B7, {"clone": 220, "unshare": 97, "setns": 268}),
}
_CLONE3 = 435
_CLONE_NEW = 0x7E020000  # every namespace but that of time


def _refuse_namespaces() -> None:
    """Gives this process a filter: unshare and setns fail with EPERM, clone too when it asks for namespaces."""
    arch, calls = _MACHINES[platform.machine()]
    load, equal, has, answer = 0x20, 0x15, 0x45, 0x06
    allow, eperm, enosys = 0x7FFF0000, 0x50001, 0x50026
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, arch),
        (answer, 0, 0, allow),
        (load, 0, 0, 0),
        (equal, 5, 0, calls["unshare"]),
        (equal, 4, 0, calls["setns"]),
        (equal, 4, 0, _CLONE3),
        (equal, 0, 4, calls["clone"]),
        (load, 0, 0, 16),
        (has, 0, 2, _CLONE_NEW),
        (answer, 0, 0, eperm),
        (answer, 0, 0, enosys),
        (answer, 0, 0, allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))

    class Program(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        # An ordinary user may give itself a filter only after this.
        libc.prctl(38, 1, 0, 0, 0)
    given = Program(len(program), ctypes.addressof(code))
    if libc.prctl(22, 2, ctypes.byref(given), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


if __name__ == "__main__":
    _refuse_namespaces()
    os.execvp(sys.argv[1], sys.argv[1:])
