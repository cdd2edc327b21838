//! First lines of the protocols that speak in lines: HTTP, SSH, FTP, SMTP.

use std::string::String;

use super::{Printed, Span, Stop};

const METHODS: [&[u8]; 20] = [
    b"GET",
    b"PUT",
    b"COPY",
    b"HEAD",
    b"LOCK",
    b"MOVE",
    b"POLL",
    b"POST",
    b"MKCOL",
    b"TRACE",
    b"LABEL",
    b"MERGE",
    b"DELETE",
    b"SEARCH",
    b"UNLOCK",
    b"REPORT",
    b"NOTIFY",
    b"CONNECT",
    b"OPTIONS",
    b"PROPFIND",
];

/// Prints the payload's first line where a port says that it has one.
pub(super) fn print(out: &mut String, payload: Span<'_>, src: u16, dst: u16) -> Printed {
    let either = |port| src == port || dst == port;
    if either(80) || either(8080) {
        out.push_str(": HTTP");
        if is_http(payload.bytes) {
            line(out, payload, "http")
        } else {
            Ok(())
        }
    } else if either(22) && payload.bytes.starts_with(b"SSH-") {
        out.push_str(": SSH");
        line(out, payload, "ssh")
    } else if either(21) {
        out.push_str(": FTP");
        line(out, payload, "ftp")
    } else if either(25) {
        out.push_str(": SMTP");
        line(out, payload, "smtp")
    } else {
        Ok(())
    }
}

fn is_http(bytes: &[u8]) -> bool {
    let mut words = bytes.split(|b| b.is_ascii_whitespace());
    let Some(first) = words.next() else { return false };
    if first.is_empty() || !first.iter().all(u8::is_ascii_graphic) {
        return false;
    }
    let code = words.next().unwrap_or_default();
    METHODS.iter().any(|m| m.eq_ignore_ascii_case(first))
        || (code.len() == 3 && code.iter().all(u8::is_ascii_digit))
}

fn line(out: &mut String, payload: Span<'_>, protocol: &'static str) -> Printed {
    let end = payload.bytes.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let text = &payload.bytes[..end.unwrap_or(payload.bytes.len())];
    if !text
        .iter()
        .all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\t'))
    {
        return Ok(());
    }
    out.push_str(": ");
    out.extend(text.iter().map(|&b| char::from(b)));
    if end.is_none() {
        Err(Stop::Cut(protocol))
    } else {
        Ok(())
    }
}
