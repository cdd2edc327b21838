//! Labs and commands leave no descriptor open: alone in its file, since it counts those of
//! the whole process.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use support::{LONG, child_of, each_user, node, open, pair, private, shell, soon};
use vnet_sandbox::{Lab, Space, Step};

#[test]
fn nothing_is_left_open_after_many_labs_and_commands() {
    each_user("nothing_is_left_open_after_many_labs_and_commands", || {
        let fds = || fs::read_dir("/proc/self/fd").unwrap().count();
        drop(open());
        let before = fds();
        for _ in 0..30 {
            open().close(LONG).unwrap();
        }
        assert_eq!(fds(), before);

        let lab = pair(private);
        let helper = child_of(lab.info().helper).unwrap();
        let count = |lab: &Lab| {
            shell(lab, 1, "true");
            (
                fds(),
                fs::read_dir(format!("/proc/{helper}/fd"))
                    .map(Iterator::count)
                    .unwrap(),
            )
        };
        let before = count(&lab);
        for _ in 0..200 {
            shell(&lab, 1, "true");
        }
        for _ in 0..50 {
            lab.apply(&[node(3, private("c"))]).unwrap();
            lab.apply(&support::plug(3)).unwrap();
            shell(&lab, 3, "true");
            lab.take_port(4096 + 3, 1_000_000, 1 << 16).unwrap();
            lab.drop_port(1_000_000).unwrap();
            lab.apply(&[Step::DropNode { space: 3 }]).unwrap();
            // The kernel frees the lab end in the background.
            assert!(soon(LONG, || lab
                .links(Space::LAB)
                .unwrap()
                .iter()
                .all(|l| l.index != 4096 + 3)));
        }
        assert_eq!(count(&lab), before);
    });
}
