//! One counter for each rule: the host knows counters by name, and a name is fixed when the plugin is built.

use vnet_plugin::Counter;

/// Most rules; the host keeps 256 counters, and two are the default's and the others'.
pub const RULES_MAX: usize = 240;

macro_rules! tens {
    ($($ten:literal)*) => {
        [$(
            Counter::new(concat!("rule_", $ten, "0")), Counter::new(concat!("rule_", $ten, "1")),
            Counter::new(concat!("rule_", $ten, "2")), Counter::new(concat!("rule_", $ten, "3")),
            Counter::new(concat!("rule_", $ten, "4")), Counter::new(concat!("rule_", $ten, "5")),
            Counter::new(concat!("rule_", $ten, "6")), Counter::new(concat!("rule_", $ten, "7")),
            Counter::new(concat!("rule_", $ten, "8")), Counter::new(concat!("rule_", $ten, "9")),
        )*]
    };
}

/// By the rule's place in the configuration, from 0.
pub static RULES: [Counter; RULES_MAX] = tens!("" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
