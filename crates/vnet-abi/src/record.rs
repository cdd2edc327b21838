//! How a manifest describes the keys and values of a map: fields with names and types, packed and in order.
//!
//! `proto: u8, src: ip4, sport: be16` is a record of three fields and seven bytes. A field named `_` is padding. A record
//! of one field may leave its name out: `u64`.

use core::fmt;

/// The types a field may have, as an error message lists them.
pub const FIELD_TYPES: &str = "u8 u16 u32 u64 i8 i16 i32 i64 (little endian), be16 be32 be64 (network order), bool, mac, ip4, ip6, ip, \
     bytes[N], text[N]";

/// What the bytes of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// An unsigned little-endian integer of so many bytes.
    Unsigned(u32),
    /// A signed little-endian integer of so many bytes.
    Signed(u32),
    /// An unsigned integer of so many bytes in network order.
    BigEndian(u32),
    /// One byte, zero or not.
    Bool,
    /// A MAC address.
    Mac,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// 16 bytes: an IPv6 address, or an IPv4 address in its mapped form.
    Ip,
    /// Bytes as they are.
    Bytes(u32),
    /// UTF-8 up to the first NUL.
    Text(u32),
}

impl FieldType {
    /// Returns the type of a name, or `None` where there is none of it.
    #[must_use]
    pub fn parse(name: &str) -> Option<FieldType> {
        Some(match name {
            "u8" => FieldType::Unsigned(1),
            "u16" => FieldType::Unsigned(2),
            "u32" => FieldType::Unsigned(4),
            "u64" => FieldType::Unsigned(8),
            "i8" => FieldType::Signed(1),
            "i16" => FieldType::Signed(2),
            "i32" => FieldType::Signed(4),
            "i64" => FieldType::Signed(8),
            "be16" => FieldType::BigEndian(2),
            "be32" => FieldType::BigEndian(4),
            "be64" => FieldType::BigEndian(8),
            "bool" => FieldType::Bool,
            "mac" => FieldType::Mac,
            "ip4" => FieldType::Ip4,
            "ip6" => FieldType::Ip6,
            "ip" => FieldType::Ip,
            _ => {
                let (kind, len) = name.strip_suffix(']')?.split_once('[')?;
                let len = len.trim().parse().ok().filter(|len| (1..=0xffff).contains(len))?;
                match kind.trim_end() {
                    "bytes" => FieldType::Bytes(len),
                    "text" => FieldType::Text(len),
                    _ => return None,
                }
            }
        })
    }

    /// Returns how many bytes a field of the type takes.
    #[must_use]
    pub const fn size(self) -> u32 {
        match self {
            FieldType::Unsigned(size)
            | FieldType::Signed(size)
            | FieldType::BigEndian(size)
            | FieldType::Bytes(size)
            | FieldType::Text(size) => size,
            FieldType::Bool => 1,
            FieldType::Ip4 => 4,
            FieldType::Mac => 6,
            FieldType::Ip6 | FieldType::Ip => 16,
        }
    }
}

/// One field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Field<'a> {
    /// Its name; empty where a record of one field has none, `_` for padding.
    pub name: &'a str,
    /// What its bytes are.
    pub ty: FieldType,
    /// Where it begins, counted in bytes from the record's start.
    pub offset: u32,
}

/// What is wrong with the text of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordError<'a> {
    /// There is no field, or nothing between two commas.
    Empty,
    /// One of several fields has no name.
    NoName(&'a str),
    /// A name is no identifier: ASCII letters, digits and `_`, with a letter first.
    BadName(&'a str),
    /// Two fields have this name.
    Twice(&'a str),
    /// A field has a type that does not exist.
    UnknownType(&'a str, &'a str),
    /// All fields are padding.
    OnlyPadding,
}

impl fmt::Display for RecordError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::Empty => {
                f.write_str("a field is missing; fields are `name: type`, separated by commas")
            }
            RecordError::NoName(text) => write!(
                f,
                "{text:?} has no name; several fields are `name: type`, separated by commas"
            ),
            RecordError::BadName(name) => write!(
                f,
                "{name:?} is no field name; names are ASCII letters, digits and _, a letter first, or _ alone for padding"
            ),
            RecordError::Twice(name) => write!(f, "two fields are named {name:?}"),
            RecordError::UnknownType(name, ty) => {
                write!(
                    f,
                    "field {name:?} has the unknown type {ty:?}; types are {FIELD_TYPES}"
                )
            }
            RecordError::OnlyPadding => f.write_str("all fields are padding"),
        }
    }
}

impl core::error::Error for RecordError<'_> {}

/// The fields of a record, in order.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: Option<&'a str>,
    offset: u32,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let rest = self.rest?;
        let (text, after) = match rest.split_once(',') {
            Some((text, after)) => (text, Some(after)),
            None => (rest, None),
        };
        self.rest = after;
        let (name, ty) = split(text);
        let field = Field {
            name,
            ty: FieldType::parse(ty)?,
            offset: self.offset,
        };
        self.offset += field.ty.size();
        Some(field)
    }
}

/// Checks the text of a record and returns its fields.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn fields(text: &str) -> Result<Fields<'_>, RecordError<'_>> {
    let several = text.contains(',');
    let mut named = false;
    for (i, part) in text.split(',').enumerate() {
        let (name, ty) = split(part);
        if name.is_empty() && ty.is_empty() {
            return Err(RecordError::Empty);
        }
        if FieldType::parse(ty).is_none() {
            return Err(RecordError::UnknownType(name, ty));
        }
        if name.is_empty() && several {
            return Err(RecordError::NoName(part.trim()));
        }
        if !name.is_empty() && name != "_" && !is_name(name) || name.is_empty() && part.contains(':') {
            return Err(RecordError::BadName(name));
        }
        if name != "_" && text.split(',').take(i).any(|before| split(before).0 == name) {
            return Err(RecordError::Twice(name));
        }
        named |= name != "_";
    }
    if !named {
        return Err(RecordError::OnlyPadding);
    }
    Ok(Fields {
        rest: Some(text),
        offset: 0,
    })
}

/// Returns how many bytes a record has.
///
/// # Errors
///
/// As [`fields`].
pub fn size(text: &str) -> Result<u64, RecordError<'_>> {
    Ok(fields(text)?.map(|field| u64::from(field.ty.size())).sum())
}

/// Splits `name: type`; without a colon there is no name.
fn split(text: &str) -> (&str, &str) {
    match text.split_once(':') {
        Some((name, ty)) => (name.trim(), ty.trim()),
        None => ("", text.trim()),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_packed_and_in_order() {
        let mut found =
            fields("proto: u8, src:ip4 ,sport: be16, _: bytes[ 6 ], who: text[3]").expect("a right record");
        let expected = [
            ("proto", FieldType::Unsigned(1), 0),
            ("src", FieldType::Ip4, 1),
            ("sport", FieldType::BigEndian(2), 5),
            ("_", FieldType::Bytes(6), 7),
            ("who", FieldType::Text(3), 13),
        ];
        for (name, ty, offset) in expected {
            assert_eq!(found.next(), Some(Field { name, ty, offset }));
        }
        assert_eq!(found.next(), None);
        assert_eq!(size("a: ip, b: mac, c: bool, d: i64, e: ip6"), Ok(47));
        assert_eq!(size("u64"), Ok(8));
        assert_eq!(size("x: bytes[2], _: u8, _: u8"), Ok(4));
    }

    #[test]
    fn says_what_is_wrong_with_a_record() {
        for (text, expected) in [
            ("", RecordError::Empty),
            ("a: u8,", RecordError::Empty),
            ("a: u8, u16", RecordError::NoName("u16")),
            ("a: u9", RecordError::UnknownType("a", "u9")),
            ("a:", RecordError::UnknownType("a", "")),
            ("a: bytes[0]", RecordError::UnknownType("a", "bytes[0]")),
            ("a: bytes[65536]", RecordError::UnknownType("a", "bytes[65536]")),
            ("a: u8[3]", RecordError::UnknownType("a", "u8[3]")),
            ("a: be8", RecordError::UnknownType("a", "be8")),
            (": u8", RecordError::BadName("")),
            ("1a: u8", RecordError::BadName("1a")),
            ("_a: u8", RecordError::BadName("_a")),
            ("a b: u8", RecordError::BadName("a b")),
            ("a: u8, a: u16", RecordError::Twice("a")),
            ("_: u8", RecordError::OnlyPadding),
        ] {
            assert_eq!(fields(text).map(|_| ()), Err(expected), "{text:?}");
        }
    }
}
