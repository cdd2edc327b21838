"""Devices under many threads: nothing dies, hangs or is lost track of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
import vnet
from packets import ethernet

pytestmark = pytest.mark.usefixtures("netns")


def test_threads_receive_send_attach_and_wire_one_device() -> None:
    end = time.monotonic() + 3
    problems: list[BaseException] = []

    def repeat(step: Callable[[], object]) -> threading.Thread:
        def work() -> None:
            while time.monotonic() < end:
                try:
                    step()
                except (vnet.TimeoutError, vnet.Unsupported):
                    # No frame just then, or the wire has them.
                    pass
                except BaseException as error:
                    problems.append(error)
                    return

        return threading.Thread(target=work)

    with vnet.Veth("ep1", "ep2") as (a, b), vnet.Tap("tap0") as tap:
        kept = b.attach("count", direction="both")

        def wire() -> None:
            with vnet.Wire(b, tap, plugins=["count"]):
                time.sleep(0.02)

        def attach() -> None:
            with b.attach("drop_bcast"):
                time.sleep(0.005)

        threads = [
            repeat(lambda: a.send(ethernet())),
            repeat(lambda: b.recv(timeout=0.01)),
            repeat(lambda: b.recv(timeout=0.01)),
            repeat(lambda: tap.send(ethernet())),
            repeat(lambda: (b.stats, kept.stats, repr(b))),
            repeat(attach),
            repeat(wire),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
        assert problems == []
        assert kept.stats.packets_in > 100

        last = kept.detach()
        assert last.packets_in + last.appended == last.passed + last.dropped + last.redirected + last.tx


def test_closing_while_others_use_it_ends_them_with_closed() -> None:
    for _ in range(20):
        tap = vnet.Tap("tap0")
        ended = []

        def use(step: Callable[[], object], ended: list[str] = ended) -> None:
            try:
                while True:
                    step()
            except vnet.Closed:
                ended.append("closed")

        steps: list[Callable[[], object]] = [
            tap.recv,
            lambda tap=tap: tap.send(ethernet()),  # type: ignore[misc]
            lambda tap=tap: tap.stats,  # type: ignore[misc]
            lambda tap=tap: tap.attach("count").detach(),  # type: ignore[misc]
        ]
        threads = [threading.Thread(target=use, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        tap.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert ended == ["closed"] * len(steps)
