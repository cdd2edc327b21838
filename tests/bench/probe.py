"""Traffic in a lab's nodes: `probe.py receive|load|send|many|tcp-sink|tcp|pages ...`, each of which prints what it saw as JSON.

Frames are judged where they arrive by the kernel's own time stamps, on a packet socket, so that corrupted ones are seen too.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

ETH_P_ALL, SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING, SO_TIMESTAMPNS = 3, 263, 6, 23, 35
UDP_SEGMENT = 103
PROBE, SINK = 7001, 7002
# Ethernet, IPv4 and UDP headers, the number of the frame, and when it was sent.
HEADERS, NUMBERED = 42, struct.Struct("!IQ")
# Where `struct tcp_info` has them.
BYTES_ACKED, SND_WND = 120, 228


def until_end_of_input() -> threading.Event:
    """Return what is set when whoever started this program closes its input."""
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.buffer.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    return ended


def receive(size: int, keep: int) -> dict[str, object]:
    """Count frames of `size` bytes to the end of input; read `keep` bytes of each."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    keeps_to(raw, size)
    raw.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, (4 << 20) if keep else 2048)
    raw.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    # Nobody else answers these ports, and an answer would be traffic.
    sinks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for sink, port in zip(sinks, (PROBE, SINK), strict=True):
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sink.bind(("0.0.0.0", port))
    # What came before the filter did.
    with contextlib.suppress(BlockingIOError):
        while raw.recv(1, socket.MSG_DONTWAIT):
            pass
    raw.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
    ended = until_end_of_input()
    frames: list[tuple[bytes, int]] = []
    raw.settimeout(0.1)
    if not keep:
        ended.wait()
    while not ended.is_set():
        try:
            frame, extra, _, _ = raw.recvmsg(keep, 64)
        except TimeoutError:
            continue
        seconds, ns = struct.unpack("qq", extra[0][2][:16])
        frames.append((frame, seconds * 1_000_000_000 + ns))
    counted, dropped = struct.unpack("II", raw.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return {"frames": counted, "missed": dropped if keep else 0} | judged(frames, keep >= size)


def keeps_to(raw: socket.socket, size: int) -> None:
    """Let a packet socket take frames of one length only: nothing but this program sends such."""
    ld_len, jeq, ret = 0x80, 0x15, 0x06
    program = [(ld_len, 0, 0, 0), (jeq, 0, 1, size), (ret, 0, 0, 0xFFFF), (ret, 0, 0, 0)]
    code = array("B", b"".join(struct.pack("HBBI", *line) for line in program))
    so_attach_filter = 26
    raw.setsockopt(socket.SOL_SOCKET, so_attach_filter, struct.pack("HP", len(program), code.buffer_info()[0]))


def judged(frames: list[tuple[bytes, int]], whole: bool) -> dict[str, object]:
    """Return numbers in the order of arrival, nanoseconds under way, times of arrival, and how many whole frames were damaged."""
    order, delays, times, damaged = [], [], [], 0
    usual = frames[0][0][:14] if frames else b""
    if len(frames) > 2 and frames[1][0][:14] == frames[2][0][:14]:
        usual = frames[1][0][:14]
    for frame, arrived in frames:
        if whole and (frame[:14] != usual or not intact(frame)):
            damaged += 1
            continue
        number, sent = NUMBERED.unpack_from(frame, HEADERS)
        order.append(number)
        delays.append(arrived - sent)
        times.append(arrived)
    return {"order": order, "delays": delays, "times": times, "damaged": damaged}


def intact(frame: bytes) -> bool:
    """Tell whether the checksums of the IPv4 header and of UDP agree."""
    ip, udp = frame[14:34], frame[34:]
    pseudo = ip[12:20] + b"\0\x11" + struct.pack("!H", len(udp))
    return folded(ip) == 0xFFFF and folded(pseudo + udp) == 0xFFFF


def folded(octets: bytes) -> int:
    padded = octets + b"\0" * (len(octets) % 2)
    # 2**16 is 1 modulo 0xffff, so the whole number leaves the sum of its words.
    return int.from_bytes(padded) % 0xFFFF or 0xFFFF


def load(host: str, rate: float, seconds: float, size: int) -> dict[str, object]:
    """Send `rate` frames/s one by one, as many as go when it is 0."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((host, SINK))
    payload = bytes(size - HEADERS)
    begun, sent = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        due = now * rate if rate else sent + 64
        while sent < due:
            try:
                sock.send(payload)
            except OSError:
                time.sleep(0.0001)  # the interface's queue is full
            sent += 1
        if rate:
            time.sleep(0.0002)
    return {"sent": sent, "rate": sent / seconds}


def send(host: str, frames: int, every: float, size: int, burst: int) -> dict[str, object]:
    """Send numbered frames, `burst` at a time as one buffer that the kernel, or the link, takes apart."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((host, PROBE))
    length = size - HEADERS
    if burst > 1:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, length)
    due = time.monotonic()
    for first in range(0, frames, burst):
        payload = bytearray(length * min(burst, frames - first))
        stamp = time.clock_gettime_ns(time.CLOCK_REALTIME)
        for at in range(len(payload) // length):
            NUMBERED.pack_into(payload, at * length, first + at, stamp)
        sock.send(payload)
        due += every
        if (pause := due - time.monotonic()) > 0:
            time.sleep(pause)
    return {"sent": frames}


def many(rate: float, seconds: float, size: int, *hosts: str) -> dict[str, object]:
    """Send `rate` frames/s to each of many hosts, evenly spread."""
    socks = []
    for host in hosts:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect((host, PROBE))
        socks.append(sock)
    payload = bytearray(size - HEADERS)
    begun, sent = time.monotonic(), 0
    while (now := time.monotonic() - begun) < seconds:
        due = int(now * rate * len(socks))
        while sent < due:
            NUMBERED.pack_into(payload, 0, sent, time.clock_gettime_ns(time.CLOCK_REALTIME))
            # Where nobody listens yet, the kernel says so.
            with contextlib.suppress(ConnectionRefusedError):
                socks[sent % len(socks)].send(payload)
            sent += 1
        time.sleep(0.0002)
    return {"sent": sent}


def tcp_sink(port: int, window: int, answer: int) -> dict[str, object]:
    """Take whatever comes to a port; with `answer`, send that many bytes to each that connects instead."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if window:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    listener.bind(("0.0.0.0", port))
    listener.listen()

    def serve(peer: socket.socket) -> None:
        block = bytearray(1 << 18)
        with contextlib.suppress(OSError), peer:
            if answer:
                peer.sendall(bytes(answer))
            else:
                while peer.recv_into(block):
                    pass

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    until_end_of_input().wait()
    return {}


def tcp(host: str, port: int, seconds: float) -> dict[str, object]:
    """Send as fast as TCP does; return what the second half of the time carried, and the largest window announced.

    By CUBIC or Reno: BBR, the default on some machines, does not fill queues.
    """
    sock = socket.socket()
    here = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic" if "cubic" in here else b"reno")
    sock.connect((host, port))
    sock.setblocking(False)
    block = bytes(1 << 18)
    marks: list[tuple[float, int]] = []
    window, begun = 0, time.monotonic()
    while (now := time.monotonic() - begun) < seconds:
        if select.select([], [sock], [], 0.01)[1]:
            sock.send(block)
        if now > seconds / 2:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            marks.append((time.monotonic(), struct.unpack_from("Q", info, BYTES_ACKED)[0]))
            window = max(window, struct.unpack_from("I", info, SND_WND)[0])
    (t0, first), (t1, last) = marks[0], marks[-1]
    return {"bits_per_s": (last - first) * 8 / (t1 - t0), "window": window}


def pages(host: str, port: int, seconds: float) -> dict[str, object]:
    """Fetch what a `tcp-sink` answers again and again, and return the seconds each time took."""
    took, begun = [], time.monotonic()
    while time.monotonic() - begun < seconds:
        start = time.monotonic()
        with socket.create_connection((host, port), timeout=60) as sock:
            while sock.recv(1 << 16):
                pass
        took.append(time.monotonic() - start)
    return {"took": took}


def main() -> None:
    programs: dict[str, Callable[..., dict[str, object]]] = {
        **{"receive": receive, "load": load, "send": send, "many": many},
        **{"tcp-sink": tcp_sink, "tcp": tcp, "pages": pages},
    }
    what, *words = sys.argv[1:]
    # Everything but an address is a number.
    found = programs[what](*(word if word.count(".") == 3 else json.loads(word) for word in words))
    print(json.dumps(found), flush=True)
    os._exit(0)


main()
