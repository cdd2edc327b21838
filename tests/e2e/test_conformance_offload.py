"""Plugins made from the specification alone on TCP with offloads: super-frames and partial sums where they are asked for."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import vnet
from compiled import compiled
from lab import Lab
from test_transfer import MAC_A, MAC_B, RECEIVER, SENDER, STALL

SIZE = 64 << 20
NEAR, FAR, TRANSLATED = "10.7.0.1", "10.7.0.2", "10.7.0.9"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return compiled(tmp_path_factory.mktemp("offload"))


def expected() -> str:
    """Return the SHA-256 of what the sender sends."""
    import hashlib
    import random

    block = random.Random(7).randbytes(1 << 20)
    digest = hashlib.sha256()
    for number in range(SIZE >> 20):
        digest.update(number.to_bytes(8, "little") + block[8:])
    return digest.hexdigest()


CHAINS = [["nat.c"], ["nat.c", "verify.c"], ["verify.c", "nat.c", "verify.c"], ["finish", "verify.c"], ["finish"]]


@pytest.mark.parametrize("kind", ["tap", "veth"])
@pytest.mark.parametrize("chain", CHAINS, ids="+".join)
def test_rewritten_offloads_arrive_whole(lab: Lab, built: dict[str, Path], kind: str, chain: list[str]) -> None:
    finishes = "finish" in chain
    target = FAR if finishes else TRANSLATED
    with ExitStack() as stack:
        far = stack.enter_context(Lab())
        ends: tuple[vnet.Device, vnet.Device]
        if kind == "tap":
            near_end = stack.enter_context(vnet.Tap("ea", ip=f"{NEAR}/24", mac=MAC_A, netns=lab.path))
            far_end = stack.enter_context(vnet.Tap("eb", ip=f"{FAR}/24", mac=MAC_B, netns=far.path))
            ends = near_end, far_end
        else:
            middle = stack.enter_context(Lab())
            a = stack.enter_context(
                vnet.Veth("ma", "ea", netns=middle.path, peer_netns=lab.path, peer_ip=f"{NEAR}/24", peer_mac=MAC_A)
            )
            b = stack.enter_context(
                vnet.Veth("mb", "eb", netns=middle.path, peer_netns=far.path, peer_ip=f"{FAR}/24", peer_mac=MAC_B)
            )
            ends = a.a, b.a
        for side, device, address, mac in ((lab, "ea", target, MAC_B), (far, "eb", NEAR, MAC_A)):
            done = side.run("ip", "neigh", "replace", address, "lladdr", mac, "dev", device, "nud", "permanent")
            assert done.returncode == 0, done.stderr
        plugins = [
            vnet.Plugin(built["nat.c"], {"finish": 1}) if name == "finish" else vnet.Plugin(built[name])
            for name in chain
        ]
        wire = stack.enter_context(vnet.Wire(*ends, plugins=plugins))
        receiver = far.popen(sys.executable, "-c", RECEIVER, FAR, str(SIZE), str(STALL))
        assert receiver.stdout is not None
        port = receiver.stdout.readline().strip()
        sender = lab.popen(sys.executable, "-c", SENDER, target, port, str(SIZE), str(STALL))
        out, err = receiver.communicate(timeout=60)
        assert out.split()[1:] == [str(SIZE), expected()], (err, sender.communicate())
        stages = [handle.stats for handle in wire.plugins]
    for name, stage in zip(chain, stages, strict=True):
        assert not stage.faults
        counters = dict(stage.counters)
        if name == "verify.c":
            assert counters["seen"] > SIZE // 1514
            assert (counters["oversize"], counters["wrong"]) == (0, 0)
            continue
        assert counters["odd"] == 0
        if chain[0] == "verify.c":
            assert (counters["super"], counters["partial"]) == (0, 0)
        elif kind == "veth" or "verify.c" not in chain:
            # A TAP is asked for what the whole chain takes; a veth end sends what it likes.
            assert counters["super"] > 0
            assert counters["partial"] >= counters["super"]
            assert not finishes or counters["finished"] > 0
