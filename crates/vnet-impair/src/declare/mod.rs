//! The declared form of an impairment: what a user writes, compares and reads back.

mod chance;
mod check;
mod discipline;
mod distribution;
mod entries;
mod given;
mod impairment;
mod limit;
mod loss;
mod rate;
mod said;
mod serial;
mod set;

pub use chance::Chance;
pub use discipline::Discipline;
pub use distribution::Distribution;
pub use given::{Given, ReadError};
pub use impairment::Impairment;
pub use limit::Limit;
pub use loss::Loss;
pub use rate::Rate;
