from __future__ import annotations

import asyncio
import select
import threading

import pytest
import vnet
from packets import ethernet, is_ours
from wait import drain

pytestmark = pytest.mark.usefixtures("netns")


def quiet_pair() -> vnet.Veth:
    """A pair whose ends are read already, so that no frame is missed."""
    pair = vnet.Veth("ep1", "ep2")
    for end in pair:
        drain(end)
    return pair


def test_iteration_ends_when_the_device_is_closed_by_another_thread() -> None:
    with vnet.Tap("tap0", up=False) as tap:
        timer = threading.Timer(0.2, tap.close)
        timer.start()
        assert list(tap) == []
        timer.join()


def test_other_threads_run_while_one_receives() -> None:
    with vnet.Tap("tap0", up=False) as tap:
        ticks = 0
        done = threading.Event()

        def receive() -> None:
            with pytest.raises(vnet.TimeoutError):
                tap.recv(timeout=0.5)
            done.set()

        thread = threading.Thread(target=receive)
        thread.start()
        while not done.wait(0.01):
            ticks += 1
        thread.join()
        assert ticks > 10


def test_async_iteration_yields_frames_on_the_callers_loop() -> None:
    with quiet_pair() as (a, b):

        async def collect() -> list[bytes]:
            found = []
            async for frame in b:
                if is_ours(bytes(frame)):
                    found.append(bytes(frame))
                    if len(found) == 100:
                        break
            return found

        async def main() -> list[bytes]:
            task = asyncio.create_task(collect())
            for number in range(100):
                a.send(ethernet(payload=bytes([number])))
                await asyncio.sleep(0)
            return await asyncio.wait_for(task, 10)

        assert asyncio.run(main()) == [ethernet(payload=bytes([number])) for number in range(100)]


def test_two_async_iterations_share_a_device() -> None:
    with quiet_pair() as (a, b):
        found: list[bytes] = []

        async def collect() -> None:
            async for frame in b:
                if is_ours(bytes(frame)):
                    found.append(bytes(frame))
                if len(found) >= 50:
                    b.close()

        async def main() -> None:
            tasks = [asyncio.create_task(collect()) for _ in range(2)]
            for number in range(50):
                a.send(ethernet(payload=bytes([number])))
                await asyncio.sleep(0.001)
            await asyncio.wait_for(asyncio.gather(*tasks), 10)

        asyncio.run(main())
        assert sorted(found) == [ethernet(payload=bytes([number])) for number in range(50)]


def test_async_iteration_ends_when_the_device_is_closed() -> None:
    with vnet.Tap("tap0", up=False) as tap:

        async def main() -> None:
            async def collect() -> int:
                return len([frame async for frame in tap])

            task = asyncio.create_task(collect())
            await asyncio.sleep(0.1)
            await asyncio.to_thread(tap.close)
            assert await asyncio.wait_for(task, 5) == 0

        asyncio.run(main())


def test_async_iteration_can_be_cancelled() -> None:
    with vnet.Tap("tap0", up=False) as tap:

        async def main() -> None:
            async def collect() -> None:
                async for _ in tap:
                    pass

            task = asyncio.create_task(collect())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())


def test_the_event_descriptor_is_readable_while_frames_wait() -> None:
    import os

    with quiet_pair() as (a, b):
        descriptor = b.event_fd()
        try:
            a.send(ethernet())
            assert select.select([descriptor], [], [], 5)[0]
            while True:
                try:
                    b.recv(timeout=0)
                except vnet.TimeoutError:
                    break
        finally:
            os.close(descriptor)
