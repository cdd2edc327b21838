//! Why a frame was dropped, in the words in which it was asked for.

use super::Impairment;
use crate::line::{Dropped, MOST_BYTES};
use crate::units::write_size;

impl Impairment {
    /// Says why a frame was dropped, with what is set: `loss 10 %`, `queue_full: limit 50 packets`.
    ///
    /// It holds no comma, so that it can stand in a list.
    #[must_use]
    pub fn said(&self, why: Dropped) -> String {
        let name = why.name();
        match why {
            Dropped::Loss => match self.loss.write() {
                Some(set) => format!("{name} {}", set.replace('%', " %")),
                None => name.to_owned(),
            },
            Dropped::QueueFull => format!("{name}: limit {}", self.queue.unwrap_or_default().said()),
            Dropped::CoDel => self.discipline.write().unwrap_or_else(|| name.to_owned()),
            Dropped::FlightFull => format!("{name}: limit {}", write_size(MOST_BYTES)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Given;

    #[test]
    fn what_was_dropped_is_told_with_what_was_set() {
        let mut set = Impairment::default();
        assert_eq!(set.said(Dropped::Loss), "loss");
        assert_eq!(set.said(Dropped::QueueFull), "queue_full: limit 1000 packets");
        for (key, value) in [
            ("loss", "12.5%"),
            ("rate", "1mbit"),
            ("queue", "50p"),
            ("discipline", "codel 5ms 100ms"),
        ] {
            set.set(key, Some(Given::Text(value)))
                .expect("it is an impairment");
        }
        assert_eq!(set.said(Dropped::Loss), "loss 12.5 %");
        assert_eq!(set.said(Dropped::QueueFull), "queue_full: limit 50 packets");
        assert!(set.said(Dropped::CoDel).starts_with("codel 5ms 100ms"));
        set.set("loss", Some(Given::Text("gemodel 1% 10%")))
            .expect("it is an impairment");
        set.set("queue", Some(Given::Text("30kb")))
            .expect("it is an impairment");
        assert_eq!(set.said(Dropped::Loss), "loss gemodel 1 % 10 % 100 % 0 %");
        assert_eq!(set.said(Dropped::QueueFull), "queue_full: limit 30kib");
        assert!(Dropped::ALL.iter().all(|why| !set.said(*why).contains(',')));
    }
}
