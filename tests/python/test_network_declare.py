"""Declaring a network makes nothing: names, addresses, files, graphs and refusals."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import vnet


@pytest.fixture
def net() -> vnet.Network:
    """Two hosts, a switch and a router, declared and not started."""
    net = vnet.Network("class")
    h1, h2, s1, r1 = net.host("h1", ip="10.0.1.1/24"), net.host("h2"), net.switch("s1"), net.router("r1")
    net.link(h1, s1)
    net.link("s1", "r1")
    net.link(r1, h2, name="uplink", mtu=1400)
    return net


def test_declaring_starts_nothing(net: vnet.Network) -> None:
    assert not net.started
    assert not net.closed
    assert repr(net) == "<vnet.Network class declared: 2 hosts, 1 switch, 1 router, 3 links>"
    net.close()
    assert net.closed


def test_nodes_and_links_are_found_by_number_and_name(net: vnet.Network) -> None:
    assert net.nodes.names == ("h1", "h2", "s1", "r1")
    assert net.hosts.names == ("h1", "h2")
    assert net.switches.names == ("s1",)
    assert net.routers.names == ("r1",)
    assert net.links.names == ("h1-s1", "s1-r1", "uplink")
    assert net["h1"] == net.hosts[0] == net.hosts["h1"] == net.nodes["h1"]
    assert len({net["h1"], net["h1"], net["h2"]}) == 2
    assert isinstance(net["s1"], vnet.Switch)
    assert isinstance(net["r1"], vnet.Router)
    assert "h1" in net
    assert "h9" not in net
    link = net.links["uplink"]
    assert (link.a, link.b, link.is_up) == (net["r1"], net["h2"], True)
    assert [link.name for link in net["s1"].links] == ["h1-s1", "s1-r1"]
    assert net.switches[0].ports == ("h1-s1", "s1-r1")
    assert net.hosts[-1:] == (net["h2"],)


@pytest.mark.parametrize("name", ["h9", ""])
def test_what_is_not_there_is_not_found_and_what_is_is_named(net: vnet.Network, name: str) -> None:
    with pytest.raises(vnet.NotFound, match="no node") as caught:
        net[name]
    assert "h1, h2, s1, r1" in (caught.value.hint or "")
    with pytest.raises(vnet.NotFound, match="no host"):
        net.hosts["s1"]


def test_a_second_link_of_two_nodes_gets_another_name(net: vnet.Network) -> None:
    assert net.link("h1", "s1").name == "h1-s1-2"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda net: net.host("h1"), "h1"),
        (lambda net: net.host("H1"), "H1"),
        (lambda net: net.switch("a b"), "a b"),
        (lambda net: net.host("x" * 64), "x"),
        (lambda net: net.host("h3", ip="10.0.0.1"), "10.0.0.1"),
        (lambda net: net.host("h3", ip="10.0.0.300/24"), "10.0.0.300"),
        (lambda net: net.host("h3", mac="nonsense"), "nonsense"),
        (lambda net: net.host("h3", gateway="nonsense"), "nonsense"),
        (lambda net: net.host("h3", dns="nonsense"), "nonsense"),
        (lambda net: net.host("h3", sysctls={"kernel.hostname": "x"}), "kernel"),
        (lambda net: net.host("h3", private_dirs=["relative"]), "relative"),
        (lambda net: net.router("r2", routing="magic"), "magic"),
        (lambda net: net.link("h1", "h9"), "h9"),
        (lambda net: net.link("h1", "h1"), "itself"),
        (lambda net: net.link("h1", "h2", name="uplink"), "uplink"),
        (lambda net: net.link("h1", "h2", ip="10.0.0.1/24"), "which end"),
        (lambda net: net.link("h1", "h2", mtu=1), "mtu|MTU|1"),
        (lambda net: net.link("h1", "h2", interfaces=("much-too-long-a-name", None)), "much-too-long"),
        (lambda net: net.link("h1", vnet.Network().host("h2")), "another network"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused_and_changes_nothing(
    net: vnet.Network, wrong: object, words: str
) -> None:
    before = net.to_dict()
    with pytest.raises(vnet.InvalidValue, match=words):
        wrong(net)  # type: ignore[operator]
    assert net.to_dict() == before


def test_a_link_has_no_other_keyword(net: vnet.Network) -> None:
    with pytest.raises(TypeError, match="flavour"):
        net.link("h1", "h2", flavour="sweet")  # type: ignore[call-arg]


def test_one_address_twice_is_refused_with_both_places() -> None:
    net = vnet.Network()
    net.host("h1", ip="10.0.0.1/24")
    with pytest.raises(vnet.InvalidValue, match=r"ip of host h2.*10\.0\.0\.1.*ip of host h1"):
        net.host("h2", ip="10.0.0.1/24")
    net.link(net.host("h3"), net.host("h4"), ip=("10.1.0.1/24", None))
    net.link(net.host("h5"), net.host("h6"), ip=("10.1.0.200/16", None))
    for use in (net.graph, net.start):
        with pytest.raises(vnet.InvalidValue, match=r"link h5-h6 at h5: 10\.1\.0\.0/16 overlaps .* link h3-h4 at h3"):
            use()
    net.remove("h5-h6")
    assert net.graph()


def test_a_dict_and_a_file_hold_the_whole_declaration(net: vnet.Network, tmp_path: Path) -> None:
    net["h1"]
    net.host("h3", gateway=False, dns="10.0.1.53", sysctls={"net.ipv4.ip_default_ttl": 7}, private_dirs=["/srv"])
    net.link("h3", "s1", ip=(["10.0.1.9/24", "fd00:9::9/64"], None), mac=("02:00:00:00:00:09", None), up=False)
    for copy in (
        vnet.Network.from_dict(net.to_dict()),
        *(_saved(net, tmp_path / name) for name in ("lab.toml", "lab.json")),
    ):
        assert copy.to_dict() == net.to_dict()
        assert copy.graph() == net.graph()
        assert not copy.links["h3-s1"].is_up


def _saved(net: vnet.Network, path: Path) -> vnet.Network:
    net.save(path)
    return vnet.Network.load(path)


def test_a_dict_that_is_no_network_is_refused() -> None:
    with pytest.raises(vnet.InvalidValue, match="hostes"):
        vnet.Network.from_dict({"hostes": ["h1"]})
    with pytest.raises(vnet.InvalidValue, match="JSON"):
        vnet.Network.from_dict({"name": object()})


def test_a_lab_file_with_an_error_is_named_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text('hosts = ["h1", "h2"]\nswitches = ["s1"]\n\nlinks = [["h1", "s1"], ["h9", "s1"]]\n')
    with pytest.raises(vnet.LabFileError, match="h9") as caught:
        vnet.Network.load(path)
    error = caught.value
    assert isinstance(error, vnet.InvalidValue)
    assert (error.file, error.line) == (str(path), 4)
    assert "links" in error.key
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.file, copy.line, copy.key, str(copy)) == (error.file, error.line, error.key, str(error))
    path.write_text("hosts = [\n")
    with pytest.raises(vnet.LabFileError, match=r"lab\.toml"):
        vnet.Network.load(path)
    with pytest.raises(vnet.NotFound, match=r"nothing\.toml"):
        vnet.Network.load(tmp_path / "nothing.toml")


def test_a_graph_shows_every_node_and_link(net: vnet.Network) -> None:
    for form, mark in (("text", "h1"), ("svg", "<svg"), ("dot", "graph")):
        drawn = net.graph(form)  # type: ignore[arg-type]
        assert mark in drawn
        for name in ("h1", "h2", "s1", "r1"):
            assert name in drawn
    assert "10.0.1.1/24" in net.graph()
    with pytest.raises(vnet.InvalidValue, match="jpeg"):
        net.graph("jpeg")  # type: ignore[arg-type]


def test_removing_a_node_removes_its_links(net: vnet.Network) -> None:
    s1 = net["s1"]
    net.remove(s1)
    assert net.nodes.names == ("h1", "h2", "r1")
    assert net.links.names == ("uplink",)
    net.remove("uplink")
    net.remove("h2")
    assert (net.links.names, net.nodes.names) == ((), ("h1", "r1"))
    with pytest.raises(vnet.NotFound):
        net.remove("h2")
    with pytest.raises(vnet.InvalidValue, match="another network"):
        net.remove(vnet.Network().host("h1"))
    assert "removed" in repr(s1)


def test_a_networkx_graph_becomes_a_network_and_a_network_a_graph() -> None:
    networkx = pytest.importorskip("networkx", reason="networkx is not installed")
    graph = networkx.Graph(name="ring")
    graph.add_node("s1", kind="switch", pos=(0, 0))
    graph.add_node("h1", ip="10.0.0.1/24")
    graph.add_node(2, color="red")
    graph.add_edge("h1", "s1", weight=3, mtu=1300)
    graph.add_edge(2, "s1")
    net = vnet.Network.from_networkx(graph)
    assert net.name == "ring"
    assert [(node.name, node.kind) for node in net.nodes] == [("s1", "switch"), ("h1", "host"), ("2", "host")]
    back = net.to_networkx()
    assert back.nodes["h1"]["kind"] == "host"
    assert back.edges["h1", "s1"]["mtu"] == 1300
    assert vnet.Network.from_networkx(back).to_dict() == net.to_dict()
    net.link("h1", "s1")
    assert net.to_networkx().number_of_edges("h1", "s1") == 2
    with pytest.raises(vnet.InvalidValue, match="toaster"):
        vnet.Network.from_networkx(_toaster(networkx))
    graph.add_edge("h1", 2, delay="10ms", loss=(0.01, None), schedule=[{"every": "10s", "down": "1s"}])
    impaired = vnet.Network.from_networkx(graph)
    assert impaired.links["h1-2"].impairments.a_to_b == {"delay": "10ms", "loss": "1%"}
    assert impaired.links["h1-2"].impairments.b_to_a == {"delay": "10ms"}
    assert vnet.Network.from_networkx(impaired.to_networkx()).to_dict() == impaired.to_dict()
    graph.add_edge("h1", 2, delay="10 meters")
    with pytest.raises(vnet.InvalidValue, match="delay"):
        vnet.Network.from_networkx(graph)


def _toaster(networkx: object) -> object:
    graph = networkx.Graph()  # type: ignore[attr-defined]
    graph.add_node("t1", kind="toaster")
    return graph


def test_pools_and_seeds_are_checked() -> None:
    with pytest.raises(vnet.InvalidValue, match="seed"):
        vnet.Network(seed=-1)
    with pytest.raises(vnet.InvalidValue, match="nonsense"):
        vnet.Network(ipv4="nonsense")
    with pytest.raises(vnet.InvalidValue, match="IPv6"):
        vnet.Network(ipv6="10.0.0.0/8")
    with pytest.raises(vnet.InvalidValue, match="magic"):
        vnet.Network(routing="magic")  # type: ignore[arg-type]
    net = vnet.Network(ipv4="192.168.0.0/16", ipv6=False)
    net.link(net.host("h1"), net.host("h2"))
    assert "192.168.0.1/24" in net.graph()
    assert "fd00" not in net.graph()


@pytest.mark.parametrize(
    ("plugin", "said"),
    [('"no_such_plugin"', "no_such_plugin"), ('{ plugin = "drop_bcast", config = { nonsense = 1 } }', "nonsense")],
)
def test_a_plugin_that_cannot_be_is_named_with_its_line_before_anything_is_made(
    tmp_path: Path, plugin: str, said: str
) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(f'hosts = ["h1", "h2"]\n\n[[links]]\nends = ["h1", "h2"]\nplugins = [{plugin}]\n')
    with pytest.raises(vnet.LabFileError, match=said) as caught:
        vnet.Network.load(path)
    assert (caught.value.file, caught.value.line, caught.value.key) == (str(path), 5, "links[0].plugins[0]")


def test_plugins_and_commands_are_declared_as_in_a_lab_file(tmp_path: Path) -> None:
    net = vnet.Network()
    h1 = net.host("h1", run="echo up > /tmp/up; sleep 60")
    s1 = net.switch("s1", plugins="drop_bcast")
    flt = vnet.Plugin("drop_bcast", config={"allow_arp": True}, on_fault="open")
    net.link(h1, s1, plugins=[flt, {"plugin": "count", "direction": "ingress"}])
    net.link(net.router("r1", run=["true", "false"]), s1)
    path = tmp_path / "lab.toml"
    net.save(path)
    assert vnet.Network.load(path).to_dict() == net.to_dict()
    (first, _) = net.to_dict()["links"]
    assert first["plugins"][0] == {"plugin": "drop_bcast", "config": {"allow_arp": True}, "on_fault": "open"}
    assert first["plugins"][1] == {"plugin": "count", "direction": "ingress"}
    assert {node["name"]: node.get("run") for node in net.to_dict()["nodes"]}["r1"] == ["true", "false"]
    for wrong, said in (({"plugn": "acl"}, "plugn"), (vnet.Plugin(b"module"), "declaration"), ([3], "plugins")):
        with pytest.raises(vnet.InvalidValue, match=said):
            net.link("h1", "r1", plugins=wrong)
    assert len(net.links) == 2


def test_a_lab_file_that_is_no_json_or_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    path.write_text('{\n  "hosts": ["h1",\n}\n')
    with pytest.raises(vnet.LabFileError, match=r"lab\.json:3") as caught:
        vnet.Network.load(path)
    assert (caught.value.file, caught.value.line) == (str(path), 3)
    path = tmp_path / "lab.toml"
    path.write_bytes(b'hosts = ["h1"]\n# \xff\n')
    with pytest.raises(vnet.LabFileError, match="UTF-8") as caught:
        vnet.Network.load(path)
    assert (caught.value.file, caught.value.line) == (str(path), 2)


def test_a_number_out_of_range_is_refused_with_its_argument_and_range(net: vnet.Network) -> None:
    h1 = net["h1"]
    for number in (-1, 1 << 40, 1 << 80):
        with pytest.raises(vnet.InvalidValue, match=rf"mtu is {number}; it is a number from 68 to 65535"):
            net.link("h1", "h2", mtu=number)
    with pytest.raises(vnet.InvalidValue, match="count is -1"):
        h1.ping("h2", count=-1)
    with pytest.raises(vnet.InvalidValue, match="port is 70000; it is a number from 1 to 65535"):
        h1.forward(70000)
    with pytest.raises(vnet.InvalidValue, match="the port of bind is 70000"):
        h1.socket(bind=("0.0.0.0", 70000))
    assert not net.started
