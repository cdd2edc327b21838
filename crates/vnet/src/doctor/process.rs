//! What this process was started with, and what the machine is set to.

use std::fs;

use vnet_sys::caps;

use super::{Finding, failure, fine, warning};

/// Bytes of packet-socket buffer below which frames are lost under load; the default 208 KiB lost 2 % of 855 kpps.
const RCVBUF_WANTED: u64 = 4 << 20;

/// Returns the kernel's release.
pub(super) fn kernel() -> String {
    read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".into())
}

pub(super) fn findings(lab: &super::lab::Probe) -> Vec<Finding> {
    let mut findings = vec![helper(), no_new_privs(), seccomp(lab.is_open()), receive_buffer()];
    findings.extend(user_namespaces(lab.is_open()));
    findings
}

/// Tells where a privileged process has a sandbox and nobody else here could; elsewhere the sandbox's own finding says it.
fn user_namespaces(sandbox: bool) -> Option<Finding> {
    let off = read("/proc/sys/user/max_user_namespaces").as_deref() == Some("0");
    (sandbox && off).then(|| {
        warning(
            "user namespaces",
            "they are switched off: user.max_user_namespaces is 0".into(),
            "an ordinary user has no sandbox and no Network here; this process has the privileges to do without",
            Some("sudo sysctl -w user.max_user_namespaces=15000"),
        )
    })
}

fn helper() -> Finding {
    const CHECK: &str = "vnet-helper";
    let path = vnet_sandbox::helper_path();
    match rustix::fs::access(&path, rustix::fs::Access::EXEC_OK) {
        Ok(()) => fine(CHECK, &path.display().to_string()),
        Err(errno) => failure(
            CHECK,
            format!("{}: {errno}", path.display()),
            "no command can be run, and no sandbox be made",
            Some("name it in the environment variable VNET_HELPER, or install vnet again"),
        ),
    }
}

fn no_new_privs() -> Finding {
    const CHECK: &str = "no_new_privs";
    if status("NoNewPrivs").as_deref() != Some("1") {
        return fine(CHECK, "not set");
    }
    warning(
        CHECK,
        "set on this process, and so on every command it runs".into(),
        "commands outside of a sandbox gain nothing from set-user-id bits and file capabilities (sudo, su and often ping fail), \
         and an AppArmor profile for the helper takes no effect; sandboxes work",
        Some(
            "start it without: no `setpriv --no-new-privs`, no NoNewPrivileges= in its systemd unit, no Docker option \
             --security-opt no-new-privileges",
        ),
    )
}

fn seccomp(sandbox: bool) -> Finding {
    const CHECK: &str = "seccomp";
    match status("Seccomp").as_deref() {
        Some("2") if sandbox => fine(CHECK, "a filter is set, and allows what vnet needs"),
        Some("2") => warning(
            CHECK,
            "a filter is set on this process, as in a container".into(),
            "it may be what refuses the sandbox",
            Some(
                "vnet doctor --seccomp-profile > vnet-seccomp.json, then start the container with --security-opt \
                 seccomp=vnet-seccomp.json",
            ),
        ),
        _ => fine(CHECK, "no filter"),
    }
}

fn receive_buffer() -> Finding {
    const CHECK: &str = "net.core.rmem_max";
    let most = read("/proc/sys/net/core/rmem_max").and_then(|text| text.parse::<u64>().ok());
    match most {
        // Root sets a larger buffer whatever the limit says (SO_RCVBUFFORCE).
        _ if rustix::process::geteuid().is_root() && caps::has_net_admin() => {
            fine(CHECK, "does not limit this process")
        }
        Some(most) if most >= RCVBUF_WANTED => fine(CHECK, &format!("{most} bytes")),
        Some(most) => warning(
            CHECK,
            format!("{most} bytes"),
            "packet sockets lose frames under load; they are counted as kernel_drops",
            Some("sudo sysctl -w net.core.rmem_max=4194304"),
        ),
        None => warning(
            CHECK,
            "cannot be read".into(),
            "packet sockets may lose frames under load",
            None,
        ),
    }
}

/// Reads a field of /proc/self/status.
fn status(field: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/thread-self/status").ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
