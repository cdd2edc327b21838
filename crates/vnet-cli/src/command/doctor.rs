//! `vnet doctor`: what works here, why the rest does not, and what fixes it.

use clap::Args;
use vnet::Netns;

use crate::failure::Failure;
use crate::output;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Namespace to look at: host, sandbox, a name in /run/netns, or a path
    #[arg(long, value_name = "WHERE")]
    netns: Option<Netns>,
    /// Remove the interfaces that vnet processes which are gone left behind
    #[arg(long)]
    remove_stale: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print an AppArmor profile that lets vnet's helper make user namespaces, and do nothing else
    #[arg(long, conflicts_with_all = ["json", "remove_stale", "netns"])]
    apparmor_profile: bool,
    /// Print a seccomp profile for containers in which labs are to work, and do nothing else
    #[arg(long, conflicts_with_all = ["json", "remove_stale", "netns", "apparmor_profile"])]
    seccomp_profile: bool,
}

pub(crate) fn run(options: &Options) -> Result<i32, Failure> {
    if options.apparmor_profile {
        output::data(&vnet::apparmor_profile())?;
        return Ok(0);
    }
    if options.seccomp_profile {
        output::data(vnet::seccomp_profile())?;
        return Ok(0);
    }
    let netns = options.netns.clone().unwrap_or_default();
    let mut doctor = vnet::doctor(&netns)?;
    if options.remove_stale && !doctor.stale.is_empty() {
        let removed = doctor.remove_stale()?;
        output::note(&format!(
            "removed {removed} of {} stale interfaces",
            doctor.stale.len()
        ));
        doctor = vnet::doctor(&netns)?;
    }
    if options.json {
        output::json(&doctor)?;
    } else {
        output::data(&doctor.to_string())?;
    }
    if doctor.ok() {
        return Ok(0);
    }
    Err(Failure::check(
        "something vnet needs does not work here",
        Some("each line above names its fix"),
    ))
}
