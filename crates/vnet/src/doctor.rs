//! What works on this machine, why the rest does not, and what fixes it.

mod checks;

use std::fmt;

use serde::Serialize;
use vnet_sandbox::{Namespace, Stale};

use crate::error::Error;
use crate::netns::Netns;

/// Says how bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works.
    Ok,
    /// Something is slower or missing, the rest works.
    Warning,
    /// Devices cannot be made or used.
    Failure,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub cause: String,
    /// What follows from it.
    pub effect: String,
    /// The command or step that changes it.
    pub fix: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    /// Version of vnet.
    pub version: &'static str,
    /// The kernel's release.
    pub kernel: String,
    /// The findings, in a fixed order.
    pub findings: Vec<Finding>,
    /// Interfaces that vnet processes left behind when they were killed.
    pub stale: Vec<Stale>,
    #[serde(skip)]
    netns: Netns,
}

/// Looks at what works here, in the namespace given. It changes nothing that lasts.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Privilege`] when another namespace was named and cannot be entered.
pub fn doctor(netns: &Netns) -> Result<Doctor, Error> {
    let namespace = netns.look()?;
    let stale = namespace.stale()?;
    let mut findings = checks::all(&namespace);
    findings.push(checks::stale(&stale));
    Ok(Doctor {
        version: crate::VERSION,
        kernel: checks::kernel(),
        findings,
        stale,
        netns: netns.clone(),
    })
}

impl Doctor {
    /// Returns whether nothing failed; warnings are allowed.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity != Severity::Failure)
    }

    /// Removes the interfaces that dead vnet processes left behind and returns how many there were.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::System`] with the kernel's text.
    pub fn remove_stale(&self) -> Result<usize, Error> {
        let namespace: Namespace = self.netns.look()?;
        Ok(namespace.remove_stale()?.len())
    }
}

impl fmt::Display for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vnet {} on Linux {}", self.version, self.kernel)?;
        for finding in &self.findings {
            let mark = match finding.severity {
                Severity::Ok => "ok     ",
                Severity::Warning => "warning",
                Severity::Failure => "FAILURE",
            };
            writeln!(f, "{mark}  {}: {}", finding.check, finding.cause)?;
            if finding.severity != Severity::Ok {
                writeln!(f, "         effect: {}", finding.effect)?;
                if let Some(fix) = &finding.fix {
                    writeln!(f, "         fix: {fix}")?;
                }
            }
        }
        Ok(())
    }
}
