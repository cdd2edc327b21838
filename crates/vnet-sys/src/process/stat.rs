use std::fs;

/// What `/proc/<pid>/stat` says of a process (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process id.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// `R`, `S`, `D`, `T`, or `Z` once it has ended and waits to be reaped.
    pub state: char,
    /// When it started, in clock ticks since boot: with the pid it names one
    /// process for ever.
    pub start: u64,
}

/// Reads the state of one process, or nothing when there is none.
#[must_use]
pub fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Returns when a process started, in clock ticks since boot, or nothing when
/// there is none or it has ended.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    stat(pid).filter(|stat| stat.state != 'Z').map(|stat| stat.start)
}

/// Reads the state of all processes /proc shows.
#[must_use]
pub fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(stat)
        .collect()
}

/// The command, between parentheses, may itself contain spaces and parentheses.
fn parse(text: &str) -> Option<Stat> {
    let (pid, rest) = text.split_once(" (")?;
    let mut fields = rest.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let ppid = fields.next()?.parse().ok()?;
    // Field 22; state is field 3 and ppid 4.
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        pid: pid.parse().ok()?,
        ppid,
        state,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_is_no_trouble() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2\n";
        assert_eq!(
            parse(text),
            Some(Stat {
                pid: 42,
                ppid: 7,
                state: 'S',
                start: 98765
            })
        );
    }

    #[test]
    fn finds_this_process_among_all() {
        let own = stat(std::process::id()).unwrap();
        assert!(all().iter().any(|s| s.pid == own.pid && s.start == own.start));
    }
}
