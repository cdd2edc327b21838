use crate::stage::{Direction, LinkSide};

/// What a stage belongs to, which decides where its TX and REDIRECT lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seat {
    /// A device.
    Device,
    /// The wire between two ports.
    Wire,
    /// The link at a switch's port, for frames on their way to the switch.
    Up,
    /// The same, for frames on their way from the switch.
    Down,
    /// The entrance of a switch.
    Switch,
}

/// One station on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    /// A stage judges the frame.
    Stage(Visit),
    /// A line, by index, keeps the frame until it is through.
    Line(usize),
}

/// One stage on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// Index of the stage.
    pub stage: usize,
    /// The port whose frames pass here, or that they leave by.
    pub device: usize,
    /// Port number as the stage sees it.
    pub port: u16,
    /// Host flags of every frame here (EGRESS, L3).
    pub flags: u16,
    /// What the stage belongs to.
    pub seat: Seat,
}

/// Where a path leads when every stage passed the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Out through a port.
    Port(usize),
    /// To the receive queue.
    Sink,
    /// Into the forwarding of a switch, as arrived at a port.
    Core(usize),
}

/// What is between one entrance and one end.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub hops: Vec<Hop>,
    pub end: End,
}

/// How the ports of a pipeline are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One port, whose frames end there.
    Lone(End),
    /// Two ports.
    Wire,
    /// Any number of ports.
    Switch,
}

/// What is attached to one port; stages are named by their index.
#[derive(Clone, Debug, Default)]
pub(crate) struct AtPort {
    pub device: Vec<(usize, Direction)>,
    pub link: Vec<(usize, Direction, LinkSide)>,
    /// The line that frames from the port enter, by index.
    pub from: Option<usize>,
    /// The line that frames towards the port enter.
    pub to: Option<usize>,
}

/// What is attached where.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    pub shape: Shape,
    pub ports: Vec<AtPort>,
    pub wire: Vec<(usize, Direction)>,
    pub switch: Vec<usize>,
}

/// Paths that begin at one port.
pub(crate) const PATHS: usize = 6;

/// Index of the path that frames arriving at `port` take.
pub(crate) fn arriving(port: usize) -> usize {
    PATHS * port
}

/// Index of the path that frames leaving by `port` take behind every wire, link or switch.
pub(crate) fn leaving(port: usize) -> usize {
    PATHS * port + 1
}

/// Index of the path that frames entering a switch behind the link at `port` take.
pub(crate) fn entering(port: usize) -> usize {
    PATHS * port + 2
}

/// Index of the path that frames a switch forwards to `port` take.
pub(crate) fn descending(port: usize) -> usize {
    PATHS * port + 3
}

/// Index of the path that frames from `port` take from the line there on: over the wire, or into a switch.
pub(crate) fn crossing(port: usize) -> usize {
    PATHS * port + 4
}

/// Index of the path that frames from a switch take from the line towards `port` on.
pub(crate) fn reaching(port: usize) -> usize {
    PATHS * port + 5
}

/// What a stage is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// A device, by its port.
    Device(usize),
    /// The link at a switch's port, and which end of it the node is.
    Link(usize, LinkSide),
    /// The wire.
    Wire,
    /// The entrance of a switch.
    Switch,
}

impl Places {
    /// Returns what a stage is attached to.
    pub(crate) fn home(&self, stage: usize) -> Option<Home> {
        if self.wire.iter().any(|(other, _)| *other == stage) {
            return Some(Home::Wire);
        }
        if self.switch.contains(&stage) {
            return Some(Home::Switch);
        }
        self.ports.iter().enumerate().find_map(|(port, at)| {
            let link = at.link.iter().find(|(other, ..)| *other == stage);
            let device = at.device.iter().any(|(other, _)| *other == stage);
            link.map(|(.., node)| Home::Link(port, *node))
                .or(device.then_some(Home::Device(port)))
        })
    }

    pub(crate) fn new(shape: Shape, ports: usize) -> Self {
        Self {
            shape,
            ports: vec![AtPort::default(); ports],
            wire: Vec::new(),
            switch: Vec::new(),
        }
    }

    /// Takes a stage out of whatever it is attached to.
    pub(crate) fn remove(&mut self, stage: usize) {
        for at in &mut self.ports {
            at.device.retain(|(other, _)| *other != stage);
            at.link.retain(|(other, ..)| *other != stage);
        }
        self.wire.retain(|(other, _)| *other != stage);
        self.switch.retain(|other| *other != stage);
    }

    /// Computes the paths that begin at a port, in the order of their indices; frames carry `layer_flag`.
    pub(crate) fn paths(&self, port: usize, layer_flag: u16) -> [Path; PATHS] {
        let at = &self.ports[port];
        let (from, to) = (at.from.map(Hop::Line), at.to.map(Hop::Line));
        let out = self.device_hops(port, Direction::Egress, layer_flag);
        let entering: Vec<Hop> = self.switch_hops(port, layer_flag).collect();
        let mut arriving = self.device_hops(port, Direction::Ingress, layer_flag);
        let mut crossing: Vec<Hop> = from.into_iter().collect();
        let end = match self.shape {
            Shape::Lone(end) => end,
            Shape::Wire => {
                let peer = 1 - port;
                arriving.extend(self.wire_hops(port, layer_flag));
                crossing.extend(self.device_hops(peer, Direction::Egress, layer_flag));
                End::Port(peer)
            }
            Shape::Switch => {
                arriving.extend(self.link_hops(port, Seat::Up, layer_flag));
                crossing.extend_from_slice(&entering);
                End::Core(port)
            }
        };
        arriving.extend_from_slice(&crossing);
        let reaching: Vec<Hop> = to.into_iter().chain(out.iter().copied()).collect();
        let mut descending: Vec<Hop> = self.link_hops(port, Seat::Down, layer_flag).collect();
        descending.extend_from_slice(&reaching);
        let path = |hops, end| Path { hops, end };
        [
            path(arriving, end),
            path(out, End::Port(port)),
            path(entering, End::Core(port)),
            path(descending, End::Port(port)),
            path(crossing, end),
            path(reaching, End::Port(port)),
        ]
    }

    fn device_hops(&self, device: usize, side: Direction, layer_flag: u16) -> Vec<Hop> {
        let flags = layer_flag
            | if side == Direction::Egress {
                vnet_abi::flags::EGRESS
            } else {
                0
            };
        self.ports[device]
            .device
            .iter()
            .filter(|(_, d)| d.covers(side))
            .map(|&(stage, _)| {
                Hop::Stage(Visit {
                    stage,
                    device,
                    port: 0,
                    flags,
                    seat: Seat::Device,
                })
            })
            .collect()
    }

    fn wire_hops(&self, port: usize, flags: u16) -> impl Iterator<Item = Hop> {
        let side = if port == 0 {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let stages = self.wire.iter().filter(move |(_, d)| d.covers(side));
        stages.map(move |&(stage, _)| {
            Hop::Stage(Visit {
                stage,
                device: port,
                port: port as u16,
                flags,
                seat: Seat::Wire,
            })
        })
    }

    fn link_hops(&self, device: usize, seat: Seat, flags: u16) -> impl Iterator<Item = Hop> {
        let seen = self.ports[device]
            .link
            .iter()
            .filter_map(move |&(stage, d, node)| {
                let from_a = (node == LinkSide::A) == (seat == Seat::Up);
                let side = if from_a {
                    Direction::Ingress
                } else {
                    Direction::Egress
                };
                d.covers(side).then_some((stage, u16::from(!from_a)))
            });
        seen.map(move |(stage, port)| {
            Hop::Stage(Visit {
                stage,
                device,
                port,
                flags,
                seat,
            })
        })
    }

    fn switch_hops(&self, device: usize, flags: u16) -> impl Iterator<Item = Hop> {
        self.switch.iter().map(move |&stage| {
            Hop::Stage(Visit {
                stage,
                device,
                port: device as u16,
                flags,
                seat: Seat::Switch,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visits(path: &Path) -> impl Iterator<Item = &Visit> {
        path.hops.iter().filter_map(|hop| match hop {
            Hop::Stage(visit) => Some(visit),
            Hop::Line(_) => None,
        })
    }

    fn stages(path: &Path) -> Vec<usize> {
        visits(path).map(|visit| visit.stage).collect()
    }

    fn all(places: &Places, layer_flag: u16) -> Vec<Path> {
        (0..places.ports.len())
            .flat_map(|port| places.paths(port, layer_flag))
            .collect()
    }

    #[test]
    fn a_wire_runs_ingress_then_its_own_then_the_peers_egress() {
        let mut places = Places::new(Shape::Wire, 2);
        places.ports[0].device = vec![(0, Direction::Ingress), (1, Direction::Egress)];
        places.ports[1].device = vec![(2, Direction::Both)];
        places.wire = vec![(3, Direction::Both), (4, Direction::Egress)];
        let paths = all(&places, 0);
        assert_eq!(stages(&paths[arriving(0)]), [0, 3, 2]);
        assert_eq!(paths[arriving(0)].end, End::Port(1));
        assert_eq!(stages(&paths[arriving(1)]), [2, 3, 4, 1]);
        assert_eq!(stages(&paths[leaving(0)]), [1]);
        assert_eq!(stages(&paths[leaving(1)]), [2]);
        assert_eq!(visits(&paths[arriving(1)]).nth(1).unwrap().port, 1);
        assert_eq!(
            visits(&paths[arriving(0)]).nth(2).unwrap().flags,
            vnet_abi::flags::EGRESS
        );
    }

    #[test]
    fn a_lone_device_ends_in_its_sink() {
        let mut places = Places::new(Shape::Lone(End::Sink), 1);
        places.ports[0].device = vec![(0, Direction::Both)];
        let paths = all(&places, vnet_abi::flags::L3);
        assert_eq!(paths[arriving(0)].end, End::Sink);
        assert_eq!(
            visits(&paths[arriving(0)]).next().unwrap().flags,
            vnet_abi::flags::L3
        );
        assert_eq!(
            visits(&paths[leaving(0)]).next().unwrap().flags,
            vnet_abi::flags::L3 | vnet_abi::flags::EGRESS
        );
    }

    #[test]
    fn a_switch_runs_device_then_link_then_its_own_and_back_down_link_then_device() {
        let mut places = Places::new(Shape::Switch, 2);
        places.ports[1].device = vec![(0, Direction::Both)];
        places.ports[1].link = vec![
            (1, Direction::Both, LinkSide::B),
            (2, Direction::Ingress, LinkSide::B),
            (3, Direction::Egress, LinkSide::B),
        ];
        places.switch = vec![4];
        let paths = all(&places, 0);
        assert_eq!(stages(&paths[arriving(0)]), [4]);
        // The node is the link's second end: what it sends is egress there, from port 1.
        assert_eq!(stages(&paths[arriving(1)]), [0, 1, 3, 4]);
        assert_eq!(paths[arriving(1)].end, End::Core(1));
        let ports: Vec<u16> = visits(&paths[arriving(1)]).map(|visit| visit.port).collect();
        assert_eq!(ports, [0, 1, 1, 1]);
        assert_eq!(stages(&paths[entering(1)]), [4]);
        assert_eq!(stages(&paths[descending(1)]), [1, 2, 0]);
        let seen: Vec<(u16, u16)> = visits(&paths[descending(1)])
            .map(|visit| (visit.port, visit.flags))
            .collect();
        assert_eq!(seen, [(0, 0), (0, 0), (0, vnet_abi::flags::EGRESS)]);
        assert_eq!(stages(&paths[leaving(1)]), [0]);
        assert_eq!(paths[descending(1)].end, End::Port(1));
    }

    #[test]
    fn a_line_stands_behind_the_plugins_of_its_link_and_before_the_next_device() {
        let visit = |hop: &Hop| match hop {
            Hop::Stage(visit) => visit.stage as i64,
            Hop::Line(line) => -(*line as i64) - 1,
        };
        let order = |path: &Path| path.hops.iter().map(visit).collect::<Vec<_>>();
        let mut places = Places::new(Shape::Wire, 2);
        places.ports[0].device = vec![(0, Direction::Both)];
        places.ports[1].device = vec![(1, Direction::Both)];
        places.wire = vec![(2, Direction::Both)];
        places.ports[0].from = Some(0);
        places.ports[1].from = Some(1);
        let paths = all(&places, 0);
        assert_eq!(order(&paths[arriving(0)]), [0, 2, -1, 1]);
        assert_eq!(order(&paths[arriving(1)]), [1, 2, -2, 0]);
        assert_eq!(order(&paths[crossing(0)]), [-1, 1]);
        assert_eq!(order(&paths[leaving(0)]), [0], "what turns back has not crossed");
        let mut places = Places::new(Shape::Switch, 2);
        places.ports[1].device = vec![(0, Direction::Both)];
        places.ports[1].link = vec![(1, Direction::Both, LinkSide::B)];
        places.switch = vec![2];
        places.ports[1].from = Some(0);
        places.ports[1].to = Some(1);
        let paths = all(&places, 0);
        assert_eq!(order(&paths[arriving(1)]), [0, 1, -1, 2]);
        assert_eq!(order(&paths[descending(1)]), [1, -2, 0]);
        assert_eq!(order(&paths[crossing(1)]), [-1, 2]);
        assert_eq!(order(&paths[reaching(1)]), [-2, 0]);
        assert_eq!(order(&paths[entering(1)]), [2]);
        assert_eq!(order(&paths[leaving(1)]), [0]);
    }
}
