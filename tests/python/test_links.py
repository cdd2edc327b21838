"""Impairments as they are declared, changed and read back: nothing of it needs a network that runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import vnet


@pytest.fixture
def net() -> vnet.Network:
    """Two hosts, declared and not started."""
    net = vnet.Network("class", seed=7)
    net.host("h1"), net.host("h2")
    return net


def test_each_impairment_is_one_for_both_directions_or_a_pair(net: vnet.Network) -> None:
    link = net.link("h1", "h2", delay=("10ms", 0.02), jitter="1ms", loss=[0.01, None], rate=10_000_000, limit=50)
    common = {"jitter": "1ms", "rate": "10mbit", "queue": "50p"}
    assert link.impairments.a_to_b == {"delay": "10ms", "loss": "1%", **common}
    assert link.impairments.b_to_a == {"delay": "20ms", **common}
    assert "a to b: delay 10ms" in repr(link.impairments)
    assert link.impairments.to_dict()["b_to_a"]["delay"] == "20ms"
    again = net.link("h1", "h2", **link.impairments.a_to_b)  # type: ignore[arg-type]
    assert again.impairments.a_to_b == link.impairments.a_to_b == again.impairments.b_to_a
    assert repr(again.impairments).startswith("<vnet.LinkImpairments delay 10ms")
    assert repr(net.link("h1", "h2").impairments) == "<vnet.LinkImpairments nothing>"


@pytest.mark.parametrize(
    ("impairments", "words"),
    [
        ({"delay": "10 meters"}, r'^delay: "10 meters"; expected a time such as "10ms"'),
        ({"delay": 1 << 80}, r"delay: the number 1\.2"),
        ({"delay": -1}, "delay: the number -1"),
        ({"delay": True}, "delay: true"),
        ({"delay": ("1ms", "1%")}, r'delay\[1\]: "1%"'),
        ({"delay": ("1ms",)}, "delay: a list of 1"),
        ({"delay": float("nan")}, "neither a number nor a text"),
        ({"delay": object()}, "neither a number nor a text"),
        ({"loss": "1"}, r'loss: "1"; .* "1%"'),
        ({"loss": 1.5}, "loss: the number 1.5"),
        ({"rate": "10Mb"}, "rate: .*10mbit"),
        ({"queue": 50}, "queue is 50p without rate"),
        ({"rate": 1, "queue": 5, "limit": 5}, "either queue or limit"),
        ({"gap": 5}, "gap is 5 without reorder"),
        ({"reorder": ("1%", None), "delay": (None, "1ms")}, "without delay, from a to b"),
        ({"rate": "1mbit", "trace": "x.up"}, "rate stands beside trace"),
        ({"discipline": "red", "rate": 1}, "discipline: .*codel"),
        ({"busy_poll": "20"}, r"busy_poll is 20; expected a time"),
        ({"schedule": [{"at": 1}]}, r"\[0\]: an event in which nothing happens"),
        ({"schedule": [{"at": 1, "delay": "x"}]}, r"\[0\].delay: \"x\""),
        ({"schedule": [{"every": 1, "down": 2}]}, "down = a time shorter"),
        ({"schedule": [{"at": 1, "gap": 5}]}, r"schedule\[0\] of link .*: gap is 5 without reorder"),
        ({"schedule": {"at": 1, "down": True}}, "give a list of dicts"),
    ],
)
def test_what_cannot_be_is_refused_with_the_right_form_and_changes_nothing(
    net: vnet.Network, impairments: dict[str, object], words: str
) -> None:
    before = net.to_dict()
    with pytest.raises(vnet.InvalidValue, match=words):
        net.link("h1", "h2", **impairments)  # type: ignore[arg-type]
    assert net.to_dict() == before
    link = net.link("h1", "h2", name="l", duplicate="1%")
    if not {"busy_poll", "schedule"} & impairments.keys():
        with pytest.raises(vnet.InvalidValue):
            link.set(delay="5ms", **impairments) if "delay" not in impairments else link.set(**impairments)  # type: ignore
        assert link.impairments.a_to_b == link.impairments.b_to_a == {"duplicate": "1%"}


def test_set_changes_only_what_is_given(net: vnet.Network) -> None:
    link = net.link("h1", "h2", delay="10ms", loss="1%")
    link.set(delay="20ms", loss=(0.1, None))
    assert link.impairments.a_to_b == {"delay": "20ms", "loss": "10%"}
    assert link.impairments.b_to_a == {"delay": "20ms"}
    link.set(delay=None)
    assert link.impairments.to_dict() == {"a_to_b": {"loss": "10%"}, "b_to_a": {}}
    link.set()
    with pytest.raises(TypeError, match="flavour"):
        link.set(flavour=1)  # type: ignore[call-arg]
    assert not net.started


def test_impairments_and_schedules_survive_a_dict_a_file_and_a_graph(net: vnet.Network, tmp_path: Path) -> None:
    schedule = [
        {"at": "5s", "delay": "50ms", "loss": ("2%", None)},
        {"at": 10, "down": True},
        {"at": 11, "up": True, "delay": None},
        {"every": "10s", "down": "1s"},
    ]
    link = net.link(
        "h1",
        "h2",
        delay=("12.345678ms", None),
        loss="gemodel 1% 10% 70% 0.1%",
        distribution=(Path("a.dist"), None),
        jitter=("1ms", None),
        rate="10mbit",
        burst="15kb",
        overhead=-4,
        discipline="codel 7ms 90ms ecn",
        schedule=schedule,
        big_tcp=True,
        busy_poll="20us",
    )
    net.link("h1", "h2", trace=tmp_path / "up.trace", queue="64kib")
    for copy in (
        vnet.Network.from_dict(net.to_dict()),
        *(saved(net, tmp_path / name) for name in ("lab.toml", "lab.json")),
    ):
        assert copy.to_dict() == net.to_dict()
        assert copy.links["h1-h2"].impairments == link.impairments
        assert copy.seed == 7
    declared = net.to_dict()["links"][0]
    assert declared["schedule"][0] == {"at": "5s", "delay": "50ms", "loss": ["2%", "none"]}
    assert declared["schedule"][2] == {"at": "11s", "up": True, "delay": "none"}
    assert (declared["big_tcp"], declared["busy_poll"]) == (True, "20us")
    link.schedule([])
    assert "schedule" not in net.to_dict()["links"][0]
    link.schedule(({"every": "1s", "down": "100ms"},))
    assert net.to_dict()["links"][0]["schedule"] == [{"every": "1s", "down": "100ms"}]


def saved(net: vnet.Network, path: Path) -> vnet.Network:
    net.save(path)
    return vnet.Network.load(path)


def test_a_lab_file_with_a_wrong_unit_is_named_with_line_key_and_the_right_form(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('hosts = ["a", "b"]\n\n[[links]]\nends = ["a", "b"]\ndelay = ["1ms", "10 meters"]\n')
    with pytest.raises(vnet.LabFileError, match='such as "10ms"') as caught:
        vnet.Network.load(path)
    assert (caught.value.file, caught.value.line, caught.value.key) == (str(path), 5, "links[0].delay[1]")


def test_a_seed_is_told_and_drawn_where_none_is_given(net: vnet.Network) -> None:
    assert net.seed == 7
    drawn = {vnet.Network().seed for _ in range(8)}
    assert len(drawn) == 8
    assert all(0 <= seed < 1 << 63 for seed in drawn)
    assert "seed" not in vnet.Network().to_dict()


def test_a_graph_says_what_befalls_frames(net: vnet.Network) -> None:
    net.link("h1", "h2", delay=("10ms", None), loss="1%")
    assert "(delay 10ms out none in, loss 1%)" in net.graph()
    assert "delay 10ms→ none←" in net.graph("svg")
