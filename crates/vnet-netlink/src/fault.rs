//! How the errors of the system cross a socket: with their kind, errno and words.

/// An `io::Error` as its errno, or as its words where it has none.
pub(crate) mod io_error {
    use std::io;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) enum Wire {
        Errno(i32),
        Words(String),
    }

    pub(super) fn to_wire(error: &io::Error) -> Wire {
        error
            .raw_os_error()
            .map_or_else(|| Wire::Words(error.to_string()), Wire::Errno)
    }

    pub(super) fn from_wire(wire: Wire) -> io::Error {
        match wire {
            Wire::Errno(errno) => io::Error::from_raw_os_error(errno),
            Wire::Words(words) => io::Error::other(words),
        }
    }

    pub(crate) fn serialize<S: Serializer>(error: &io::Error, serializer: S) -> Result<S::Ok, S::Error> {
        to_wire(error).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<io::Error, D::Error> {
        Wire::deserialize(deserializer).map(from_wire)
    }
}

/// A [`SysError`](vnet_sys::SysError) of the kinds that configuring a network meets;
/// any other crosses as its words and errno.
pub(crate) mod sys_error {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use vnet_sys::SysError;

    use super::io_error;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    enum Wire {
        BadName {
            name: String,
            reason: String,
        },
        Privilege {
            what: String,
            needs: String,
            fix: String,
            errno: i32,
        },
        NotANamespace {
            what: String,
            fix: String,
        },
        Os {
            what: String,
            source: io_error::Wire,
        },
    }

    pub(crate) fn serialize<S: Serializer>(error: &SysError, serializer: S) -> Result<S::Ok, S::Error> {
        let wire = match error {
            SysError::BadName { name, reason } => Wire::BadName {
                name: name.clone(),
                reason: reason.clone(),
            },
            SysError::Privilege {
                what,
                needs,
                fix,
                errno,
            } => Wire::Privilege {
                what: what.clone(),
                needs: needs.clone(),
                fix: fix.clone(),
                errno: *errno,
            },
            SysError::NotANamespace { what, fix } => Wire::NotANamespace {
                what: what.clone(),
                fix: fix.clone(),
            },
            SysError::Os { what, source } => Wire::Os {
                what: what.clone(),
                source: io_error::to_wire(source),
            },
            other => Wire::Os {
                what: other.to_string(),
                source: io_error::Wire::Errno(other.errno()),
            },
        };
        wire.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SysError, D::Error> {
        Ok(match Wire::deserialize(deserializer)? {
            Wire::BadName { name, reason } => SysError::BadName { name, reason },
            Wire::Privilege {
                what,
                needs,
                fix,
                errno,
            } => SysError::Privilege {
                what,
                needs,
                fix,
                errno,
            },
            Wire::NotANamespace { what, fix } => SysError::NotANamespace { what, fix },
            Wire::Os { what, source } => SysError::Os {
                what,
                source: io_error::from_wire(source),
            },
        })
    }
}
