"""The console script `vnet`: hands the command line to the native module."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from vnet import _vnet


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, without the program's name, and return the exit code of the process.

    It takes over SIGINT and SIGTERM, so it is meant to be the last thing a process does.
    """
    # The native side waits for both signals; Python's own handler would raise KeyboardInterrupt after the fact.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = sys.argv[1:] if argv is None else argv
    return _vnet.cli_main(["vnet", *arguments])
