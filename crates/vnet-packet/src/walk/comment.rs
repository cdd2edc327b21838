//! What a capture's comments say: `WHO: FATE, DETAIL, ...`.

/// One line of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said<'c> {
    pub who: &'c str,
    /// `pass`, `drop`, `lost`, `dropped`, `passed`, `redirect 2`, `to s1-port2`, ...
    pub fate: &'c str,
    /// What stands in the parenthesis behind the fate, or behind the word `reason`, or alone behind `drop`.
    pub reason: &'c str,
    pub details: &'c str,
}

impl<'c> Said<'c> {
    pub fn read(line: &'c str) -> Option<Said<'c>> {
        let (who, rest) = line.split_once(": ")?;
        let (head, details) = rest.split_once(", ").unwrap_or((rest, ""));
        let (fate, in_parenthesis) = match head.split_once(" (") {
            Some((fate, reason)) => (fate, reason.trim_end_matches(')')),
            None => (head, ""),
        };
        let reason = match details.strip_prefix("reason ") {
            Some(reason) => reason.strip_suffix(", appended").unwrap_or(reason),
            None if in_parenthesis.is_empty() && fate == "drop" => details,
            None => in_parenthesis,
        };
        Some(Said {
            who,
            fate,
            reason,
            details,
        })
    }

    /// Says whether the frame ended there.
    pub fn ends(&self) -> bool {
        matches!(self.fate, "drop" | "dropped" | "lost")
    }

    /// Returns the nanoseconds behind `waited` or `delayed`.
    pub fn waited_ns(&self) -> Option<u64> {
        let from = ["waited ", "delayed "]
            .iter()
            .find_map(|word| self.details.find(word).map(|at| at + word.len()))?;
        let mut words = self.details[from..].split([' ', ',']);
        let number: f64 = words.next()?.parse().ok()?;
        let unit = match words.next()? {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            _ => return None,
        };
        Some((number * unit).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_who_did_what_and_why() {
        let said = Said::read("acl: drop, reason 3 \"deny tcp 22\"").expect("a line");
        assert_eq!(
            (said.who, said.ends(), said.reason),
            ("acl", true, "3 \"deny tcp 22\"")
        );
        assert_eq!(Said::read("acl: drop, fault").expect("a line").reason, "fault");
        let said = Said::read("acl: drop, reason 19 \"rule_3\" \"deny tcp\", appended").expect("a line");
        assert_eq!(said.reason, "19 \"rule_3\" \"deny tcp\"");
        for reason in ["loss", "loss 10 %", "queue_full: limit 50 packets"] {
            let line = std::format!("link h1-r1 a>b: lost ({reason})");
            let said = Said::read(&line).expect("a line");
            assert_eq!(
                (said.who, said.fate, said.reason),
                ("link h1-r1 a>b", "lost", reason)
            );
        }
        let said = Said::read("link h1-r1 a>b: passed, waited 3.204 ms in a queue of 7").expect("a line");
        assert_eq!((said.ends(), said.waited_ns()), (false, Some(3_204_000)));
        assert_eq!(
            Said::read("switch s1: flooded to s1-port2 s1-port3").map(|said| said.ends()),
            Some(false)
        );
        assert_eq!(Said::read("nothing"), None);
    }
}
