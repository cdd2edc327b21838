"""Plugins swapped under numbered traffic: every frame is judged once, by one version, and the state goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from stamping import KEYS, stamping
from test_lab_basic import PROLOGUE, program
from unprivileged import Person, person

SWAPS = int(os.environ.get("VNET_HOT_SWAPS", "1000"))

TRAFFIC = '''
RECEIVE = """
import json, socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind(("", 6000))
seen, doubled, judges, total, gaps = bytearray(1 << 24), 0, {}, 0, 0
while True:
    payload = sock.recv(64)
    if payload[:4] == b"last":
        break
    number = int.from_bytes(payload[:8], "little")
    doubled += seen[number]
    seen[number] = 1
    judges[payload[8]] = judges.get(payload[8], 0) + 1
    stamp = int.from_bytes(payload[12:16], "little")
    gaps += total != 0 and stamp != total + 1
    total = stamp
print(json.dumps({"received": sum(seen), "doubled": doubled, "judges": judges, "gaps": gaps}))
"""
SEND = """
import socket, sys, threading, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((sys.argv[1], 6000))
stopped, rate, number = threading.Event(), float(sys.argv[2]), 0
threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
begun = time.monotonic()
while not stopped.is_set():
    due = int((time.monotonic() - begun) * rate)
    # After a pause of the machine the rest comes in portions that no buffer is too small for.
    for number in range(number, min(due, number + 64)):
        sock.send(number.to_bytes(8, "little") + bytes(8))
        number += 1
    time.sleep(0.0005)
spent = time.monotonic() - begun
# A pause so that these come after all others, however those went.
time.sleep(0.5)
for _ in range(3):
    sock.send(b"last")
print(number, spent)
"""
def carry(a, b, rate, work):
    """Carries numbers from a to b while `work` is done; returns how many were sent, in what time, and what came."""
    receiver = b.popen([sys.executable, "-c", RECEIVE], stdout=-1).wait_port(6000, protocol="udp")
    sender = a.popen([sys.executable, "-c", SEND, b.ip, str(rate)], stdin=-1, stdout=-1)
    work()
    out, _ = sender.communicate("", timeout=60)
    sent, spent = out.split()
    got, _ = receiver.communicate(timeout=60)
    return int(sent), float(spent), json.loads(got)
def loss_free(a, b):
    """Measures the highest rate at which nothing is lost, up to what the sender can."""
    best = 0.0
    for rate in (1000, 2000, 4000, 8000, 16000, 32000):
        sent, spent, got = carry(a, b, rate, lambda: time.sleep(0.5))
        if got["received"] != sent:
            break
        best = sent / spent
    return best
'''


@pytest.fixture
def somebody() -> Iterator[Person]:
    with person("user") as found:
        yield found


@pytest.mark.timeout(900)
def test_a_thousand_swaps_lose_double_and_forget_nothing(somebody: Person) -> None:
    source = f"""
    one, two = {stamping(1, 1)!r}, {stamping(2, 16)!r}
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        assert h1.ping(h2)
        flt = link.attach(vnet.Plugin(one, name="stamping"), direction="both")
        rate = loss_free(h1, h2)
        before, pauses, entries = flt.stats, [], []
        def swaps():
            deadline = time.monotonic() + 30
            while flt.stats.counters["judged"] < before.counters["judged"] + {KEYS}:
                assert time.monotonic() < deadline, flt.stats
                time.sleep(0.01)
            for n in range({SWAPS}):
                swapped = flt.swap(one if n % 2 else two)
                pauses.append(swapped.pause_us)
                entries.append(swapped.carried.entries)
                assert (swapped.carried.state_bytes, swapped.carried.counters) == (4, ("judged",)), swapped
        sent, spent, got = carry(h1, h2, rate / 2, swaps)
        after = flt.stats
        assert not after.faults and after.packets_in == after.passed, after
        print(json.dumps({{
            "sent": sent, "rate": rate, "at": sent / spent, "got": got, "pauses": sorted(pauses), "entries": min(entries),
            "judged": after.counters["judged"] - before.counters["judged"], "swaps": after.swaps,
            "kinds": len([e for e in flt.events.kept if e.kind == "swapped"]),
        }}))
    """
    result = json.loads(somebody.does(program(PROLOGUE, TRAFFIC, source), timeout=800))
    got, pauses = result["got"], result["pauses"]
    p50, p99 = pauses[len(pauses) // 2], pauses[int(len(pauses) * 0.99)]
    print(
        f"{SWAPS} swaps at {result['at']:.0f} of {result['rate']:.0f} frames/s: pause p50 {p50:.0f} us, p99 {p99:.0f} us"
    )
    assert result["sent"] > KEYS
    assert (got["received"], got["doubled"]) == (result["sent"], 0)
    # Each by one version alone: 1 is of the first, 16 of the second, and any other number of both or of none.
    assert set(got["judges"]) == {"1", "16"}
    assert sum(got["judges"].values()) == result["sent"] == result["judged"]
    assert got["gaps"] == 0, "the state was carried from each version to the next"
    assert result["entries"] == KEYS, "and so was a table larger than the arena"
    assert result["swaps"] == result["kinds"] == SWAPS
    assert p99 < 1_000_000


def test_a_bad_module_leaves_the_old_one_at_work_and_says_why(somebody: Person) -> None:
    source = f"""
    one, other = {stamping(1, 1)!r}, {stamping(2, 16, state_version=2)!r}.replace(b'(export "vnet_load")', b"")
    with vnet.Network() as net:
        h1, h2 = net.host("h1"), net.host("h2")
        link = net.link(h1, h2)
        flt = link.attach(vnet.Plugin(one, name="stamping"), direction="both")
        said = []
        for module, config in (
            (b"no module", None), ("nonsense", None), (other, None), ("./none.wasm", None),
            ("rate_limit_that_is_none", None), ("drop_bcast", {{"no such key": 1}}),
            (b'(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536)) '
             b'(func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)) (func $f unreachable) '
             b'(start $f))', None),
        ):
            try:
                flt.swap(module, config)
                said.append("swapped")
            except vnet.Error as error:
                said.append(f"{{type(error).__name__}}: {{error}}")
        sent, _, got = carry(h1, h2, 1000, lambda: time.sleep(0.3))
        assert got["judges"] == {{"1": sent}}, got
        try:
            flt.rollback()
        except vnet.InvalidValue as error:
            said.append(str(error))
        assert flt.stats.swaps == 0 and flt.name == "stamping"
        assert flt.swap(other, carry=False).version == "2"
        assert flt.stats.version == "2"
        assert flt.rollback(carry=False).version == "1"
        assert flt.rollback(carry=False).version == "2"
        print(json.dumps(said))
    """
    said = json.loads(somebody.does(program(PROLOGUE, TRAFFIC, source), timeout=120))
    kinds = [text.split(":")[0] for text in said]
    assert kinds[:4] == ["PluginRejected", "NotFound", "PluginRejected", "NotFound"], said
    assert kinds[4:7] == ["NotFound", "PluginRejected", "PluginTrap"], said
    assert "state of version 2" in said[2]
    assert "version 1" in said[2]
    assert "no such key" in said[5]
    assert "nothing to go back to" in said[7]


def test_all_stages_of_a_chain_are_swapped_in_one_step(somebody: Person) -> None:
    source = f"""
    one, two = {stamping(1, 1)!r}, {stamping(2, 16)!r}
    with vnet.Network() as net:
        h1, h2, h3 = net.host("h1"), net.host("h2"), net.host("h3")
        link, other = net.link(h1, h2), net.link(h2, h3)
        chain = [link.attach(vnet.Plugin(one, name="stamping"), direction="both") for _ in range(3)]
        apart = other.attach("count")
        modules = [two, one]
        def swaps():
            for n in range(100):
                swapped = vnet.swap(dict.fromkeys(chain, modules[n % 2]))
                assert len({{each.pause_us for each in swapped.values()}}) == 1
        sent, _, got = carry(h1, h2, 2000, swaps)
        # A step that one of them refuses is none for all.
        for bad in ({{chain[0]: two, chain[1]: b"no module"}}, {{chain[0]: two, apart: two}}):
            try:
                net.swap(bad)
                raise SystemExit("swapped")
            except vnet.Error:
                pass
        assert [flt.stats.version for flt in chain] == ["1"] * 3
        print(json.dumps([sent, got]))
    """
    sent, got = json.loads(somebody.does(program(PROLOGUE, TRAFFIC, source), timeout=300))
    assert got["received"] == sent
    assert got["doubled"] == 0
    assert set(got["judges"]) <= {"3", "48"}, "no frame is judged by some of before and some of after"
    assert got["gaps"] == 0
