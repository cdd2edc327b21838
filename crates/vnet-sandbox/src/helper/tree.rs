use std::collections::HashMap;

use vnet_sys::process::{self, Stat};

const SIGKILL: i32 = 9;

/// Kills every process that descends from this one, as /proc shows them.
///
/// One pass may miss a process that is just being forked; the caller repeats it
/// until it has no child left. What descends from a killed process becomes a child
/// of this one, which is a subreaper.
pub(super) fn kill_descendants() {
    for target in descendants(std::process::id(), &process::all()) {
        kill(&target);
    }
}

/// Between reading /proc and killing, a process may have ended and its number come
/// to mean another: the pidfd holds the number while the start time is compared.
fn kill(target: &Stat) {
    let Ok(pidfd) = process::open(target.pid) else {
        return;
    };
    if process::stat(target.pid).is_some_and(|stat| stat.start == target.start) {
        use std::os::fd::AsFd;
        // One that may not be killed (another user's) stays; the caller's deadline ends the wait.
        drop(process::send(pidfd.as_fd(), SIGKILL));
    }
}

fn descendants(root: u32, all: &[Stat]) -> Vec<Stat> {
    let mut children: HashMap<u32, Vec<&Stat>> = HashMap::new();
    for stat in all {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for stat in children.remove(&parent).into_iter().flatten() {
            parents.push(stat.pid);
            if stat.state != 'Z' {
                found.push(*stat);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_whole_tree_and_nothing_beside_it() {
        let stat = |pid, ppid, state| Stat {
            pid,
            ppid,
            state,
            start: 1,
        };
        let all = [
            stat(1, 0, 'S'),
            stat(10, 1, 'S'),
            stat(11, 10, 'S'),
            stat(12, 11, 'Z'),
            stat(13, 12, 'R'),
            stat(20, 1, 'S'),
        ];
        let mut pids: Vec<_> = descendants(10, &all).iter().map(|stat| stat.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [11, 13]);
    }
}
