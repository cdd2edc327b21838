//! Nodes and links that come and go.

use std::sync::Arc;

use vnet_sandbox::{Space, Step};
use vnet_topology::{LinkSpec, NodeSpec, Resolved, Spec, resolve};

use crate::apply;
use crate::error::LabError;
use crate::island::Key;
use crate::network::{Live, Network, State, unknown};
use crate::plan::{Plan, Steps};
use crate::progress::Teller;
use crate::{forwarding, loops};

impl Network {
    /// Declares a node; in a started network it is there at once.
    ///
    /// # Errors
    /// [`LabError::Topology`] when it cannot be, [`LabError::Refused`]; the network stays as it was.
    pub fn add_node(&self, node: NodeSpec) -> Result<(), LabError> {
        let mut state = self.inner.open()?;
        state.spec.nodes.push(node);
        state.declared(|spec| drop(spec.nodes.pop()))
    }

    /// Declares a link and returns its name; in a started network it carries frames at once.
    ///
    /// # Errors
    /// As [`Network::add_node`].
    pub fn add_link(&self, mut link: LinkSpec) -> Result<String, LabError> {
        let mut state = self.inner.open()?;
        let name = match &link.name {
            Some(name) => name.clone(),
            None => state.spec.free_link_name(&link.a.node, &link.b.node),
        };
        link.name = Some(name.clone());
        let lines = match state.live {
            Some(_) => self.inner.ready(std::iter::once(&link))?,
            None => Vec::new(),
        };
        let schedule = link.schedule.clone();
        state.spec.links.push(link);
        state.declared(|spec| drop(spec.links.pop()))?;
        if let Some(live) = &mut state.live {
            let impaired = lines
                .iter()
                .try_for_each(|(link, lines)| live.set_lines(link, lines));
            if let Err(error) = impaired {
                state.without(|spec| drop(spec.links.pop()))?;
                return Err(error);
            }
            self.inner.schedule(&name, &schedule)?;
        }
        Ok(name)
    }

    /// Takes a node away, with its links and all that runs in it.
    ///
    /// # Errors
    /// [`LabError::Unknown`]; [`LabError::Refused`] when what follows from it for other nodes cannot be.
    pub fn remove_node(&self, name: &str) -> Result<(), LabError> {
        let mut state = self.inner.open()?;
        let linked = |link: &&LinkSpec| link.a.node == name || link.b.node == name;
        let links = state.spec.links.iter().filter(linked);
        let gone: Vec<String> = links.filter_map(|link| link.name.clone()).collect();
        if state.spec.node(name).is_none() {
            let nodes = state.spec.nodes.iter().map(|node| node.name.as_str());
            return Err(unknown("node", name, nodes));
        }
        state.without(|spec| {
            spec.nodes.retain(|node| node.name != name);
            spec.links
                .retain(|link| link.a.node != name && link.b.node != name);
        })?;
        gone.iter().for_each(|link| self.inner.unschedule(link));
        Ok(())
    }

    /// Takes a link away, with the interfaces at its ends.
    ///
    /// # Errors
    /// As [`Network::remove_node`].
    pub fn remove_link(&self, name: &str) -> Result<(), LabError> {
        let mut state = self.inner.open()?;
        let is = |link: &LinkSpec| link.name.as_deref() == Some(name);
        if !state.spec.links.iter().any(is) {
            let links = state.spec.links.iter().filter_map(|link| link.name.as_deref());
            return Err(unknown("link", name, links));
        }
        state.without(|spec| spec.links.retain(|link| !is(link)))?;
        self.inner.unschedule(name);
        Ok(())
    }
}

impl State {
    /// Checks and carries out what was added to the declaration, or takes it back with `undo`.
    fn declared(&mut self, undo: impl FnOnce(&mut Spec)) -> Result<(), LabError> {
        let done = match &mut self.live {
            None => self.spec.check().map_err(LabError::from).map(|()| None),
            Some(live) => live.follow(&self.spec).map(Some),
        };
        match done {
            Ok(resolved) => {
                self.resolved = resolved;
                Ok(())
            }
            Err(error) => {
                undo(&mut self.spec);
                Err(error)
            }
        }
    }

    fn without(&mut self, edit: impl FnOnce(&mut Spec)) -> Result<(), LabError> {
        let mut spec = self.spec.clone();
        edit(&mut spec);
        let resolved = match &mut self.live {
            None => None,
            Some(live) => Some(live.follow(&spec)?),
        };
        self.spec = spec;
        self.resolved = resolved;
        Ok(())
    }
}

impl Live {
    /// Makes the network what the declaration says, or leaves it as it was.
    fn follow(&mut self, spec: &Spec) -> Result<Arc<Resolved>, LabError> {
        let mut after = resolve(spec, Some(&self.plan))?;
        self.keep_current(&mut after);
        let mut numbers = self.numbers.clone();
        numbers.check(&after)?;
        let plan = Plan::between(&self.plan, &after, spec, &mut numbers, &self.ground);
        std::mem::swap(&mut self.numbers, &mut numbers);
        if let Err(error) = self.go(&plan) {
            std::mem::swap(&mut self.numbers, &mut numbers);
            self.numbers.pass(&numbers);
            // A number that somebody else has taken would be in the way again.
            Arc::make_mut(&mut self.plan).next_id = after.next_id;
            return Err(error);
        }
        for name in &plan.gone {
            self.numbers.remove(name);
        }
        loops::warn(&self.plan, &after);
        forwarding::warn(&self.plan, &after, &self.ground);
        self.impaired.retain(|link, _| after.link(link).is_some());
        self.plan = Arc::new(after);
        self.join_captures();
        Ok(Arc::clone(&self.plan))
    }

    /// Leaves links as their schedule has made them; what was declared is how they began.
    fn keep_current(&self, after: &mut Resolved) {
        for link in &mut after.links {
            if let Some((_, known)) = self.plan.link(&link.name) {
                link.up = known.up;
                link.impair.clone_from(&known.impair);
            }
        }
    }

    fn go(&mut self, plan: &Plan) -> Result<(), LabError> {
        let lab = Arc::clone(&self.lab);
        if let Err((done, error)) = apply::make(&lab, plan, &mut Teller::silent(), &crate::cancel::never) {
            apply::take_back(&lab, plan, done);
            return Err(error);
        }
        let mut engine = Steps::default();
        let joined = self
            .take_ports(plan, &mut engine)
            // What the engine is to judge must not pass the bridge before.
            .and_then(|()| apply::all(&lab, &engine))
            .and_then(|()| apply::all(&lab, &plan.join))
            .and_then(|()| self.write_hosts(plan.hosts.as_deref()));
        if let Err(error) = joined {
            apply::take_back(&lab, plan, plan.make.len());
            self.forget_ports(plan.ports.iter().map(|port| port.lab_end));
            return Err(error);
        }
        self.clear(plan);
        Ok(())
    }

    /// Deletes what the plan has no place for any more. There is no way back from here: what fails is told and passed over.
    fn clear(&mut self, plan: &Plan) {
        let lab = Arc::clone(&self.lab);
        for step in &plan.stale {
            if let Err(error) = lab.apply(std::slice::from_ref(step)) {
                tracing::debug!(target: "vnet::lab", %error, "a route has gone by itself");
            }
        }
        apply::delete(&lab, &plan.leave);
        for name in &plan.gone {
            if let Some(held) = self.islands.remove(&Key::Switch(name.clone())) {
                held.keep_all();
                held.end(&mut self.numbers);
            }
        }
        self.forget_ports(plan.leave.iter().map(|(index, _)| *index));
        for (Space(space), of) in &plan.drop {
            if let Err(error) = lab.apply(&[Step::DropNode { space: *space }]) {
                tracing::error!(target: "vnet::lab", %error, "{of} stays until the network is closed");
            }
        }
    }

    /// Takes the ends of new links at switches over that an engine is.
    fn take_ports(&mut self, plan: &Plan, redirects: &mut Steps) -> Result<(), LabError> {
        for port in &plan.ports {
            if let Some(held) = self.islands.get_mut(&Key::Switch(port.switch.clone())) {
                let step = held.take_port(&self.lab, &mut self.numbers, port)?;
                redirects.push(&format!("link {}", port.link).into(), step);
            }
        }
        Ok(())
    }

    /// Ends the engine's ports at lab ends that are gone; an island that nothing is attached to any more is given back.
    fn forget_ports(&mut self, lab_ends: impl Iterator<Item = u32>) {
        let lab_ends: Vec<u32> = lab_ends.collect();
        let mut ended = Vec::new();
        for (key, held) in &mut self.islands {
            for lab_end in &lab_ends {
                held.forget_port(&mut self.numbers, *lab_end);
            }
            if held.is_idle() {
                ended.push(key.clone());
            }
        }
        for key in ended {
            if let Some(held) = self.islands.remove(&key) {
                held.give_back(&self.lab, &mut self.numbers);
            }
        }
    }
}
