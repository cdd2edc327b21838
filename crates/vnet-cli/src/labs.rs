//! Which running lab is meant.

use std::env;

use vnet::{LabDescription, LabEntry};

use crate::failure::Failure;

/// Says to the commands of a lab which one they belong to.
pub(crate) const VARIABLE: &str = "VNET_LAB";

/// Names a lab among others of the same name.
pub(crate) fn full_name(entry: &LabEntry) -> String {
    format!("{}@{}", entry.name, entry.pid)
}

/// Finds a running lab by its name, its process id, or both as `name@pid`; without either it is that of `VNET_LAB`, else
/// the only one there is.
pub(crate) fn find(wanted: Option<&str>) -> Result<LabEntry, Failure> {
    let variable = env::var(VARIABLE).ok().filter(|name| !name.is_empty());
    let wanted = wanted.map(str::to_owned).or(variable);
    choose(vnet::labs(), wanted.as_deref())
}

fn choose(labs: Vec<LabEntry>, wanted: Option<&str>) -> Result<LabEntry, Failure> {
    let names = names(&labs);
    if labs.is_empty() {
        let what = match wanted {
            Some(wanted) => format!("there is no lab {wanted:?}: none of yours is running here"),
            None => "no lab of yours is running here".into(),
        };
        return Err(Failure::not_found(what, "start one: vnet run lab.toml"));
    }
    let mut found = labs.into_iter().filter(|entry| {
        wanted.is_none_or(|wanted| {
            [&entry.name, &full_name(entry), &entry.pid.to_string()]
                .into_iter()
                .any(|name| name == wanted)
        })
    });
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => Err(Failure::not_found(
            format!("there is no lab {:?}", wanted.unwrap_or_default()),
            format!("these run: {names}"),
        )),
        (Some(_), Some(_)) => Err(Failure::not_found(
            "several labs are running, and which one is meant is not said",
            format!("name one with --lab: {names}"),
        )),
    }
}

fn names(labs: &[LabEntry]) -> String {
    labs.iter().map(full_name).collect::<Vec<_>>().join(", ")
}

/// Makes sure that a lab has the node, for a message that names those it has.
pub(crate) fn check_node(lab: &LabDescription, node: &str) -> Result<(), Failure> {
    if lab.nodes.iter().any(|known| known.name == node) {
        return Ok(());
    }
    let names: Vec<&str> = lab.nodes.iter().map(|known| known.name.as_str()).collect();
    let hint = if names.is_empty() {
        "it has no host and no router".to_owned()
    } else {
        format!("it has: {}", names.join(", "))
    };
    Err(Failure::not_found(
        format!("lab {} has no host or router {node:?}", lab.name),
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labs() -> Vec<LabEntry> {
        [("a", 1), ("b", 2), ("b", 3)]
            .map(|(name, pid)| LabEntry {
                name: name.into(),
                pid,
                socket: format!("vnet/0/{pid}/{name}"),
            })
            .into()
    }

    fn pid(wanted: Option<&str>) -> Result<u32, String> {
        choose(labs(), wanted)
            .map(|entry| entry.pid)
            .map_err(|failure| format!("{failure}; {}", failure.hint().unwrap_or_default()))
    }

    #[test]
    fn a_lab_has_a_name_a_number_and_both() {
        assert_eq!(pid(Some("a")), Ok(1));
        assert_eq!(pid(Some("3")), Ok(3));
        assert_eq!(pid(Some("b@2")), Ok(2));
    }

    #[test]
    fn what_is_not_clear_is_asked_back_with_the_names() {
        for wanted in [None, Some("b")] {
            let said = pid(wanted).expect_err("ambiguous");
            assert!(said.contains("a@1, b@2, b@3"), "{said}");
        }
        let said = pid(Some("c")).expect_err("unknown");
        assert!(
            said.contains("no lab \"c\"") && said.contains("a@1, b@2, b@3"),
            "{said}"
        );
        let none = choose(Vec::new(), None).expect_err("none");
        assert_eq!(none.exit_code(), 2);
    }
}
