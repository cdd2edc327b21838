//! Pictures in which nothing lies over anything else.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::fmt::Write as _;

use vnet_topology::{GraphNote, GraphNotes, GraphState, Spec, graph_svg, resolve};

/// A lab file that grows.
#[derive(Default)]
struct Lab(String);

impl Lab {
    fn node(&mut self, kind: &str, name: &str) -> &mut Self {
        writeln!(self.0, "[{kind}.{name}]").unwrap();
        self
    }

    fn link(&mut self, a: &str, b: &str, more: &str) -> &mut Self {
        writeln!(self.0, "[[links]]\nends = [\"{a}\", \"{b}\"]\n{more}").unwrap();
        self
    }

    fn hosts(&mut self, count: usize, prefix: &str, at: &str, more: &str) -> &mut Self {
        for number in 1..=count {
            let name = format!("{prefix}{number}");
            self.node("hosts", &name).link(&name, at, more);
        }
        self
    }

    fn svg(&self, notes: &GraphNotes) -> String {
        graph_svg(
            &resolve(&Spec::from_toml(&self.0, "lab.toml").unwrap(), None).unwrap(),
            notes,
        )
    }
}

/// A rectangle of a picture: left, top, width, height.
type Rect = [f64; 4];

fn rects(svg: &str, class: &str) -> Vec<Rect> {
    let start = format!("<rect class=\"{class}\" ");
    svg.match_indices(&start)
        .map(|(at, _)| {
            ["x", "y", "width", "height"].map(|name| {
                let rest = &svg[at..];
                let value = rest.split_once(&format!(" {name}=\"")).unwrap().1;
                value.split('"').next().unwrap().parse().unwrap()
            })
        })
        .collect()
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a[0] + 0.2 < b[0] + b[2]
        && b[0] + 0.2 < a[0] + a[2]
        && a[1] + 0.2 < b[1] + b[3]
        && b[1] + 0.2 < a[1] + a[3]
}

/// Proves that nodes and labels stand apart, within the picture, and that texts fit their boxes; returns the picture.
fn assert_readable(what: &str, lab: &Lab, notes: &GraphNotes) -> String {
    let svg = lab.svg(notes);
    let (nodes, labels) = (rects(&svg, "node"), rects(&svg, "label"));
    assert_eq!(
        nodes.len(),
        lab.0.matches("[hosts.").count()
            + lab.0.matches("[switches.").count()
            + lab.0.matches("[routers.").count(),
        "{what}"
    );
    let all: Vec<&Rect> = nodes.iter().chain(&labels).collect();
    for (at, a) in all.iter().enumerate() {
        for b in &all[..at] {
            assert!(!overlap(a, b), "{what}: {a:?} lies over {b:?}");
        }
    }
    let cards = rects(&svg, "card");
    for (at, card) in cards.iter().enumerate() {
        let over = cards[..at]
            .iter()
            .chain(&labels)
            .any(|other| overlap(card, other));
        assert!(!over, "{what}: {card:?} lies over another card or a label");
        // What lies over a card lies in it.
        for node in nodes.iter().filter(|node| overlap(card, node)) {
            assert!(
                node[0] >= card[0] && node[1] >= card[1],
                "{what}: {node:?} sticks out of {card:?}"
            );
            assert!(
                node[0] + node[2] <= card[0] + card[2] && node[1] + node[3] <= card[1] + card[3],
                "{what}"
            );
        }
    }
    let view = svg.split_once("viewBox=\"").unwrap().1.split('"').next().unwrap();
    let view: Vec<f64> = view.split(' ').map(|number| number.parse().unwrap()).collect();
    for rect in all {
        let inside = rect[0] >= view[0] && rect[1] >= view[1];
        assert!(
            inside && rect[0] + rect[2] <= view[0] + view[2] && rect[1] + rect[3] <= view[1] + view[3],
            "{what}"
        );
    }
    assert_eq!(
        svg,
        lab.svg(notes),
        "{what}: the same network is the same picture"
    );
    svg
}

const SLOW: &str = "delay = \"10ms\"\nloss = \"1%\"\nrate = \"10mbit\"";

#[test]
fn the_ten_topologies_are_readable() {
    let none = GraphNotes::default();
    let mut line = Lab::default();
    line.node("hosts", "h1")
        .node("switches", "s1")
        .node("switches", "s2")
        .node("hosts", "h2");
    line.link("h1", "s1", SLOW)
        .link("s1", "s2", SLOW)
        .link("s2", "h2", "");
    assert_readable("line", &line, &none);

    let mut ring = Lab::default();
    for at in 0..6 {
        ring.node("routers", &format!("r{at}"));
    }
    for at in 0..6 {
        ring.link(&format!("r{at}"), &format!("r{}", (at + 1) % 6), SLOW);
    }
    assert_readable("ring", &ring, &none);

    let mut star = Lab::default();
    assert_readable(
        "star",
        star.node("switches", "s1").hosts(12, "h", "s1", SLOW),
        &none,
    );

    let mut tree = Lab::default();
    tree.node("switches", "core");
    for at in 0..3 {
        let name = format!("agg{at}");
        tree.node("switches", &name).link(&name, "core", SLOW);
        tree.hosts(4, &format!("h{at}-"), &name, "delay = \"1ms\"");
    }
    assert_readable("tree", &tree, &none);

    let mut sites = Lab::default();
    for site in ["east", "west"] {
        let (router, switch) = (format!("r-{site}"), format!("s-{site}"));
        sites
            .node("routers", &router)
            .node("switches", &switch)
            .link(&router, &switch, "");
        sites.hosts(4, site, &switch, "");
    }
    sites
        .link("r-east", "r-west", SLOW)
        .link("r-east", "r-west", "up = false");
    assert_readable("two sites", &sites, &none);

    let mut alone = Lab::default();
    assert_readable("one isolated node", alone.node("hosts", "alone"), &none);
}

#[test]
fn a_fat_tree_and_a_campus_are_readable() {
    let none = GraphNotes::default();
    let mut fat = Lab::default();
    for core in 0..4 {
        fat.node("switches", &format!("c{core}"));
    }
    for pod in 0..4 {
        for at in 0..2 {
            let (agg, edge) = (format!("a{pod}-{at}"), format!("e{pod}-{at}"));
            fat.node("switches", &agg).node("switches", &edge);
            fat.hosts(2, &format!("h{pod}-{at}-"), &edge, "");
            fat.link(&agg, &format!("c{}", 2 * at), SLOW)
                .link(&agg, &format!("c{}", 2 * at + 1), "");
        }
        for (agg, edge) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            fat.link(&format!("a{pod}-{agg}"), &format!("e{pod}-{edge}"), "");
        }
    }
    assert_readable("fat tree", &fat, &none);

    let mut campus = Lab::default();
    campus
        .node("routers", "core")
        .node("routers", "isp")
        .link("core", "isp", SLOW);
    for (building, floors) in [("library", 2), ("lab", 3), ("office", 2)] {
        let router = format!("r-{building}");
        campus
            .node("routers", &router)
            .link("core", &router, "delay = \"1ms\"");
        for floor in 1..=floors {
            let switch = format!("{building}-{floor}");
            campus.node("switches", &switch).link(&router, &switch, "");
            campus.hosts(3, &format!("{switch}-pc"), &switch, "");
        }
    }
    assert_readable("campus", &campus, &none);
}

#[test]
fn fifty_and_two_hundred_nodes_are_readable_and_no_wider_than_a_screen() {
    let none = GraphNotes::default();
    for (what, cores, switches, hosts, more) in [
        ("50", 3, 6, 7, ""),
        ("200", 2, 11, 17, ""),
        ("200 slow", 2, 11, 17, SLOW),
    ] {
        let mut lab = Lab::default();
        for core in 0..cores {
            lab.node("routers", &format!("r{core}"));
        }
        for at in 0..switches {
            let name = format!("s{at}");
            lab.node("switches", &name)
                .link(&name, &format!("r{}", at % cores), more);
            lab.hosts(hosts, &format!("h{at}-"), &name, more);
        }
        for core in 1..cores {
            lab.link(&format!("r{}", core - 1), &format!("r{core}"), "");
        }
        let svg = assert_readable(what, &lab, &none);
        let width: f64 = svg
            .split_once("width=\"")
            .unwrap()
            .1
            .split('"')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(width < 3000.0, "{what}: {width}");
    }
}

#[test]
fn whatever_hangs_together_is_drawn_apart() {
    let none = GraphNotes::default();
    for (hosts, switches) in [
        (0, 2),
        (1, 1),
        (2, 1),
        (7, 1),
        (50, 1),
        (199, 1),
        (9, 20),
        (3, 50),
        (0, 200),
    ] {
        let mut lab = Lab::default();
        for at in 0..switches {
            let name = format!("s{at}");
            lab.node("switches", &name)
                .hosts(hosts, &format!("h{at}-"), &name, "");
            if at > 0 {
                lab.link(&name, &format!("s{}", at - 1), "");
            }
        }
        assert_readable(&format!("{switches} switches of {hosts} hosts"), &lab, &none);
    }
    let mut apart = Lab::default();
    for at in 0..40 {
        apart.node("hosts", &format!("h{at}"));
    }
    assert_readable("40 isolated nodes", &apart, &none);
    let (mut full, mut circle) = (Lab("ipv6 = false\n".into()), Lab::default());
    for a in 0..15 {
        full.node("hosts", &format!("h{a}"));
        for b in 0..a {
            full.link(&format!("h{a}"), &format!("h{b}"), "");
        }
    }
    assert_readable("everybody with everybody", &full, &none);
    for at in 0..50 {
        circle.node("routers", &format!("r{at}"));
    }
    for at in 0..50 {
        circle.link(&format!("r{at}"), &format!("r{}", (at + 1) % 50), "");
    }
    assert_readable("a circle of 50", &circle, &none);
}

#[test]
fn notes_of_a_lab_that_runs_are_drawn_and_escaped() {
    let mut lab = Lab::default();
    lab.node("hosts", "h1").node("hosts", "h2").node("switches", "s1");
    lab.link("h1", "s1", "").link("h2", "s1", "");
    let note = |state, line: &str| GraphNote {
        state,
        lines: vec![line.into()],
        details: vec!["<seen> & counted".into()],
    };
    let notes = GraphNotes {
        nodes: [("s1".into(), note(GraphState::Engine, "[learning_switch]"))].into(),
        links: [(
            "h1-s1".into(),
            note(GraphState::Drops, "<script>alert(1)</script>"),
        )]
        .into(),
    };
    let svg = assert_readable("notes", &lab, &notes);
    assert!(svg.contains(">[learning_switch]</text>"), "{svg}");
    assert!(
        svg.contains("&lt;script&gt;") && !svg.contains("<script"),
        "{svg}"
    );
    assert!(svg.contains("&lt;seen&gt; &amp; counted"), "{svg}");
    assert!(
        svg.contains("stroke=\"#c8453b\""),
        "the link that loses frames is red"
    );
}

#[test]
fn labels_without_room_stand_below_by_number() {
    let mut lab = Lab::default();
    lab.node("switches", "s1")
        .hosts(60, "h", "s1", "delay = \"10ms\"");
    let svg = lab.svg(&GraphNotes::default());
    assert!(svg.contains(">1 h1-s1: delay 10ms</text>"), "{svg}");
    assert!(svg.contains(">h1 1</text>"), "its host has the number");
    assert!(svg.contains("and 20 more</text>"), "{svg}");
}
