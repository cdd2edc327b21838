//! Custom sections of a module: the one that holds a plugin's manifest is read and added here.

/// Name of the custom section that holds a plugin's manifest.
pub const MANIFEST_SECTION: &str = "vnet.manifest";

const HEADER: usize = 8;
const CUSTOM: u8 = 0;

/// Returns the bytes of a module's custom section; `None` where it has none of that name, or is cut short.
pub(crate) fn find<'a>(wasm: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = wasm.get(HEADER..)?;
    while let Some((&id, after)) = rest.split_first() {
        let (len, after) = number(after)?;
        let (body, after) = after.split_at_checked(len)?;
        rest = after;
        if id == CUSTOM
            && let Some((len, text)) = number(body)
            && let Some((found, content)) = text.split_at_checked(len)
            && found == name.as_bytes()
        {
            return Some(content);
        }
    }
    None
}

/// Adds a custom section at the end of a module.
pub(crate) fn append(wasm: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut body = Vec::new();
    push_number(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(content);
    wasm.push(CUSTOM);
    push_number(wasm, body.len());
    wasm.extend_from_slice(&body);
}

/// Reads an unsigned LEB128 number of at most 32 bits.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[i + 1..]));
        }
    }
    None
}

fn push_number(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_what_was_added_and_only_that() {
        let mut wasm = wat::parse_str("(module (memory 1) (@custom \"other\" \"x\"))").unwrap();
        assert_eq!(find(&wasm, MANIFEST_SECTION), None);
        let content = vec![b'{'; 300];
        append(&mut wasm, MANIFEST_SECTION, &content);
        assert_eq!(find(&wasm, MANIFEST_SECTION), Some(&content[..]));
        assert_eq!(find(&wasm, "other"), Some(&b"x"[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = find(&bytes, "x");
        }
    }
}
