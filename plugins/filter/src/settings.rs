//! The configuration, and what is said of an expression that is no filter.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;

use vnet_packet::filter::{Filter, FilterError, NoNames};
use vnet_plugin::{Config, State, config_str};

pub static SETTINGS: State<Settings> = State::new(Settings {
    filter: None,
    action: Action::Pass,
});

/// Most bytes of an expression: the characters that the schema allows, each of four bytes.
const EXPRESSION_MAX: usize = 4 * 16_384;

/// What becomes of a packet that matches.
#[derive(Clone, Copy)]
pub enum Action {
    Pass,
    Drop,
}

/// The configuration.
#[derive(Clone)]
pub struct Settings {
    /// `None` before it is configured.
    pub filter: Option<Filter>,
    pub action: Action,
}

/// Takes the configuration.
pub fn configure(config: &Config<'_>) -> Result<(), &'static str> {
    let action = match config.str("action") {
        None | Some("pass") => Action::Pass,
        Some("drop") => Action::Drop,
        Some(_) => return Err("action must be pass or drop"),
    };
    let mut bytes = vec![0; EXPRESSION_MAX];
    let text = config_str("expression", &mut bytes)
        .ok_or("expression must be a filter of at most 16,384 characters: tcp port 80 or arp")?;
    let filter = Filter::parse(text, &NoNames).map_err(refusal)?;
    if filter.is_everything() {
        return Err("expression is empty: write a filter such as tcp port 80 or arp");
    }
    SETTINGS.set(Settings {
        filter: Some(filter),
        action,
    });
    Ok(())
}

/// Says what is wrong with an expression, and where. It is never freed: an instance that refuses its configuration is gone.
fn refusal(error: FilterError) -> &'static str {
    let mut text = format!("expression: {error}");
    if let Some(hint) = error.hint() {
        // Below the mark where the place is shown.
        text.push_str(if text.contains('\n') { "\n" } else { "; " });
        text.push_str(hint);
    }
    Box::leak(text.into_boxed_str())
}
