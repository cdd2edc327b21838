"""Open vSwitch's user space datapath between two interfaces: `openvswitch.py A B [--tso]`.

Its database and sockets live in a directory that ends with it, and no system service takes part. OPENVSWITCH is where Debian's
packages were unpacked; without it those of the system are used. `--tso` is its experimental userspace-tso-enable.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peer import ready


def main() -> None:
    place, ports = os.environ.get("OPENVSWITCH", ""), sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="vnet-ovs-") as folder:
        environment = os.environ | {
            **{f"OVS_{what}DIR": folder for what in ("RUN", "LOG", "DB", "SYSCONF")},
            "PATH": f"{place}/usr/sbin:{place}/usr/bin:{place}/usr/lib/openvswitch-switch:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": ":".join(map(str, Path(place or "/nonexistent").glob("usr/lib/*-linux-gnu"))),
        }
        schema = f"{place}/usr/share/openvswitch/vswitch.ovsschema"
        database = f"{folder}/db.sock"

        def run(*command: str) -> None:
            subprocess.run(command, env=environment, check=True, stdout=sys.stderr)

        run("ovsdb-tool", "create", f"{folder}/conf.db", schema)
        daemons = [
            ("ovsdb-server", f"{folder}/conf.db", f"--remote=punix:{database}"),
            ("ovs-vswitchd", f"unix:{database}"),
        ]
        running = []
        for command in daemons:
            log = open(f"{folder}/{command[0]}.log", "w")  # noqa: SIM115 — it lives as long as the daemon
            running.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log))
            while not os.path.exists(database):
                time.sleep(0.01)
            if command[0] == "ovsdb-server":
                vsctl = ("ovs-vsctl", f"--db=unix:{database}", "--timeout=20")
                run(*vsctl, "--no-wait", "init")
                if "--tso" in sys.argv:
                    run(*vsctl, "--no-wait", "set", "Open_vSwitch", ".", "other_config:userspace-tso-enable=true")
        run(*vsctl, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        run(*vsctl, "add-port", "br0", ports[0], "--", "add-port", "br0", ports[1])
        ready()
        running[-1].wait()


main()
