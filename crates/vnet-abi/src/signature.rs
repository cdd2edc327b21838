//! Types of the functions that host and guest call.

/// A WebAssembly value type that occurs in this ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// A 32-bit integer; addresses and lengths are unsigned ones.
    I32,
    /// A 64-bit integer.
    I64,
}

/// A function's name and type. The same name with another type is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// The name under which it is imported or exported.
    pub name: &'static str,
    /// Parameter types, in order.
    pub params: &'static [ValType],
    /// Result types: none or one.
    pub results: &'static [ValType],
}

impl Signature {
    pub(crate) const fn new(
        name: &'static str,
        params: &'static [ValType],
        results: &'static [ValType],
    ) -> Signature {
        Signature {
            name,
            params,
            results,
        }
    }
}
