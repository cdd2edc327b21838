//! TUN/TAP devices in namespaces the tests make.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode as FileMode, makedev, mknodat};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
use vnet_sys::tun::{self, Mode, OffloadMask, TunConfig, TunTap};
use vnet_sys::{NetNs, SysError, caps, ethtool};

/// Runs a test in a namespace of its own, or says why it cannot run.
fn in_namespace(test: impl FnOnce() + Send) {
    if !caps::has_sys_admin() {
        eprintln!("skipped: making a network namespace needs CAP_SYS_ADMIN");
        return;
    }
    if !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: there is no /dev/net/tun");
        return;
    }
    NetNs::create().unwrap().run(test).unwrap();
}

/// A directory with a character device in it, removed in the end.
struct Node(PathBuf);

impl Node {
    fn new(name: &str, minor: u32, mode: u32) -> Self {
        let dir = std::env::temp_dir().join(format!("vnet-sys-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join("tun");
        mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            FileMode::from(mode),
            makedev(10, minor),
        )
        .unwrap();
        rustix::fs::chmod(&path, FileMode::from(mode)).unwrap();
        Self(path)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        fs::remove_dir_all(self.0.parent().unwrap()).unwrap();
    }
}

/// Makes the calling thread, and no other, an ordinary user without capabilities.
fn become_nobody() {
    set_thread_res_gid(Gid::from_raw(65534), Gid::from_raw(65534), Gid::from_raw(65534)).unwrap();
    set_thread_res_uid(Uid::from_raw(65534), Uid::from_raw(65534), Uid::from_raw(65534)).unwrap();
}

fn config(name: &str, mode: Mode) -> TunConfig {
    TunConfig::new(name, mode)
}

fn refused(config: &TunConfig) -> SysError {
    TunTap::create(config)
        .map(|tap| tap.name().to_owned())
        .unwrap_err()
}

#[test]
fn a_device_lives_as_long_as_its_descriptor() {
    in_namespace(|| {
        for mode in [Mode::Tap, Mode::Tun] {
            let device = TunTap::create(&config("dev0", mode)).unwrap();
            assert!(!device.adopted());
            assert_eq!(tun::name_of(device.as_fd()).as_deref(), Some("dev0"));
            let driver = ethtool::driver("dev0").unwrap();
            assert!(driver.is_tun() && driver.bus == mode.as_str(), "{driver:?}");
            drop(device);
            assert_eq!(ethtool::driver("dev0").unwrap_err().errno(), libc::ENODEV);
        }
    });
}

#[test]
fn the_second_of_the_same_name_learns_who_holds_the_first() {
    in_namespace(|| {
        let _first = TunTap::create(&config("tap0", Mode::Tap)).unwrap();
        let error = refused(&config("tap0", Mode::Tap));
        let SysError::Busy {
            name,
            owner: Some(owner),
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(name, "tap0");
        assert!(owner.contains(&std::process::id().to_string()), "{owner}");
        assert_eq!(error.errno(), libc::EBUSY);
    });
}

#[test]
fn the_holder_in_another_namespace_is_not_blamed() {
    in_namespace(|| {
        let other = NetNs::create().unwrap();
        let _elsewhere = other
            .run(|| TunTap::create(&config("tapx", Mode::Tap)).unwrap())
            .unwrap();
        assert_eq!(tun::holder("tapx"), None);
        assert_eq!(
            other.run(|| tun::holder("tapx")).unwrap().unwrap().pid,
            std::process::id()
        );
    });
}

#[test]
fn an_interface_that_is_no_tap_is_named_as_what_it_is() {
    in_namespace(|| {
        let error = refused(&config("lo", Mode::Tap));
        assert!(matches!(error, SysError::WrongKind { .. }), "{error:?}");
        assert!(
            error.to_string().contains("interface lo exists and is"),
            "{error}"
        );

        let tap = TunTap::create(&TunConfig {
            persist: true,
            ..config("p0", Mode::Tap)
        })
        .unwrap();
        drop(tap);
        let error = refused(&config("p0", Mode::Tun)).to_string();
        assert!(error.contains("is a tap, not a tun"), "{error}");
        let error = refused(&TunConfig {
            multi_queue: true,
            ..config("p0", Mode::Tap)
        })
        .to_string();
        assert!(error.contains("not a multi-queue tap"), "{error}");
        TunTap::create(&config("p0", Mode::Tap))
            .unwrap()
            .set_persist(false)
            .unwrap();
    });
}

#[test]
fn a_persistent_device_is_adopted_and_stays() {
    in_namespace(|| {
        let spec = TunConfig {
            persist: true,
            owner: Some(1000),
            group: Some(1000),
            ..config("p1", Mode::Tap)
        };
        let tap = TunTap::create(&spec).unwrap();
        assert_eq!(tap.set_offload(OffloadMask::TCP).unwrap(), OffloadMask::TCP);
        drop(tap);
        let again = TunTap::create(&config("p1", Mode::Tap)).unwrap();
        assert!(again.adopted());
        drop(again);
        assert!(ethtool::driver("p1").is_ok());
        TunTap::create(&config("p1", Mode::Tap))
            .unwrap()
            .set_persist(false)
            .unwrap();
        assert!(ethtool::driver("p1").is_err());
    });
}

#[test]
fn several_descriptors_share_a_multi_queue_device() {
    in_namespace(|| {
        let spec = TunConfig {
            multi_queue: true,
            ..config("mq0", Mode::Tap)
        };
        let first = TunTap::create(&spec).unwrap();
        let second = TunTap::create(&spec).unwrap();
        drop(first);
        assert!(second.adopted() && ethtool::driver("mq0").is_ok());
        drop(second);
        assert!(ethtool::driver("mq0").is_err());
    });
}

#[test]
fn offloads_fall_back_to_what_the_kernel_takes() {
    in_namespace(|| {
        let tap = TunTap::create(&config("tap1", Mode::Tap)).unwrap();
        let granted = tap.set_offload(OffloadMask::ALL).unwrap();
        assert!(
            granted.contains(OffloadMask::CSUM | OffloadMask::TSO4 | OffloadMask::TSO6),
            "{granted:?}"
        );
        // A bit no kernel knows falls back to TCP.
        assert_eq!(
            tap.set_offload(OffloadMask(0x1000_006f)).unwrap(),
            OffloadMask::TCP
        );
        assert_eq!(tap.set_offload(OffloadMask::NONE).unwrap(), OffloadMask::NONE);
        tun::set_carrier(tap.as_fd(), false).unwrap();
    });
}

#[test]
fn a_bad_name_is_refused_before_anything_is_opened() {
    let spec = TunConfig {
        device: "/no/such/node".into(),
        ..config("sixteen-bytes-xx", Mode::Tap)
    };
    let error = refused(&spec);
    assert!(matches!(error, SysError::BadName { .. }), "{error:?}");
    assert!(error.to_string().contains("16 bytes"), "{error}");
}

#[test]
fn a_missing_device_node_says_how_to_make_it() {
    let spec = TunConfig {
        device: "/no/such/node".into(),
        ..config("tap0", Mode::Tap)
    };
    let error = refused(&spec);
    assert!(matches!(error, SysError::MissingDevice { .. }), "{error:?}");
    let fix = error.fix().unwrap();
    assert!(
        fix.contains("mknod /no/such/node c 10 200") && fix.contains("modprobe tun"),
        "{fix}"
    );
    assert_eq!(error.errno(), libc::ENOENT);
}

#[test]
fn a_device_node_without_a_driver_says_modprobe() {
    in_namespace(|| {
        let node = Node::new("nodriver", 1020, 0o666);
        let error = refused(&TunConfig {
            device: node.0.clone(),
            ..config("tap0", Mode::Tap)
        });
        assert!(matches!(error, SysError::MissingDevice { .. }), "{error:?}");
        assert!(error.fix().unwrap().contains("modprobe tun"), "{error}");
    });
}

#[test]
fn a_device_node_that_may_not_be_opened_says_chmod() {
    in_namespace(|| {
        let node = Node::new("mode600", 200, 0o600);
        let path = node.0.clone();
        std::thread::spawn(move || {
            become_nobody();
            let error = refused(&TunConfig {
                device: path,
                ..config("tap0", Mode::Tap)
            });
            let SysError::Privilege { what, fix, .. } = &error else {
                panic!("{error:?}")
            };
            assert!(
                what.contains("cannot open") && fix.contains("chmod 0666"),
                "{error}"
            );
        })
        .join()
        .unwrap();
    });
}

#[test]
fn without_net_admin_the_missing_capability_is_named() {
    in_namespace(|| {
        let node = Node::new("mode666", 200, 0o666);
        let path = node.0.clone();
        std::thread::spawn(move || {
            become_nobody();
            let error = refused(&TunConfig {
                device: path,
                ..config("tap0", Mode::Tap)
            });
            let SysError::Privilege { needs, errno, .. } = &error else {
                panic!("{error:?}")
            };
            assert!(needs.contains("CAP_NET_ADMIN"), "{error}");
            assert_eq!(*errno, libc::EPERM);
        })
        .join()
        .unwrap();
    });
}

#[test]
fn an_ordinary_user_attaches_to_the_tap_that_was_made_for_it_and_to_no_other() {
    in_namespace(|| {
        let node = Node::new("owned", 200, 0o666);
        let path = node.0.clone();
        let persistent = |name: &str, owner| {
            let spec = TunConfig {
                persist: true,
                owner: Some(owner),
                ..config(name, Mode::Tap)
            };
            drop(TunTap::create(&spec).unwrap());
        };
        persistent("mine0", 65534);
        persistent("other0", 1);
        std::thread::spawn(move || {
            become_nobody();
            let mine = TunConfig {
                device: path.clone(),
                ..config("mine0", Mode::Tap)
            };
            assert!(TunTap::create(&mine).unwrap().adopted());
            let error = refused(&TunConfig {
                device: path,
                ..config("other0", Mode::Tap)
            });
            let SysError::Privilege { needs, .. } = &error else {
                panic!("{error:?}")
            };
            assert!(needs.contains("owner"), "{error}");
        })
        .join()
        .unwrap();
    });
}
