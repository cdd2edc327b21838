//! What works on this machine, why the rest does not, and what fixes it.

mod host;
mod lab;
mod process;
mod profile;

use std::fmt;

use serde::Serialize;
use vnet_sandbox::Stale;

use crate::error::Error;
use crate::netns::Netns;
pub use profile::{apparmor_profile, seccomp_profile};

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

/// How a TAP gets its frames here: the first of these that works, as a device shows that was really made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Devices of this process's own namespace, by /dev/net/tun.
    Host,
    /// Devices of the private sandbox, by /dev/net/tun.
    Tap,
    /// Veths of the private sandbox, by packet sockets.
    Packet,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    /// Version of vnet.
    pub version: &'static str,
    /// The kernel's release.
    pub kernel: String,
    /// What a TAP is made of here; `None` where none can be made.
    pub backend: Option<Way>,
    /// The findings, in a fixed order.
    pub findings: Vec<Finding>,
    /// Interfaces that vnet processes left behind when they were killed.
    pub stale: Vec<Stale>,
    #[serde(skip)]
    netns: Netns,
}

/// Looks at what works here, in the namespace given. Devices are made to see whether they can be, in namespaces that are
/// thrown away at once; nothing of it lasts.
///
/// # Errors
/// [`Error::NotFound`] or [`Error::Privilege`] when another namespace was named and cannot be entered.
pub fn doctor(netns: &Netns) -> Result<Doctor, Error> {
    let namespace = netns.look()?;
    let stale = namespace.stale()?;
    let lab = lab::Probe::open();
    let host = host::Probe::open(&namespace);
    let backend = match (host.makes_tap(), lab.backend()) {
        (true, _) => Some(Way::Host),
        (false, backend) => backend,
    };
    let mut findings = vec![backend_finding(backend, &host)];
    findings.extend(host.findings(&lab));
    findings.extend(lab.findings(&host));
    findings.extend(process::findings(&lab));
    findings.push(host::stale(&stale));
    Ok(Doctor {
        version: crate::VERSION,
        kernel: process::kernel(),
        backend,
        findings,
        stale,
        netns: netns.clone(),
    })
}

fn backend_finding(backend: Option<Way>, host: &host::Probe<'_>) -> Finding {
    const CHECK: &str = "backend";
    match backend {
        Some(Way::Host) => fine(CHECK, "host: devices are made in this network namespace"),
        Some(Way::Tap) if host.may_configure() => warning(
            CHECK,
            "tap: a TAP can be made in a private sandbox, and not in this network namespace".into(),
            "Tap and Tun need the namespace \"sandbox\"",
            Some("see /dev/net/tun below"),
        ),
        Some(Way::Packet) if host.may_configure() => warning(
            CHECK,
            "packet: only in a private sandbox can a veth stand for a TAP".into(),
            "Tap and Tun need the namespace \"sandbox\"",
            Some("see /dev/net/tun below"),
        ),
        Some(Way::Tap) => fine(
            CHECK,
            "tap: devices are made in a private sandbox, by /dev/net/tun",
        ),
        Some(Way::Packet) => fine(
            CHECK,
            "packet: devices are veths in a private sandbox, read by packet sockets",
        ),
        None => failure(
            CHECK,
            "none works".into(),
            "no device can be made; captures can be replayed",
            Some("what `sandbox` below names, or run as root"),
        ),
    }
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
        Ok(self.netns.look()?.remove_stale()?.len())
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

fn fine(check: &'static str, cause: &str) -> Finding {
    Finding {
        check,
        severity: Severity::Ok,
        cause: cause.into(),
        effect: "works".into(),
        fix: None,
    }
}

fn warning(check: &'static str, cause: String, effect: &str, fix: Option<&str>) -> Finding {
    Finding {
        check,
        severity: Severity::Warning,
        cause,
        effect: effect.into(),
        fix: fix.map(str::to_owned),
    }
}

fn failure(check: &'static str, cause: String, effect: &str, fix: Option<&str>) -> Finding {
    Finding {
        check,
        severity: Severity::Failure,
        cause,
        effect: effect.into(),
        fix: fix.map(str::to_owned),
    }
}

/// Makes a finding of an error: its sentence, and its hint as the fix.
fn refused(check: &'static str, severity: Severity, error: &Error, effect: &str) -> Finding {
    Finding {
        check,
        severity,
        cause: error.to_string(),
        effect: effect.into(),
        fix: error.hint().map(str::to_owned),
    }
}
