//! The length of a limit's window: a word of the language, or a number with a unit.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest window: 31 days.
pub const WINDOW_MAX: Duration = Duration::from_hours(31 * 24);
/// The shortest window: one second.
pub const WINDOW_MIN: Duration = Duration::from_secs(1);

/// A window as it was written (`minute`, `90s`) and its length.
///
/// Two spellings of one length are equal: `minute` and `60s` name the same window.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    text: String,
    length: Duration,
}

/// Why a text is not a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDuration {
    text: String,
    reason: &'static str,
}

impl Window {
    /// Reads `second`, `minute`, `hour`, `day` or an integer with one of the units `s`, `m`, `h`, `d`.
    ///
    /// # Errors
    /// When the text is none of these, or the length is outside one second to 31 days.
    pub fn parse(text: &str) -> Result<Self, InvalidDuration> {
        let fail = |reason| InvalidDuration { text: text.to_owned(), reason };
        let length = match text {
            "second" => Duration::from_secs(1),
            "minute" => Duration::from_mins(1),
            "hour" => Duration::from_hours(1),
            "day" => Duration::from_hours(24),
            _ => counted(text).ok_or_else(|| {
                fail("expected second, minute, hour, day, or a number with a unit such as 90s")
            })?,
        };
        if length < WINDOW_MIN || length > WINDOW_MAX {
            return Err(fail("must be between 1s and 31d"));
        }
        Ok(Self { text: text.to_owned(), length })
    }

    /// The window's length.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The window as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn counted(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

// === impl Window ===

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.length == other.length
    }
}

impl Eq for Window {}

impl TryFrom<String> for Window {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.text
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl JsonSchema for Window {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(second|minute|hour|day|[1-9][0-9]{0,8}[smhd])$",
            "maxLength": 16,
        })
    }
}

// === impl InvalidDuration ===

impl fmt::Display for InvalidDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.text, self.reason)
    }
}

impl std::error::Error for InvalidDuration {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_counts_have_their_length() {
        for (text, seconds) in [
            ("second", 1),
            ("minute", 60),
            ("hour", 3600),
            ("day", 86_400),
            ("90s", 90),
            ("5m", 300),
            ("31d", 2_678_400),
        ] {
            assert_eq!(Window::parse(text).unwrap().length(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "s",
            "0s",
            "01s",
            "-1s",
            "1.5s",
            "90",
            "minutes",
            "1w",
            "1 s",
            "32d",
            "2678401s",
            "99999999999999999999s",
        ] {
            assert!(Window::parse(text).is_err(), "{text:?} was read as a window");
        }
    }

    #[test]
    fn two_spellings_of_one_length_are_the_same_window() {
        assert_eq!(Window::parse("minute").unwrap(), Window::parse("60s").unwrap());
    }
}
