//! Impaired links as users of their islands.

use std::sync::Arc;

use vnet_datapath::{LineAt, LinkSide};
use vnet_impair::LineStats;
use vnet_topology::ResolvedLink;

use super::At;
use super::held::UserId;
use super::spot::{Site, Spot};
use crate::error::LabError;
use crate::lines::ReadyLines;
use crate::network::{Live, unknown_link};

impl Live {
    /// Sets both directions of a link. The engine takes its frames over for the first impairment, and gives them back, after
    /// those it holds, when there is none left.
    pub(crate) fn set_lines(&mut self, link: &str, lines: &ReadyLines) -> Result<(), LabError> {
        let plan = Arc::clone(&self.plan);
        let (_, found) = plan.link(link).ok_or_else(|| unknown_link(&plan, link))?;
        let spot = Spot::find(&plan, &At::Link(link.to_owned()))?;
        let id = UserId::Line(plan.interface(found.a).id);
        let is_user = self.islands.get(&spot.key).is_some_and(|held| held.has_user(id));
        if !is_user && lines.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut known = self.impaired.remove(link).unwrap_or_default();
        let fates = (self.seed, link);
        let done = if is_user {
            self.on_line(&spot, |pipeline, seats| known.set(pipeline, seats, fates, lines))
        } else {
            let seats = |port| seats(spot.site, port);
            self.enter(&spot, |held, port| {
                let set = |pipeline: &_| known.set(pipeline, seats(port), fates, lines);
                held.inner.with_pipeline(set)??;
                Ok((id, ()))
            })
            .map(drop)
        };
        let is_off = known.is_off();
        self.impaired.insert(link.to_owned(), known);
        if is_user && is_off {
            self.leave_key(&spot.key, id);
        }
        done
    }

    /// Returns the numbers of both directions of a link, the last ones of a line that is off.
    pub(crate) fn line_stats(&self, link: &ResolvedLink) -> Result<[Option<LineStats>; 2], LabError> {
        match self.impaired.get(&link.name) {
            None => Ok([None, None]),
            Some(known) if known.is_off() => Ok(known.last()),
            Some(known) => {
                let spot = Spot::find(&self.plan, &At::Link(link.name.clone()))?;
                self.on_line(&spot, |pipeline, seats| known.stats(pipeline, seats))
            }
        }
    }

    /// Does something with the engine's part of an impaired link.
    fn on_line<T>(
        &self,
        spot: &Spot,
        use_it: impl FnOnce(&vnet_datapath::Pipeline, [LineAt; 2]) -> Result<T, vnet_datapath::EngineError>,
    ) -> Result<T, LabError> {
        let closed = || LabError::Closed {
            what: format!("the engine's part of {}", spot.key),
        };
        let held = self.islands.get(&spot.key).ok_or_else(closed)?;
        let port = spot.site.lab_end().map_or(Some(0), |lab_end| held.port(lab_end));
        let seats = seats(spot.site, port.ok_or_else(closed)?);
        Ok(held.inner.with_pipeline(|pipeline| use_it(pipeline, seats))??)
    }
}

/// Where the lines of a link sit in its island's pipeline: that of its frames from a to b, and from b to a.
fn seats(site: Site, port: usize) -> [LineAt; 2] {
    match site {
        // The link's b is far from the switch: what goes there leaves by the port.
        Site::Link(_, LinkSide::B) => [LineAt::To(port), LineAt::From(port)],
        Site::Link(_, LinkSide::A) => [LineAt::From(port), LineAt::To(port)],
        Site::Wire | Site::Port(_) | Site::Switch => [LineAt::From(0), LineAt::From(1)],
    }
}
