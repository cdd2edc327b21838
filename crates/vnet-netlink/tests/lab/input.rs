//! What comes in from outside: bad values and bad texts.

use vnet_netlink::{Change, Into, LinkSet, Mac, NetlinkError, PeerEnd, RouteSpec};

use crate::space::{address, route, set, up, veth};

#[test]
fn what_no_kernel_takes_is_refused_before_it() {
    // Also where there is no right to make a namespace: nothing is asked of the kernel.
    let name = |name: &str| Change::Ifb {
        index: 16,
        name: name.into(),
    };
    let link = |one: LinkSet| set(16, one);
    let none = LinkSet::default;
    let redirect = |index, prio, to| Change::Redirect {
        index,
        prio,
        to,
        into: Into::Egress,
    };
    let cases = [
        (name(""), "empty"),
        (name("a-name-of-16-byt"), "at most 15"),
        (name("../x"), "'/'"),
        (name("x%d"), "'%'"),
        (name("x\0y"), "'\\0'"),
        (veth_named("v0", "x y"), "' '"),
        (up(0), "from 1 to 2147483647, not 0"),
        (up(u32::MAX), "not 4294967295"),
        (Change::FlushFdb { bridge: 0 }, "not 0"),
        (link(none()), "sets nothing"),
        (
            link(LinkSet {
                mtu: Some(67),
                ..none()
            }),
            "68 to 65535 bytes, not 67",
        ),
        (
            link(LinkSet {
                mtu: Some(65536),
                ..none()
            }),
            "not 65536",
        ),
        (
            link(LinkSet {
                mac: Some(Mac([1, 0, 0, 0, 0, 1])),
                ..none()
            }),
            "group",
        ),
        (
            link(LinkSet {
                alias: Some("x".repeat(256)),
                ..none()
            }),
            "at most 255",
        ),
        (
            link(LinkSet {
                alias: Some("a\0b".into()),
                ..none()
            }),
            "zero byte",
        ),
        (
            link(LinkSet {
                bridge: Some(1 << 31),
                ..none()
            }),
            "not 2147483648",
        ),
        (redirect(16, 0, 17), "priority"),
        (redirect(16, 2, 0), "not 0"),
        (redirect(0, 2, 17), "not 0"),
        (Change::DelRedirect { index: 16, prio: 0 }, "priority"),
        (address(16, "0.0.0.0/0"), "own"),
        (address(16, "224.0.0.1/24"), "own"),
        (address(16, "ff02::1/64"), "own"),
        (
            Change::AddRoute(route("10.0.0.0/8", "fd00::1")),
            "other address family",
        ),
        (Change::AddRoute(route("10.0.0.0/8", "0.0.0.0")), "no gateway"),
        (Change::AddRoute(route("224.0.0.0/4", "10.0.0.1")), "multicast"),
        (
            Change::AddRoute(RouteSpec {
                via: None,
                ..route("10.0.0.0/8", "10.0.0.1")
            }),
            "gateway or an interface",
        ),
        (
            Change::DelNeighbour {
                index: 16,
                ip: "::".parse().unwrap(),
            },
            "neighbour",
        ),
    ];
    for (change, word) in cases {
        let error = change.check().unwrap_err();
        assert_eq!(error.errno(), 22, "{error:?}");
        let text = error.to_string();
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

fn veth_named(name: &str, peer: &str) -> Change {
    Change::Veth {
        index: 16,
        name: name.into(),
        mac: None,
        mtu: None,
        peer: PeerEnd {
            space: 1,
            index: 16,
            name: peer.into(),
            mac: None,
        },
    }
}

#[test]
fn a_change_crosses_a_socket_as_it_is_and_no_other_text_does() {
    let changes = [
        veth(61, 1),
        up(16),
        address(16, "fd00::1/64"),
        Change::AddRoute(route("::/0", "fd00::fe")),
        Change::Redirect {
            index: 16,
            prio: 1,
            to: 1_000_000,
            into: Into::Ingress,
        },
    ];
    for change in changes {
        let wire = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&wire).unwrap(), change, "{wire}");
    }
    for wire in [
        r#"{"Delete":{"index":16,"force":true}}"#,
        r#"{"Delete":{"index":-1}}"#,
        r#"{"Delete":{"index":4294967296}}"#,
        r#"{"Link":{"index":16,"set":{"up":true,"color":"red"}}}"#,
        r#"{"AddAddress":{"index":16,"address":"10.0.0.1/33"}}"#,
        r#"{"AddNeighbour":{"index":16,"ip":"10.0.0.1","mac":"02:00:00:00:00"}}"#,
        r#"{"Reboot":{}}"#,
    ] {
        assert!(serde_json::from_str::<Change>(wire).is_err(), "{wire}");
    }
}

#[test]
fn an_error_crosses_a_socket_with_its_kind_errno_and_words() {
    let bad_name = Change::Ifb {
        index: 16,
        name: "a b".into(),
    };
    let errors = [
        bad_name.check().unwrap_err(),
        up(0).check().unwrap_err(),
        NetlinkError::Exists {
            name: "v16".into(),
            kernel: Some("in the kernel's words".into()),
        },
        NetlinkError::Socket {
            what: "cannot do it".into(),
            source: std::io::Error::from_raw_os_error(105),
        },
        NetlinkError::Socket {
            what: "cannot do it".into(),
            source: std::io::Error::other("without a number"),
        },
        NetlinkError::NotInTime {
            name: "v16".into(),
            wanted: "up".into(),
            seconds: 1.5,
            state: "down".into(),
            hint: "; set it up".into(),
        },
        NetlinkError::Sys(vnet_sys::SysError::Privilege {
            what: "cannot enter".into(),
            needs: "CAP_SYS_ADMIN".into(),
            fix: "run as root".into(),
            errno: 1,
        }),
    ];
    for error in errors {
        let wire = serde_json::to_string(&error).unwrap();
        let back: NetlinkError = serde_json::from_str(&wire).unwrap();
        assert_eq!(format!("{back:?}"), format!("{error:?}"));
        assert_eq!(back.to_string(), error.to_string());
        assert_eq!(
            (back.errno(), back.kernel_text()),
            (error.errno(), error.kernel_text())
        );
    }
}
