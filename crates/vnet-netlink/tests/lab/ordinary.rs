//! The same tests as an ordinary user, in namespaces of his own.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use vnet_sys::caps;

/// Set in the process that runs the tests a second time.
const INSIDE: &str = "VNET_TEST_AS_NOBODY";

#[test]
fn all_of_this_works_for_nobody_in_a_user_namespace() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    if !caps::has_sys_admin() {
        eprintln!("skipped: becoming another user needs root");
        return;
    }
    // The build's directory may lie in a home that only its owner may enter.
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = place.path().join("lab");
    // By another process: what tests beside this one start would inherit the descriptor that is written to, and the kernel
    // executes no file that somebody writes.
    let copied = Command::new("install")
        .arg("-m755")
        .args([&std::env::current_exe().unwrap(), &program])
        .status();
    assert!(copied.unwrap().success());
    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let namespaces = ["unshare", "--user", "--map-root-user", "--net"];
    let output = Command::new("setpriv")
        .args(nobody)
        .args(namespaces)
        .arg(&program)
        .env(INSIDE, "1")
        .current_dir("/")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unshare failed") {
        eprintln!("skipped: this system gives ordinary users no namespaces: {said}");
        return;
    }
    assert!(output.status.success(), "{text}{said}");
    assert!(!said.contains("skipped: making"), "{said}");
}
