//! DNS and mDNS.

use std::string::String;

use super::{Printed, Span, Stop, add};

const HEADER_LEN: usize = 12;
const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];
const ANSWERS: [&str; 16] = [
    "",
    " FormErr",
    " ServFail",
    " NXDomain",
    " NotImp",
    " Refused",
    " YXDomain",
    " YXRRSet",
    " NXRRSet",
    " NotAuth",
    " NotZone",
    " Resp11",
    " Resp12",
    " Resp13",
    " Resp14",
    " NoChange",
];
/// mDNS takes the highest bit of the class for itself.
const MDNS_BIT: u16 = 0x8000;
/// Names may point at each other, so that a short message makes a long line.
const LINE_MAX: usize = 4096;
const LABELS_MAX: usize = 128;
const CUT: Stop = Stop::Cut("domain");

mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const DNAME: u16 = 39;
    pub const OPT: u16 = 41;
}

/// Prints a message behind its two bytes of length.
pub(super) fn print_tcp(out: &mut String, payload: Span<'_>) -> Printed {
    payload.need(2, "domain")?;
    let message = payload.skip(2);
    let prefix = usize::from(payload.u16(0));
    if prefix != message.len {
        add!(out, " [prefix length({prefix}) != length({})]", message.len);
        return Err(Stop::Invalid);
    }
    out.push(' ');
    print(out, message, false)
}

pub(super) fn print(out: &mut String, message: Span<'_>, mdns: bool) -> Printed {
    if message.len < HEADER_LEN {
        add!(out, "domain [length {} < {HEADER_LEN}]", message.len);
        return Err(Stop::Invalid);
    }
    message.need(HEADER_LEN, "domain")?;
    let flags = message.u16(2);
    let bit = |mask: u16, text| if flags & mask != 0 { text } else { "" };
    let operation = OPERATIONS[usize::from(flags >> 11 & 15)];
    let [questions, answers, authorities, extras] = [4, 6, 8, 10].map(|at| message.u16(at));
    add!(out, "{}{operation}", message.u16(0));
    let mut cursor = Cursor {
        message: message.bytes,
        at: HEADER_LEN,
    };
    if flags & 0x8000 != 0 {
        out.push_str(ANSWERS[usize::from(flags & 15)]);
        let no_recursion = if flags & 0x0080 == 0 { "-" } else { "" };
        add!(
            out,
            "{}{no_recursion}{}{}",
            bit(0x0400, "*"),
            bit(0x0200, "|"),
            bit(0x0020, "$")
        );
        if questions != 1 {
            add!(out, " [{questions}q]");
        }
        for _ in 0..questions {
            cursor.skip_name()?;
            cursor.take(4)?;
        }
        add!(out, " {answers}/{authorities}/{extras}");
        for i in 0..answers {
            let ended = cursor.at >= message.bytes.len();
            if (ended && i == 0) || out.len() > LINE_MAX {
                break;
            }
            if ended {
                return Err(CUT);
            }
            out.push_str(if i == 0 { "" } else { "," });
            cursor.record(out, mdns)?;
        }
    } else {
        add!(out, "{}{}", bit(0x0100, "+"), bit(0x0010, "%"));
        for (count, letters) in [(answers, "a"), (authorities, "n"), (extras, "au")] {
            if letters == "n" && questions != 1 {
                add!(out, " [{questions}q]");
            }
            if count != 0 {
                add!(out, " [{count}{letters}]");
            }
        }
        for _ in 0..questions {
            if out.len() > LINE_MAX {
                break;
            }
            cursor.question(out, mdns)?;
        }
    }
    add!(out, " ({})", message.len);
    Ok(())
}

struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, n: usize) -> Result<Span<'_>, Stop> {
        let bytes = self.message.get(self.at..self.at + n).ok_or(CUT)?;
        self.at += n;
        Ok(Span::whole(bytes))
    }

    fn skip_name(&mut self) -> Result<(), Stop> {
        loop {
            match self.take(1)?.u8(0) {
                0 => return Ok(()),
                len @ 1..=0x3f => self.take(usize::from(len)).map(|_| ())?,
                0xc0.. => return self.take(1).map(|_| ()),
                _ => return Err(CUT),
            }
        }
    }

    fn question(&mut self, out: &mut String, mdns: bool) -> Printed {
        let start = self.at;
        self.skip_name()?;
        let fields = self.take(4)?;
        let (kind, class) = (fields.u16(0), fields.u16(2));
        out.push(' ');
        put_kind(out, kind);
        put_class(out, if mdns { class & !MDNS_BIT } else { class });
        if mdns {
            out.push_str(if class & MDNS_BIT != 0 { " (QU)" } else { " (QM)" });
        }
        out.push_str("? ");
        put_name(out, self.message, start)
    }

    fn record(&mut self, out: &mut String, mdns: bool) -> Printed {
        self.skip_name()?;
        let fields = self.take(10)?;
        let (kind, class, len) = (fields.u16(0), fields.u16(2), usize::from(fields.u16(8)));
        if kind != kind::OPT {
            put_class(out, if mdns { class & !MDNS_BIT } else { class });
            if mdns && class & MDNS_BIT != 0 {
                out.push_str(" (Cache flush)");
            }
        }
        out.push(' ');
        put_kind(out, kind);
        let start = self.at;
        let data = self.take(len)?;
        match kind {
            kind::A if len == 4 => add!(out, " {}", data.v4(0)),
            kind::AAAA if len == 16 => add!(out, " {}", data.v6(0)),
            kind::A | kind::AAAA => return Err(CUT),
            kind::NS | kind::CNAME | kind::PTR | kind::DNAME => {
                out.push(' ');
                put_name(out, self.message, start)?;
            }
            kind::MX => {
                let preference = data.u16(0);
                out.push(' ');
                put_name(out, self.message, start + 2)?;
                add!(out, " {preference}");
            }
            kind::SRV => {
                let [priority, weight, port] = [0, 2, 4].map(|at| data.u16(at));
                out.push(' ');
                put_name(out, self.message, start + 6)?;
                add!(out, ":{port} {priority} {weight}");
            }
            kind::TXT => put_strings(out, data.bytes),
            kind::OPT => {
                add!(out, " UDPsize={class}");
            }
            _ => {}
        }
        Ok(())
    }
}

fn put_kind(out: &mut String, kind: u16) {
    out.push_str(match kind {
        kind::A => "A",
        kind::NS => "NS",
        kind::CNAME => "CNAME",
        6 => "SOA",
        kind::PTR => "PTR",
        13 => "HINFO",
        kind::MX => "MX",
        kind::TXT => "TXT",
        17 => "RP",
        kind::AAAA => "AAAA",
        29 => "LOC",
        kind::SRV => "SRV",
        35 => "NAPTR",
        kind::DNAME => "DNAME",
        kind::OPT => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        other => return add!(out, "Type{other}"),
    });
}

fn put_class(out: &mut String, class: u16) {
    match class {
        1 => {}
        3 => out.push_str(" CHAOS"),
        4 => out.push_str(" HS"),
        255 => out.push_str(" ANY"),
        other => add!(out, " (Class {other})"),
    }
}

/// Prints a name that may continue elsewhere in the message.
fn put_name(out: &mut String, message: &[u8], mut at: usize) -> Printed {
    let mut limit = at;
    let mut labels = 0;
    loop {
        match *message.get(at).ok_or(CUT)? {
            0 => {
                if labels == 0 {
                    out.push('.');
                }
                return Ok(());
            }
            len @ 1..=0x3f => {
                let end = at + 1 + usize::from(len);
                for &byte in message.get(at + 1..end).ok_or(CUT)? {
                    put_byte(out, byte);
                }
                out.push('.');
                at = end;
                labels += 1;
                if labels > LABELS_MAX {
                    return Err(CUT);
                }
            }
            high @ 0xc0.. => {
                let low = *message.get(at + 1).ok_or(CUT)?;
                let target = usize::from(high & 0x3f) << 8 | usize::from(low);
                // Each jump must go further back, so that no name has an end without one.
                if target >= limit {
                    out.push_str("<BAD PTR>");
                    return Err(CUT);
                }
                limit = target;
                at = target;
            }
            _ => return Err(CUT),
        }
    }
}

fn put_strings(out: &mut String, mut data: &[u8]) {
    while let [len, rest @ ..] = data {
        let (text, more) = rest.split_at(usize::from(*len).min(rest.len()));
        out.push_str(" \"");
        for &byte in text {
            put_byte(out, byte);
        }
        out.push('"');
        data = more;
    }
}

/// Prints a byte as `cat -v` does.
fn put_byte(out: &mut String, byte: u8) {
    if byte & 0x80 != 0 {
        out.push_str("M-");
    }
    match byte & 0x7f {
        low @ 0x20..=0x7e => out.push(char::from(low)),
        low => {
            out.push('^');
            out.push(char::from(low ^ 0x40));
        }
    }
}
