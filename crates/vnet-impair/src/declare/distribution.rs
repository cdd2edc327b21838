//! How jitter spreads the delays.

use std::path::{Path, PathBuf};

use crate::Given;

const DISTRIBUTION: &str = "\"uniform\", \"normal\", \"pareto\", \"paretonormal\" or the path of a table in netem's format that ends in \".dist\"";

/// How jitter spreads the delays around their mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Evenly from `-jitter` to `+jitter`, as netem does without a table.
    #[default]
    Uniform,
    /// Normal, with jitter as its standard deviation.
    Normal,
    /// Pareto of shape 3, cut where netem cuts its table, with jitter as its standard deviation.
    Pareto,
    /// A quarter normal and three quarters Pareto, with jitter as its standard deviation.
    ParetoNormal,
    /// netem's `.dist` format: quantiles in multiples of jitter, scaled by 8,192.
    Table(PathBuf),
}

impl Distribution {
    pub(super) fn read(given: Given<'_>) -> Result<Self, &'static str> {
        let Given::Text(text) = given else {
            return Err(DISTRIBUTION);
        };
        match text.trim() {
            "uniform" => Ok(Distribution::Uniform),
            "normal" => Ok(Distribution::Normal),
            "pareto" => Ok(Distribution::Pareto),
            "paretonormal" => Ok(Distribution::ParetoNormal),
            path if path.contains('/') || path.ends_with(".dist") => {
                Ok(Distribution::Table(PathBuf::from(path)))
            }
            _ => Err(DISTRIBUTION),
        }
    }

    pub(super) fn write(&self) -> Option<String> {
        match self {
            Distribution::Uniform => None,
            Distribution::Normal => Some("normal".to_owned()),
            Distribution::Pareto => Some("pareto".to_owned()),
            Distribution::ParetoNormal => Some("paretonormal".to_owned()),
            Distribution::Table(path) => Some(write_path(path)),
        }
    }
}

pub(super) fn write_path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
