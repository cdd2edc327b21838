//! From what was declared to a plan in which everything is decided.

mod addresses;
mod hosts;
mod interfaces;
mod pool;
mod routes;
mod segments;
mod sysctls;

use crate::error::TopologyError;
use crate::places::Places;
use crate::resolved::Resolved;
use crate::spec::Spec;

pub(crate) use addresses::is_an_interfaces;
pub use sysctls::FORWARDING;

/// Decides every name, Ethernet address, IP address and route of a network.
///
/// Interfaces that stand in `before`, found by node, link and end, keep their name, number and addresses, unless
/// the spec gives others explicitly; so a network that grows while it runs changes nothing that runs.
///
/// # Errors
/// What [`Spec::check`] refuses; networks that overlap in two segments, an exhausted subnet or pool, a gateway that
/// is no neighbour.
pub fn resolve(spec: &Spec, before: Option<&Resolved>) -> Result<Resolved, TopologyError> {
    resolve_at(spec, before, &Places::default())
}

/// Resolves a spec whose parts have places.
pub(crate) fn resolve_at(
    spec: &Spec,
    before: Option<&Resolved>,
    places: &Places,
) -> Result<Resolved, TopologyError> {
    spec.check_at(places)?;
    let mut plan = interfaces::decide(spec, before, places)?;
    plan.segments = segments::find(&plan);
    let kept = interfaces::Kept::of(&plan, before);
    addresses::decide(spec, &kept, places, &mut plan)?;
    routes::decide(spec, places, &mut plan)?;
    sysctls::decide(spec, &mut plan);
    plan.hosts = hosts::text(&plan);
    Ok(plan)
}
