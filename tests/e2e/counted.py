"""A user namespace in which the kernel counts network namespaces: so many may exist at once, and no more."""

from __future__ import annotations

import subprocess
from typing import Any

from unprivileged import NOBODY, Person

# What follows the limit is run by the same user without capabilities, so that nothing differs from a login but the limit.
LIMITED = """
echo "$1" > /proc/sys/user/max_net_namespaces || exit 99
shift
exec setpriv --ambient-caps=-all --inh-caps=-all "$@"
"""
OUTER = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--keep-caps")


def counted(user: Person, limit: int, source: str, *args: str, **options: Any) -> subprocess.Popen[str]:
    """Start a Python program of `user` where `limit` network namespaces may exist."""
    return user.popen(*OUTER, "sh", "-c", LIMITED, "sh", str(limit), *user.script(source, *args), **options)
