//! Ready-made permissions for what keeps the sandbox from working.

use std::path::Path;

/// A seccomp profile for container engines. It refuses what reaches beyond a container and allows everything else, user
/// namespaces and mounts in them among it.
const SECCOMP: &str = include_str!("seccomp.json");

/// Returns an AppArmor profile that lets the helper, and what it starts, use user namespaces where AppArmor keeps ordinary
/// users from that (Ubuntu from 23.10 on).
#[must_use]
pub fn apparmor_profile() -> String {
    profile_for(&vnet_sandbox::helper_path())
}

fn profile_for(helper: &Path) -> String {
    let helper = helper.canonicalize().unwrap_or_else(|_| helper.to_owned());
    // In a quoted path only these mean something else than themselves (apparmor.d(5)).
    let path: String = helper
        .display()
        .to_string()
        .chars()
        .flat_map(|c| {
            let escape = matches!(c, '"' | '\\' | '*' | '?' | '[' | ']' | '{' | '}' | '^' | '@');
            escape.then_some('\\').into_iter().chain([c])
        })
        .collect();
    format!(
        "# Lets vnet's helper, and the labs it runs for ordinary users, make user namespaces.\n\
         # Install it: vnet doctor --apparmor-profile | sudo tee /etc/apparmor.d/vnet-helper\n\
         #             sudo apparmor_parser -r /etc/apparmor.d/vnet-helper\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         \n\
         profile vnet-helper \"{path}\" flags=(unconfined) {{\n  \
           userns,\n\
         \n  \
           include if exists <local/vnet-helper>\n\
         }}\n"
    )
}

/// Returns a seccomp profile for `docker run --security-opt seccomp=FILE` (podman likewise) with which labs work in a
/// container.
#[must_use]
pub fn seccomp_profile() -> &'static str {
    SECCOMP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_the_helper_and_quotes_its_path() {
        let text = profile_for(Path::new("/no such/[env]/vnet-helper"));
        assert!(
            text.contains(
                "profile vnet-helper \"/no such/\\[env\\]/vnet-helper\" flags=(unconfined) {\n  userns,\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("}\n"), "{text}");
    }

    #[test]
    fn the_seccomp_profile_allows_namespaces_and_refuses_the_machine() {
        let profile: serde_json::Value = serde_json::from_str(seccomp_profile()).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ALLOW");
        let refused = profile["syscalls"][0]["names"].as_array().unwrap();
        for call in [
            "unshare",
            "setns",
            "clone",
            "clone3",
            "mount",
            "umount2",
            "sethostname",
        ] {
            assert!(!refused.contains(&call.into()), "{call}");
        }
        for call in ["reboot", "init_module", "kexec_load", "bpf", "settimeofday"] {
            assert!(refused.contains(&call.into()), "{call}");
        }
    }
}
