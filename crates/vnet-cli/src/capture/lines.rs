//! A line for each packet, in tcpdump's manner, with what the engine says of it.

use std::io::Write;

use vnet::CaptureDirection;
use vnet::pcap::{Reader, Record};

use super::{Feed, Kind, Sink, damaged};
use crate::failure::Failure;

/// Lines for standard output.
#[derive(Default)]
pub(crate) struct Lines {
    feed: Feed,
    reader: Option<Reader<Feed>>,
    frame: Vec<u8>,
}

impl Sink for Lines {
    fn take(&mut self, _kind: Kind, block: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        self.feed.push(block);
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(Reader::open(self.feed.clone()).map_err(|error| damaged(&error))?),
        };
        while let Some(record) = reader.next(&mut self.frame).map_err(|error| damaged(&error))? {
            let (name, _) = reader.interface(record.interface);
            let line = line(&record, name, &self.frame).map_err(|error| damaged(&error))?;
            // A payload's words are shown, and must not move the cursor.
            let plain = line.chars().map(|c| if c.is_control() { '.' } else { c });
            let _ = writeln!(out, "{}", plain.collect::<String>());
        }
        Ok(())
    }
}

/// `12:34:56.123456 h1-eth0 Out IP 10.0.0.1 > 10.0.0.2: ... [acl: pass]`.
fn line(record: &Record, name: &str, frame: &[u8]) -> Result<String, vnet::pcap::CaptureError> {
    let direction = match record.direction {
        Some(CaptureDirection::Inbound) => "In ",
        Some(CaptureDirection::Outbound) => "Out",
        // It ended there.
        None => "End",
    };
    let mut line = format!(
        "{} {name} {direction} {}",
        time(record.ts_ns),
        vnet::summary(frame, record.linktype.layer()?)
    );
    if let Some(comment) = &record.comment {
        line.push_str(&format!(" [{}]", comment.replace('\n', "; ")));
    }
    Ok(line)
}

/// The time of day where this runs, to the microsecond.
fn time(ts_ns: u64) -> String {
    let seconds = i64::try_from(ts_ns / 1_000_000_000).unwrap_or(0);
    let day = (seconds + vnet::utc_offset(seconds)).rem_euclid(86_400);
    let (hours, minutes, seconds) = (day / 3600, day / 60 % 60, day % 60);
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}.{:06}",
        ts_ns % 1_000_000_000 / 1000
    )
}

#[cfg(test)]
mod tests {
    use vnet::pcap::{Crossing, Linktype, Writer};

    use super::*;

    #[test]
    fn a_packet_is_a_line_with_what_became_of_it() {
        let mut writer = Writer::pcapng(Vec::new(), Linktype::RAW, 0, "h1-eth0").expect("a header");
        let at = Crossing {
            direction: Some(CaptureDirection::Outbound),
            ..Crossing::default()
        };
        let mut frame = [0; 28];
        frame[..20].copy_from_slice(&[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame[20..26].copy_from_slice(&[0, 7, 0, 9, 0, 8]);
        writer
            .write_at(
                at,
                1_700_000_000_123_456_789,
                &frame,
                28,
                Some("acl: pass\nnat: \x1b[2J"),
            )
            .expect("a frame");
        let stream = writer.into_inner().expect("a stream");
        let (mut out, mut lines) = (Vec::new(), Lines::default());
        lines.take(Kind::Section, &stream, &mut out).expect("no damage");
        let text = String::from_utf8(out).expect("text");
        let (clock, rest) = text.split_once(' ').expect("a time");
        assert!(clock.ends_with(":20.123456"), "{clock}");
        assert_eq!(
            rest,
            "h1-eth0 Out IP 10.0.0.1.7 > 10.0.0.2.9: UDP, length 0 [acl: pass; nat: .[2J]\n"
        );
    }
}
