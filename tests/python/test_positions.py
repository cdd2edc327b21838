"""Where in a chain a plugin is put."""

from __future__ import annotations

import pytest
import vnet
from packets import ethernet
from wait import until

pytestmark = pytest.mark.usefixtures("netns")


def test_a_plugin_is_put_before_others_of_a_device() -> None:
    with vnet.Tap("tap0") as tap:
        last = tap.attach("count", direction="egress")
        first = tap.attach("drop_bcast", direction="egress", position=0)
        end = tap.attach("count", direction="egress", position=99)
        tap.send(ethernet())
        until(lambda: first.stats.dropped == 1, "the broadcast was dropped")
        tap.send(ethernet(b"\x02\0\0\0\0\x05"))
        until(lambda: end.stats.packets_in == 1, "the other frame came to the end")
        assert last.stats.packets_in == 1


def test_a_plugin_is_put_before_others_of_a_wire() -> None:
    with (
        vnet.Veth("ep1", "port1") as left,
        vnet.Veth("port2", "ep2") as right,
        vnet.Wire(left.b, right.a, plugins=["count"]) as wire,
    ):
        first = wire.attach("drop_bcast", direction="ingress", position=0)
        before = wire.plugins[0].stats.counters["other"]
        left.a.send(ethernet())
        until(lambda: first.stats.dropped >= 1, "the broadcast was dropped")
        left.a.send(ethernet(b"\x02\0\0\0\0\x05"))
        until(lambda: wire.plugins[0].stats.counters["other"] == before + 1, "only the other frame came to the next")


def test_a_negative_position_is_refused() -> None:
    with vnet.Tap("tap0") as tap, pytest.raises(vnet.InvalidValue, match="-1"):
        tap.attach("count", position=-1)
