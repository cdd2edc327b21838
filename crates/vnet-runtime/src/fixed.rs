//! Memories of fixed size.
//!
//! The compiler checks an access against a constant where a memory cannot grow, else against a number it must load
//! each time. Compilers of guests declare memories without a maximum, though few guests grow theirs.

use std::ops::Range;

/// Where a module declares its one memory, and whether it can grow.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// The whole section, with its header.
    pub(crate) section: Range<usize>,
    /// Pages at the start.
    pub(crate) initial: u64,
    /// An instruction grows it.
    pub(crate) grows: bool,
}

/// Returns the module with a memory of fixed size; `None` where it has no memory, or grows it.
pub(crate) fn fixed(wasm: &[u8], memory: &Declared) -> Option<Vec<u8>> {
    if memory.grows || memory.section.is_empty() {
        return None;
    }
    let mut size = Vec::new();
    leb128(&mut size, memory.initial);
    // One memory, which has a maximum: that many pages to that many.
    let content = [&[1, 1], &*size, &*size].concat();
    let mut section = vec![MEMORY_SECTION];
    leb128(&mut section, content.len() as u64);
    section.extend(content);
    Some(
        [
            wasm.get(..memory.section.start)?,
            &section,
            wasm.get(memory.section.end..)?,
        ]
        .concat(),
    )
}

const MEMORY_SECTION: u8 = 5;

fn leb128(to: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::LoadOptions;
    use crate::screen::screen;

    fn fix(text: &str) -> Option<Vec<u8>> {
        let wasm = wat::parse_str(text).expect("text");
        let screened = screen(&wasm, &LoadOptions::default()).expect("accepted");
        fixed(&wasm, &screened.memory)
    }

    #[test]
    fn a_memory_that_nothing_grows_gets_its_size_as_maximum() {
        for limits in ["0", "1", "3 9", "200", "256 256"] {
            let around = |limits: &str| {
                format!(
                    r#"(module (type (func)) (table 1 funcref) (memory (export "memory") {limits})
                         (global i32 (i32.const 7)) (func $f (drop (memory.size))) (@custom "last" "words")
                         (elem (i32.const 0) $f) (data (i32.const 0) ""))"#
                )
            };
            let initial = limits.split(' ').next().expect("a number");
            assert_eq!(
                fix(&around(limits)),
                wat::parse_str(around(&format!("{initial} {initial}"))).ok(),
                "{limits}"
            );
        }
    }

    #[test]
    fn a_memory_that_may_grow_and_a_module_without_one_stay_as_they_are() {
        assert_eq!(
            fix("(module (memory 1) (func) (func (drop (memory.grow (i32.const 0)))))"),
            None
        );
        assert_eq!(fix("(module (func))"), None);
    }
}
