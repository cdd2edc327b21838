use crate::SysError;

/// The most bytes an interface name has (`IFNAMSIZ - 1`, `linux/if.h`).
pub const NAME_MAX: usize = 15;

/// Refuses what the kernel's `dev_valid_name` (net/core/dev.c) refuses, each with
/// its own reason, and `%`, which the kernel takes for a template.
///
/// # Errors
/// [`SysError::BadName`].
pub fn check_name(name: &str) -> Result<(), SysError> {
    let bad = |reason: String| {
        Err(SysError::BadName {
            name: name.to_owned(),
            reason,
        })
    };
    if name.is_empty() {
        return bad("it is empty".to_owned());
    }
    if name.len() > NAME_MAX {
        return bad(format!(
            "it has {} bytes and the kernel takes at most {NAME_MAX}",
            name.len()
        ));
    }
    if name == "." || name == ".." {
        return bad("it names a directory in /sys/class/net".to_owned());
    }
    if let Some(c) = name
        .chars()
        .find(|c| matches!(c, '/' | ':' | '%' | '\0') || c.is_whitespace())
    {
        return bad(format!("it contains {c:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_fifteen_bytes_and_refuses_sixteen() {
        assert!(check_name("abcdefghijklmno").is_ok());
        let error = check_name("abcdefghijklmnop").unwrap_err().to_string();
        assert!(
            error.contains("16 bytes") && error.contains("at most 15"),
            "{error}"
        );
    }

    #[test]
    fn refuses_each_bad_character_by_name() {
        for (name, word) in [
            ("", "empty"),
            (".", "directory"),
            ("..", "directory"),
            ("a/b", "'/'"),
            ("a b", "' '"),
            ("a:b", "':'"),
            ("tap%d", "'%'"),
            ("a\tb", "\\t"),
        ] {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
