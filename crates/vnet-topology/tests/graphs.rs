//! Pictures of plans.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use vnet_topology::{
    GraphNotes, LinkSpec, NodeKind, NodeSpec, Resolved, Spec, graph_dot, graph_svg, graph_text, resolve,
};

fn plan(lab: &str) -> Resolved {
    resolve(&Spec::from_toml(lab, "lab.toml").unwrap(), None).unwrap()
}

const LAB: &str = r#"
    [hosts.h1]
    [hosts.h2]
    [switches.s1]
    [routers.r1]
    [[links]]
    ends = ["h1", "s1"]
    [[links]]
    ends = ["h2", "s1"]
    up = false
    mtu = 9000
    [[links]]
    ends = ["r1", "s1"]
    [[links]]
    ends = ["r1", "h2"]
"#;

#[test]
fn text_lists_each_node_with_its_neighbours_in_columns() {
    assert_eq!(
        graph_text(&plan(LAB)),
        [
            "2 hosts, 1 switch, 1 router and 4 links",
            "",
            "host h1",
            "  eth0  10.0.0.2/24 fd00::2/64  -- s1 port1",
            "host h2",
            "  eth0  10.0.0.3/24 fd00::3/64        -- s1 port2  (down, mtu 9000)",
            "  eth1  10.0.1.2/24 fd00:0:0:1::2/64  -- r1 eth1",
            "switch s1",
            "  port1  -- h1 eth0",
            "  port2  -- h2 eth0  (down, mtu 9000)",
            "  port3  -- r1 eth0",
            "router r1",
            "  eth0  10.0.0.1/24 fd00::1/64        -- s1 port3",
            "  eth1  10.0.1.1/24 fd00:0:0:1::1/64  -- h2 eth1",
            "",
        ]
        .join("\n")
    );
    assert_eq!(graph_text(&Resolved::default()), "nothing\n");
}

#[test]
fn impairments_stand_beside_their_link() {
    let plan = plan(
        "hosts = [\"a\", \"b\"]\n[[links]]\nends = [\"a\", \"b\"]\ndelay = [\"10ms\", \"none\"]\nloss = 0.01\n",
    );
    let text = graph_text(&plan);
    assert!(
        text.contains("-- b eth0  (delay 10ms out none in, loss 1%)"),
        "{text}"
    );
    assert!(
        text.contains("-- a eth0  (delay none out 10ms in, loss 1%)"),
        "{text}"
    );
    for picture in [graph_dot(&plan), graph_svg(&plan, &GraphNotes::default())] {
        assert!(picture.contains("delay 10ms\u{2192} none\u{2190}"), "{picture}");
        assert!(picture.contains("loss 1%"), "{picture}");
    }
}

#[test]
fn dot_has_each_node_and_link_once() {
    let dot = graph_dot(&plan(LAB));
    assert!(dot.starts_with("graph lab {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(
        dot.contains(r#""h1" [shape=box, label="h1\n10.0.0.2/24 fd00::2/64"];"#),
        "{dot}"
    );
    assert!(
        dot.contains(
            r#""h2" -- "s1" [taillabel="eth0", headlabel="port2", label="down, mtu 9000", style=dashed];"#
        ),
        "{dot}"
    );
    assert_eq!(dot.matches(" -- ").count(), 4);
}

#[test]
fn svg_draws_each_node_and_link_and_says_what_it_shows() {
    let svg = graph_svg(&plan(LAB), &GraphNotes::default());
    assert!(svg.contains("aria-label=\"Network with 2 hosts, 1 switch, 1 router and 4 links\""));
    assert_eq!(svg.matches("<rect class=\"node\"").count(), 4);
    assert_eq!(svg.matches("<path class=\"link\"").count(), 4);
    assert_eq!(
        svg.matches("stroke-dasharray").count(),
        1,
        "the link that is down"
    );
    assert!(
        svg.contains(">h1</text>") && svg.contains(">10.0.0.2/24</text>"),
        "{svg}"
    );
    assert!(
        !svg.contains("<script") && !svg.contains("href"),
        "it needs nothing else"
    );
    assert_eq!(svg.matches("<g").count(), svg.matches("</g>").count());
    assert!(graph_svg(&Resolved::default(), &GraphNotes::default()).contains("Network with nothing"));
}

#[test]
fn svg_bends_parallel_links_apart_and_shortens_long_names() {
    let long = "n".repeat(40);
    let spec = Spec {
        nodes: vec![
            NodeSpec::new(&long, NodeKind::Host),
            NodeSpec::new("b", NodeKind::Host),
        ],
        links: vec![LinkSpec::new(&long, "b"), LinkSpec::new("b", &long)],
        ..Spec::default()
    };
    let svg = graph_svg(&resolve(&spec, None).unwrap(), &GraphNotes::default());
    let paths: Vec<&str> = svg
        .lines()
        .filter_map(|line| line.strip_prefix("<path class=\"link\" d=\""))
        .collect();
    let curve = |path: &str| path.split('"').next().unwrap().to_owned();
    assert_ne!(curve(paths[0]), curve(paths[1]));
    assert!(svg.contains(&format!(">{}…</text>", "n".repeat(19))), "{svg}");
    assert!(
        svg.contains(&format!("<title>host {long}")),
        "the whole name is in the tooltip"
    );
}

#[test]
fn svg_escapes_what_xml_would_take_for_markup() {
    let mut plan = plan("hosts = [\"a\"]\n");
    plan.nodes[0].name = "<a & \"b\">".into();
    let svg = graph_svg(&plan, &GraphNotes::default());
    assert!(svg.contains(">&lt;a &amp; &quot;b&quot;&gt;</text>"), "{svg}");
}

#[test]
fn svg_of_two_hundred_nodes_is_drawn_quickly() {
    use std::fmt::Write as _;
    let mut lab = String::from("[switches.s0]\n");
    for number in 1..=199 {
        write!(
            lab,
            "[hosts.h{number}]\n[[links]]\nends = [\"h{number}\", \"s0\"]\n"
        )
        .unwrap();
    }
    let start = std::time::Instant::now();
    let svg = graph_svg(&plan(&lab), &GraphNotes::default());
    assert!(start.elapsed() < std::time::Duration::from_secs(1));
    assert_eq!(svg.matches("<rect class=\"node\"").count(), 200);
}
