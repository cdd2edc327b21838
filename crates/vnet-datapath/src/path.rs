use crate::stage::Direction;

/// One stage on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Index of the stage.
    pub stage: usize,
    /// The port that TX answers leave by.
    pub device: usize,
    /// Port number as the stage sees it.
    pub port: u16,
    /// Host flags of every frame here (EGRESS, L3).
    pub flags: u16,
    /// Whether the stage belongs to the wire, so that REDIRECT has somewhere to go.
    pub on_wire: bool,
}

/// Where a path leads when every stage passed the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Out through a port.
    Port(usize),
    /// To the receive queue.
    Sink,
}

/// The stages between one entrance and one end.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub hops: Vec<Hop>,
    pub end: End,
}

/// What is attached where; stages are named by their index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    pub device: [Vec<(usize, Direction)>; 2],
    pub wire: Vec<(usize, Direction)>,
}

/// Index of the path that frames arriving at `port` take.
pub(crate) fn arriving(port: usize) -> usize {
    port
}

/// Index of the path that frames leaving by `port` without having arrived at the other take.
pub(crate) fn leaving(port: usize) -> usize {
    2 + port
}

impl Places {
    /// Computes all paths of a pipeline of `ports` ports whose frames carry `layer_flag`.
    pub(crate) fn paths(&self, ports: usize, sole_end: End, layer_flag: u16) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::with_capacity(4);
        for port in 0..2 {
            let mut hops = self.device_hops(port, Direction::Ingress, layer_flag);
            let end = if ports == 2 {
                let peer = 1 - port;
                let side = if port == 0 {
                    Direction::Ingress
                } else {
                    Direction::Egress
                };
                hops.extend(
                    self.wire
                        .iter()
                        .filter(|(_, d)| d.covers(side))
                        .map(|&(stage, _)| Hop {
                            stage,
                            device: port,
                            port: port as u16,
                            flags: layer_flag,
                            on_wire: true,
                        }),
                );
                hops.extend(self.device_hops(peer, Direction::Egress, layer_flag));
                End::Port(peer)
            } else {
                sole_end
            };
            paths.push(Path { hops, end });
        }
        for port in 0..2 {
            paths.push(Path {
                hops: self.device_hops(port, Direction::Egress, layer_flag),
                end: End::Port(port),
            });
        }
        paths
    }

    fn device_hops(&self, device: usize, side: Direction, layer_flag: u16) -> Vec<Hop> {
        let flags = layer_flag
            | if side == Direction::Egress {
                vnet_abi::flags::EGRESS
            } else {
                0
            };
        self.device[device]
            .iter()
            .filter(|(_, d)| d.covers(side))
            .map(|&(stage, _)| Hop {
                stage,
                device,
                port: 0,
                flags,
                on_wire: false,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_runs_ingress_then_its_own_then_the_peers_egress() {
        let places = Places {
            device: [
                vec![(0, Direction::Ingress), (1, Direction::Egress)],
                vec![(2, Direction::Both)],
            ],
            wire: vec![(3, Direction::Both), (4, Direction::Egress)],
        };
        let paths = places.paths(2, End::Sink, 0);
        let stages = |p: &Path| p.hops.iter().map(|h| h.stage).collect::<Vec<_>>();
        assert_eq!(stages(&paths[arriving(0)]), [0, 3, 2]);
        assert_eq!(paths[arriving(0)].end, End::Port(1));
        assert_eq!(stages(&paths[arriving(1)]), [2, 3, 4, 1]);
        assert_eq!(stages(&paths[leaving(0)]), [1]);
        assert_eq!(stages(&paths[leaving(1)]), [2]);
        assert_eq!(paths[arriving(1)].hops[1].port, 1);
        assert_eq!(paths[arriving(0)].hops[2].flags, vnet_abi::flags::EGRESS);
    }

    #[test]
    fn a_lone_device_ends_in_its_sink() {
        let places = Places {
            device: [vec![(0, Direction::Both)], vec![]],
            wire: vec![],
        };
        let paths = places.paths(1, End::Sink, vnet_abi::flags::L3);
        assert_eq!(paths[arriving(0)].end, End::Sink);
        assert_eq!(paths[arriving(0)].hops[0].flags, vnet_abi::flags::L3);
        assert_eq!(
            paths[leaving(0)].hops[0].flags,
            vnet_abi::flags::L3 | vnet_abi::flags::EGRESS
        );
    }
}
