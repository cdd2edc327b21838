//! What a port is, and which VLANs pass it.

use vnet_plugin::wire::ether_type;
use vnet_plugin::{Config, State, Value};

pub static SETTINGS: State<Settings> = State::new(Settings {
    mode: Mode::Trunk { native: 0 },
    tpid: ether_type::VLAN,
    priority: 0,
    port: 0,
    allowed: [0; 64],
});

/// Highest VLAN identifier; 0 is no VLAN and 4,095 is reserved (IEEE 802.1Q).
const MAX: u16 = 4094;

/// What happens to tags at the port.
#[derive(Clone, Copy)]
pub enum Mode {
    /// Stations without tags, all in one VLAN.
    Access(u16),
    /// Tagged frames of the allowed VLANs; those without a tag belong to the native one, 0 for none.
    Trunk { native: u16 },
    /// One more tag for every frame, whatever it carries.
    Push(u16),
    /// The outermost tag belongs to the outside alone.
    Pop(u16),
}

/// The configuration.
#[derive(Clone, Copy)]
pub struct Settings {
    pub mode: Mode,
    /// Type of the tags put on.
    pub tpid: u16,
    /// Their priority.
    pub priority: u16,
    /// Number of the port on a link that the settings are about.
    pub port: u16,
    allowed: [u64; 64],
}

impl Settings {
    pub fn allows(&self, vid: u16) -> bool {
        let word = self.allowed.get(usize::from(vid >> 6)).copied().unwrap_or(0);
        word & 1 << (vid & 63) != 0
    }

    /// Returns the control field of a tag put on.
    pub fn tci(&self, vid: u16) -> u16 {
        self.priority << 13 | vid
    }

    fn allow(&mut self, from: u16, to: u16) {
        for vid in from..=to {
            if let Some(word) = self.allowed.get_mut(usize::from(vid >> 6)) {
                *word |= 1 << (vid & 63);
            }
        }
    }

    /// Allows what a number, a list or a text such as `10,20-29` names.
    fn allow_all(&mut self, value: Value<'_>) -> Result<(), &'static str> {
        const WRONG: &str =
            "trunk takes VLANs 1 to 4094: a number, a list of numbers, a text such as \"10,20-29\", or \"all\"";
        if let Some(vid) = value.as_int() {
            let vid = vid_of(vid).ok_or(WRONG)?;
            self.allow(vid, vid);
            return Ok(());
        }
        let Some(text) = value.as_str() else {
            let mut given = false;
            for item in value.items() {
                let vid = item.as_int().and_then(vid_of).ok_or(WRONG)?;
                self.allow(vid, vid);
                given = true;
            }
            return if given { Ok(()) } else { Err(WRONG) };
        };
        if text == "all" {
            self.allow(1, MAX);
            return Ok(());
        }
        let number = |text: &str| text.trim_ascii().parse().ok().and_then(vid_of).ok_or(WRONG);
        for piece in text.split(',') {
            let (from, to) = piece.split_once('-').unwrap_or((piece, piece));
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(WRONG);
            }
            self.allow(from, to);
        }
        Ok(())
    }
}

fn vid_of(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|vid| (1..=MAX).contains(vid))
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let mut settings = Settings {
        mode: Mode::Trunk { native: 0 },
        tpid: match config.str("tpid") {
            None | Some("802.1q") => ether_type::VLAN,
            Some("802.1ad") => ether_type::QINQ,
            Some(_) => return Err("tpid is \"802.1q\" or \"802.1ad\""),
        },
        priority: match config.int("priority").unwrap_or(0) {
            priority @ 0..=7 => priority as u16,
            _ => return Err("priority is 0 to 7"),
        },
        port: match config.str("end") {
            None | Some("a") => 0,
            Some("b") => 1,
            Some(_) => return Err("end is \"a\" or \"b\""),
        },
        allowed: [0; 64],
    };
    let vid = |key| match config.get(key) {
        None => Ok(None),
        Some(value) => match value.as_int().and_then(vid_of) {
            Some(vid) => Ok(Some(vid)),
            None => Err("access, push, pop and native each take one VLAN, 1 to 4094"),
        },
    };
    let native = vid("native")?;
    settings.mode = match (vid("access")?, config.get("trunk"), vid("push")?, vid("pop")?) {
        (Some(vid), None, None, None) => Mode::Access(vid),
        (None, None, Some(vid), None) => Mode::Push(vid),
        (None, None, None, Some(vid)) => Mode::Pop(vid),
        (None, Some(vlans), None, None) => {
            settings.allow_all(vlans)?;
            if let Some(vid) = native {
                settings.allow(vid, vid);
            }
            let native = native.unwrap_or(0);
            Mode::Trunk { native }
        }
        _ => return Err("give one of access=10, trunk=10,20, push=10 and pop=10"),
    };
    if native.is_some() && !matches!(settings.mode, Mode::Trunk { .. }) {
        return Err("native belongs to trunk: it is the VLAN of frames without a tag there");
    }
    SETTINGS.set(settings);
    Ok(())
}
