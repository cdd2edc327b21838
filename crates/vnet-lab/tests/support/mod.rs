//! Networks for tests, as root and as an ordinary user.
#![allow(dead_code, unreachable_pub, reason = "every test file takes what it needs")]

use std::fs;
use std::io::{Read, pipe};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process;
use std::sync::Once;
use std::time::{Duration, Instant};

use vnet_datapath::Direction;
use vnet_lab::{At, Island, Network, NetworkOptions, never};
use vnet_runtime::{LoadOptions, Module, Source, Stage, StageOptions};
use vnet_sandbox::{Command, Stdio, helper_path, set_helper_path};
use vnet_sys::process::Exit;
use vnet_topology::{LinkSpec, NodeKind, NodeSpec, Spec};

/// More than anything here takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

/// Says to a second process that it is the ordinary user.
const USER: &str = "VNET_TEST_AS_USER";

/// A user id that nothing of the system runs as.
const NOBODY: &str = "65534";

/// Runs a test here and, when this is root, again as an ordinary user, who may read copies of this program and the helper.
///
/// `name` is that of the test function.
pub fn as_root_and_user(name: &str, test: impl FnOnce()) {
    use_built_helper();
    test();
    if !rustix::process::geteuid().is_root() || std::env::var_os(USER).is_some() {
        return;
    }
    let dir = tempfile::Builder::new()
        .prefix("vnet-lab-test-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = |from: PathBuf, name: &str| {
        let to = dir.path().join(name);
        // By another process: what tests beside this one start would inherit the descriptor that is written to, and the kernel
        // executes no file that somebody writes.
        let copied = process::Command::new("install")
            .arg("-m755")
            .args([&from, &to])
            .status();
        assert!(copied.unwrap().success());
        to
    };
    let program = copy(std::env::current_exe().unwrap(), "test");
    let helper = copy(helper_path(), "vnet-helper");
    let output = process::Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"])
        .arg(&program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .current_dir("/tmp")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("VNET_HELPER", &helper)
        .env(USER, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("as an ordinary user: {said}");
    assert!(
        output.status.success() && said.contains("1 passed"),
        "as an ordinary user: {said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whether this is the ordinary user.
pub fn is_user() -> bool {
    !rustix::process::geteuid().is_root()
}

pub fn use_built_helper() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Test programs lie in target/release/deps, the helper one up.
        let exe = std::env::current_exe().unwrap();
        let helper = exe.parent().unwrap().parent().unwrap().join("vnet-helper");
        set_helper_path(helper);
    });
}

pub fn spec(hosts: &[&str], switches: &[&str], routers: &[&str], links: &[(&str, &str)]) -> Spec {
    let mut spec = Spec::default();
    for (names, kind) in [
        (hosts, NodeKind::Host),
        (switches, NodeKind::Switch),
        (routers, NodeKind::Router),
    ] {
        spec.nodes
            .extend(names.iter().map(|name| NodeSpec::new(*name, kind)));
    }
    spec.links
        .extend(links.iter().map(|(a, b)| LinkSpec::new(*a, *b)));
    spec
}

pub fn network(spec: Spec) -> Network {
    use_built_helper();
    Network::new(NetworkOptions {
        spec,
        ..NetworkOptions::default()
    })
    .unwrap()
}

/// A started network.
pub fn up(spec: Spec) -> Network {
    let network = network(spec);
    network.start(&never).unwrap();
    network
}

pub fn close(network: &Network) {
    network.close(LONG).unwrap();
}

/// Runs a shell line in a node and returns how it ended and what it printed.
pub fn sh(network: &Network, node: &str, line: &str) -> (Exit, String) {
    let (mut reader, writer) = pipe().unwrap();
    let mut command = Command::shell(line);
    command.stderr = Stdio::Fd(writer.try_clone().unwrap().into());
    command.stdout = Stdio::Fd(writer.into());
    command.stdin = Stdio::Null;
    let (lab, space) = (network.lab().unwrap(), network.space(node).unwrap());
    let child = lab.spawn(space, command).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let exit = child.wait(Some(LONG)).unwrap().expect("the command ends in time");
    (exit, text)
}

/// Runs a shell line that must succeed.
pub fn run(network: &Network, node: &str, line: &str) -> String {
    let (exit, text) = sh(network, node, line);
    assert_eq!(exit, Exit::Code(0), "{node}: {line}: {text}");
    text
}

pub fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Lets every frame pass, in super-frames too.
pub const PASS: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 0)))"#;

/// Drops every frame.
pub const DROP: &str = r#"(module (memory (export "memory") 2) (global (export "vnet_frame") i32 (i32.const 65536))
  (func (export "vnet_on_packet") (param i32 i32) (result i32) (i32.const 1)))"#;

/// The shipped plugin that drops broadcasts.
pub const DROP_BCAST: &[u8] = include_bytes!("../../../../plugins/shipped/drop_bcast.wasm");

pub fn stage(network: &Network, at: &At, code: &[u8]) -> Stage {
    let source = Source::Bytes {
        name: "test".into(),
        bytes: code.to_vec(),
    };
    let options = LoadOptions {
        cache: false,
        ..LoadOptions::default()
    };
    let module = Module::load(&source, &options).unwrap();
    let fit = network.fit(at).unwrap();
    let options = StageOptions {
        ports: fit.ports,
        mtu: fit.mtu,
        ..StageOptions::default()
    };
    Stage::new(&module, options).unwrap()
}

pub fn attach(
    network: &Network,
    at: &At,
    code: &[u8],
    direction: Direction,
) -> (vnet_datapath::StageId, Island) {
    let stage = stage(network, at, code);
    network.attach(at, stage, direction, None).unwrap()
}
