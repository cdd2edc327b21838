//! Why the kernel refuses a namespace, and what helps.

use std::fs;
use std::io;

use rustix::thread::CapabilitySet;

use super::message::IN_CHROOT;
use crate::SandboxError;

const PERM: i32 = 1;
const ACCES: i32 = 13;
const INVAL: i32 = 22;
const NOSPC: i32 = 28;
const USERS: i32 = 87;

/// Puts the helper's profile where AppArmor reads it; `vnet doctor` prints the profile.
const INSTALL_PROFILE: &str = "vnet doctor --apparmor-profile | sudo tee /etc/apparmor.d/vnet-helper && \
    sudo apparmor_parser -r /etc/apparmor.d/vnet-helper";

/// Says why a stage of the isolation of a lab, or of one node of it, failed, as far as this machine's settings tell.
pub(crate) fn isolation_error(
    stage: String,
    errno: i32,
    rootless: bool,
    node: Option<String>,
) -> SandboxError {
    let (cause, fix) = explain(&stage, errno, rootless, &Settings::read());
    SandboxError::Isolation {
        stage,
        errno,
        node,
        cause,
        fix,
    }
}

/// What this machine and this process are set to.
#[derive(Clone, Debug, Default)]
struct Settings {
    /// kernel.unprivileged_userns_clone, which Debian's kernels have.
    clone: Option<String>,
    /// kernel.apparmor_restrict_unprivileged_userns, which Ubuntu's kernels have.
    apparmor_restrict: Option<String>,
    /// The AppArmor profile that confines this process.
    profile: Option<String>,
    seccomp: bool,
    no_new_privs: bool,
    /// This process is root, and lacks the capability CAP_SETFCAP.
    weak_root: bool,
    /// The limits of /proc/sys/user that can be read: their names and values.
    limits: Vec<(&'static str, String)>,
}

/// Which limit counts what a stage makes.
const LIMITS: [(&str, &str); 6] = [
    ("user namespace", "user.max_user_namespaces"),
    ("network namespace", "user.max_net_namespaces"),
    ("mount namespace", "user.max_mnt_namespaces"),
    ("process namespace", "user.max_pid_namespaces"),
    ("IPC namespace", "user.max_ipc_namespaces"),
    ("host name namespace", "user.max_uts_namespaces"),
];

impl Settings {
    fn read() -> Self {
        let text = |path: &str| Some(fs::read_to_string(path).ok()?.trim().to_owned());
        let sysctl = |key: &str| text(&format!("/proc/sys/{}", key.replace('.', "/")));
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let is = |field: &str, value: &str| {
            status.lines().any(|line| {
                line.strip_prefix(field)
                    .is_some_and(|found| found.trim() == value)
            })
        };
        Self {
            clone: sysctl("kernel.unprivileged_userns_clone"),
            apparmor_restrict: sysctl("kernel.apparmor_restrict_unprivileged_userns"),
            profile: text("/proc/thread-self/attr/apparmor/current")
                .or_else(|| text("/proc/thread-self/attr/current"))
                .and_then(|current| Some(current.strip_suffix(" (enforce)")?.to_owned())),
            seccomp: is("Seccomp:", "2"),
            no_new_privs: is("NoNewPrivs:", "1"),
            weak_root: rustix::process::geteuid().is_root()
                && rustix::thread::capabilities(None)
                    .is_ok_and(|sets| !sets.effective.contains(CapabilitySet::SETFCAP)),
            limits: LIMITS
                .iter()
                .filter_map(|(_, key)| Some((*key, sysctl(key)?)))
                .collect(),
        }
    }
}

fn explain(stage: &str, errno: i32, rootless: bool, settings: &Settings) -> (String, String) {
    match errno {
        NOSPC | USERS => limit(stage, settings),
        PERM | ACCES => refusal(stage, errno, rootless, settings),
        INVAL => (
            "the kernel was built without this kind of namespace".to_owned(),
            "use a kernel with user, network, PID, IPC and UTS namespaces".to_owned(),
        ),
        _ => (
            io::Error::from_raw_os_error(errno).to_string(),
            "see what `dmesg` says, and report it".to_owned(),
        ),
    }
}

/// The kernel answers ENOSPC, and before 4.9 EUSERS, when a limit of
/// /proc/sys/user is reached, in this user namespace or in one above.
fn limit(stage: &str, settings: &Settings) -> (String, String) {
    let key = LIMITS
        .iter()
        .find(|(word, _)| stage.contains(word))
        .map_or(LIMITS[0].1, |(_, key)| key);
    let value = settings.limits.iter().find(|(name, _)| *name == key);
    let fix = format!("sudo sysctl -w {key}=15000");
    match value.map(|(_, value)| value.as_str()) {
        Some("0") => (format!("they are switched off: {key} is 0"), fix),
        Some(value) => (
            format!("a limit on namespaces is reached: {key} is {value} here, and may be less further out"),
            fix,
        ),
        None => (format!("a limit on namespaces is reached, perhaps {key}"), fix),
    }
}

fn refusal(stage: &str, errno: i32, rootless: bool, settings: &Settings) -> (String, String) {
    if stage == IN_CHROOT {
        return (
            "this process runs in a chroot, which the commands of a lab would leave".to_owned(),
            "run it outside, or enter that directory with a tool that pivots the root, such as bwrap or systemd-nspawn"
                .to_owned(),
        );
    }
    if stage.starts_with("map ") && settings.weak_root {
        return (
            "this process is root without the capability CAP_SETFCAP, and the kernel gives such a root no user namespace"
                .to_owned(),
            "run as an ordinary user, or as root with all capabilities".to_owned(),
        );
    }
    let user = stage.contains("user namespace");
    let restricted = rootless && settings.apparmor_restrict.as_deref() == Some("1");
    if user && settings.clone.as_deref() == Some("0") {
        return (
            "user namespaces of ordinary users are switched off: kernel.unprivileged_userns_clone is 0"
                .to_owned(),
            "sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned(),
        );
    }
    // AppArmor lets a user namespace be made and then nothing be done in it, or answers EACCES.
    if settings.seccomp && errno == PERM && (user || !restricted) {
        return (
            "a seccomp filter refuses it, as that of a container engine does".to_owned(),
            "vnet doctor --seccomp-profile > vnet-seccomp.json, then start the container with --security-opt \
             seccomp=vnet-seccomp.json"
                .to_owned(),
        );
    }
    if let Some(profile) = settings.profile.as_deref().filter(|_| errno == ACCES) {
        return (
            format!("the AppArmor profile {profile} confines this process and refuses it"),
            "start the container with --security-opt apparmor=unconfined".to_owned(),
        );
    }
    if restricted {
        let cause = "AppArmor keeps ordinary users' programs without a profile from using user namespaces: \
             kernel.apparmor_restrict_unprivileged_userns is 1";
        return if settings.no_new_privs {
            (
                format!("{cause}, and no_new_privs keeps a profile from taking effect"),
                format!("start this process without no_new_privs, and: {INSTALL_PROFILE}"),
            )
        } else {
            (cause.to_owned(), INSTALL_PROFILE.to_owned())
        };
    }
    if rootless {
        return (
            "a security policy of this machine forbids it, or this process runs in a chroot or as a user its own \
             user namespace does not know"
                .to_owned(),
            "run as root, or have whoever runs this machine allow user namespaces".to_owned(),
        );
    }
    (
        "this process lacks the capability CAP_SYS_ADMIN".to_owned(),
        "run as root with all capabilities, or in a user namespace (leave rootless out)".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "make a user namespace";

    fn with(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings::default();
        change(&mut settings);
        settings
    }

    #[test]
    fn every_cause_has_its_own_fix() {
        let some = |text: &str| Some(text.to_owned());
        let ubuntu = || with(|s| s.apparmor_restrict = some("1"));
        let cases = [
            (
                with(|s| s.limits = vec![("user.max_user_namespaces", "0".into())]),
                (USER, NOSPC),
                [
                    "user.max_user_namespaces is 0",
                    "sudo sysctl -w user.max_user_namespaces=15000",
                ],
            ),
            (
                with(|s| s.limits = vec![("user.max_net_namespaces", "7".into())]),
                ("make a network namespace", NOSPC),
                [
                    "user.max_net_namespaces is 7",
                    "sudo sysctl -w user.max_net_namespaces=",
                ],
            ),
            (
                with(|s| s.clone = some("0")),
                (USER, PERM),
                ["unprivileged_userns_clone is 0", "unprivileged_userns_clone=1"],
            ),
            (
                with(|s| s.seccomp = true),
                (USER, PERM),
                ["seccomp filter", "--seccomp-profile"],
            ),
            (
                // A container on Ubuntu.
                Settings {
                    seccomp: true,
                    ..ubuntu()
                },
                (USER, PERM),
                ["seccomp filter", "--seccomp-profile"],
            ),
            (
                with(|s| s.profile = some("docker-default")),
                ("mount a file system in memory", ACCES),
                ["docker-default", "apparmor=unconfined"],
            ),
            (
                with(|s| s.weak_root = true),
                ("map the user into a user namespace", PERM),
                ["CAP_SETFCAP", "ordinary user"],
            ),
            (
                ubuntu(),
                ("make a network namespace", PERM),
                ["apparmor_restrict_unprivileged_userns is 1", "--apparmor-profile"],
            ),
            (
                Settings {
                    no_new_privs: true,
                    ..ubuntu()
                },
                (USER, ACCES),
                ["no_new_privs", "without no_new_privs"],
            ),
            (
                Settings::default(),
                (USER, PERM),
                ["security policy", "run as root"],
            ),
            (
                Settings::default(),
                (USER, INVAL),
                ["built without", "use a kernel"],
            ),
        ];
        for (settings, (stage, errno), [cause, fix]) in cases {
            let said = explain(stage, errno, true, &settings);
            assert!(said.0.contains(cause), "{stage} {errno} {settings:?}: {said:?}");
            assert!(said.1.contains(fix), "{stage} {errno} {settings:?}: {said:?}");
        }
        let (cause, _) = explain("make a process namespace", PERM, false, &Settings::default());
        assert!(cause.contains("CAP_SYS_ADMIN"), "{cause}");
    }
}
