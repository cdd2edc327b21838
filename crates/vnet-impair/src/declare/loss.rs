//! How a link loses frames.

use super::chance::Chance;
use crate::Given;
use crate::units::{read_percent, write_percent};

const LOSS: &str = "a loss such as \"1%\", \"1% 25%\" (with correlation), \"gemodel 1% 10% 70% 0.1%\" (p r 1-h 1-k) or a number from 0 to 1";

/// How a link loses frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// It loses none.
    #[default]
    None,
    /// Each frame by chance.
    Random(Chance),
    /// In bursts: a Gilbert-Elliott channel that changes between a good and a bad state, in netem's words.
    GilbertElliott {
        /// Probability to go from the good state to the bad one, after each frame.
        p: f64,
        /// Probability to go from the bad state to the good one, after each frame.
        r: f64,
        /// Probability to lose a frame in the bad state.
        one_minus_h: f64,
        /// Probability to lose a frame in the good state.
        one_minus_k: f64,
    },
}

impl Loss {
    /// Returns the share of frames lost in the long run.
    pub fn mean(&self) -> f64 {
        match *self {
            Loss::None => 0.0,
            Loss::Random(chance) => chance.p,
            // The channel never leaves the good state it starts in.
            Loss::GilbertElliott {
                p: 0.0, one_minus_k, ..
            } => one_minus_k,
            Loss::GilbertElliott {
                p,
                r,
                one_minus_h,
                one_minus_k,
            } => (p * one_minus_h + r * one_minus_k) / (p + r),
        }
    }

    /// Says whether no frame is ever lost.
    pub fn is_none(&self) -> bool {
        self.mean() == 0.0
    }

    pub(super) fn read(given: Given<'_>) -> Result<Self, &'static str> {
        let Given::Text(text) = given else {
            return Chance::read(given).map(Loss::random).map_err(|_| LOSS);
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["gemodel", rest @ ..] => Loss::gemodel(rest).ok_or(LOSS),
            ["random", rest @ ..] | rest => Chance::words(rest).map(Loss::random).ok_or(LOSS),
        }
    }

    fn random(chance: Chance) -> Self {
        if chance.is_none() {
            Loss::None
        } else {
            Loss::Random(chance)
        }
    }

    /// Reads `p [r [1-h [1-k]]]` with netem's defaults: r = 1 - p, 1-h = 100 %, 1-k = 0 %.
    fn gemodel(words: &[&str]) -> Option<Self> {
        if !(1..=4).contains(&words.len()) {
            return None;
        }
        let number = |at: usize| words.get(at).map(|word| read_percent(word));
        let p = number(0)??;
        let r = number(1).unwrap_or(Some(1.0 - p))?;
        let one_minus_h = number(2).unwrap_or(Some(1.0))?;
        let one_minus_k = number(3).unwrap_or(Some(0.0))?;
        Some(Loss::GilbertElliott {
            p,
            r,
            one_minus_h,
            one_minus_k,
        })
    }

    pub(super) fn write(&self) -> Option<String> {
        match self {
            Loss::None => None,
            Loss::Random(chance) => Some(chance.write()),
            Loss::GilbertElliott {
                p,
                r,
                one_minus_h,
                one_minus_k,
            } => {
                let [p, r, bad, good] = [*p, *r, *one_minus_h, *one_minus_k].map(write_percent);
                Some(format!("gemodel {p} {r} {bad} {good}"))
            }
        }
    }
}
