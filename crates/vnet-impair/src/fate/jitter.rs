//! How long a frame is delayed.

use std::sync::Arc;

use super::chain::Chain;
use super::draws::{Block, Draw};
use super::normal::{cumulative, quantile};
use super::table::Table;
use crate::{Distribution, Ready};

/// The delay of each frame: a mean and what spreads it.
#[derive(Clone)]
pub(super) struct Delay {
    mean_ns: u64,
    jitter_ns: u64,
    spread: Spread,
    chain: Option<Chain>,
}

impl Delay {
    pub(super) fn new(ready: &Ready, before: Option<&Delay>) -> Self {
        let asked = ready.impairment();
        let chain =
            Chain::new(asked.correlation).map(|chain| chain.after(before.and_then(|delay| delay.chain)));
        let spread = match (&asked.distribution, ready.table()) {
            (Distribution::Table(_), Some(table)) => Spread::Table(Arc::clone(table)),
            (Distribution::Normal, _) => Spread::Normal,
            (Distribution::Pareto, _) => Spread::Pareto,
            (Distribution::ParetoNormal, _) => Spread::ParetoNormal,
            (Distribution::Uniform | Distribution::Table(_), _) => Spread::Uniform,
        };
        Delay {
            mean_ns: asked.delay_ns,
            jitter_ns: asked.jitter_ns,
            spread,
            chain,
        }
    }

    /// Says whether delays differ from frame to frame.
    pub(super) fn spreads(&self) -> bool {
        self.jitter_ns > 0
    }

    /// Returns the delay of every frame where they do not differ.
    pub(super) fn mean_ns(&self) -> u64 {
        self.mean_ns
    }

    /// Returns the delay of the frame with these numbers; less than none is none.
    pub(super) fn draw(&mut self, block: Block<'_>) -> u64 {
        let unit = block.unit(Draw::Delay);
        let place = match &mut self.chain {
            None => Place::Unit(unit),
            Some(chain) => Place::Normal(chain.next(unit)),
        };
        let offset = self.spread.at(place) * self.jitter_ns as f64;
        self.mean_ns.saturating_add_signed(offset.round() as i64)
    }
}

/// A distribution in multiples of jitter: mean 0 and, but for uniform and tables, standard deviation 1.
#[derive(Clone)]
enum Spread {
    Uniform,
    Normal,
    Pareto,
    ParetoNormal,
    Table(Arc<Table>),
}

/// The cut of netem's Pareto table, 4 jitters up, in the Pareto variable's own unit.
const CUT: f64 = 4.5;
// Mean and standard deviation of the cut Pareto variable x >= 1 of shape 3, from E[x] = 3/2 - 1/(2 cut^2) and E[x^2] = 3 - 2/cut.
const PARETO_MEAN: f64 = 1.475_308_641_975_308_6;
const PARETO_SD: f64 = 0.615_645_974_947_068_2;
// The variance of z/4 + x takes in their covariance, 0.511252499447, which is an integral without a closed form.
const PARETO_NORMAL_SD: f64 = 0.834_952_808_2;

impl Spread {
    fn at(&self, place: Place) -> f64 {
        match self {
            Spread::Uniform => 2.0 * place.unit() - 1.0,
            Spread::Normal => place.normal(),
            Spread::Pareto => (place.pareto() - PARETO_MEAN) / PARETO_SD,
            // netem's own words are .25 * normal + .75 * pareto, where its pareto is (x - 1.5) * 4/3.
            Spread::ParetoNormal => (0.25 * place.normal() + place.pareto() - PARETO_MEAN) / PARETO_NORMAL_SD,
            Spread::Table(table) => table.at(place.unit()),
        }
    }
}

/// Where in a distribution a frame falls, as a share of it or as the normal variable at that share.
#[derive(Clone, Copy)]
enum Place {
    Unit(f64),
    Normal(f64),
}

impl Place {
    fn unit(self) -> f64 {
        match self {
            Place::Unit(unit) => unit,
            Place::Normal(z) => cumulative(z),
        }
    }

    fn normal(self) -> f64 {
        match self {
            Place::Unit(unit) => quantile(unit),
            Place::Normal(z) => z,
        }
    }

    fn pareto(self) -> f64 {
        let above = match self {
            Place::Unit(unit) => 1.0 - unit,
            Place::Normal(z) => cumulative(-z),
        };
        libm::cbrt(1.0 / above).min(CUT)
    }
}
