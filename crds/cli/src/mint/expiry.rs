//! When a grant ends, as the command line says it: an instant, or a length of time from now.

use jiff::tz::TimeZone;
use jiff::{RoundMode, Span, Timestamp, TimestampRound, Unit};

/// Why a text is no end of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidExpiry {
    /// It is no instant.
    #[error("must be an RFC 3339 time such as 2027-01-31T00:00:00Z")]
    NoInstant,
    /// It is no length of time.
    #[error("must be a length of time such as 12h, 30d or 1y")]
    NoDuration,
    /// It is later than any calendar here knows.
    #[error("must end before the year 10000")]
    TooFar,
    /// It would open nothing from the start.
    #[error("must be in the future")]
    NotInTheFuture,
}

/// The instant that a text names, in whole seconds.
///
/// # Errors
/// When the text is no RFC 3339 time, or names one that is not after `now`.
pub(crate) fn at(text: &str, now: Timestamp) -> Result<Timestamp, InvalidExpiry> {
    future(text.parse().map_err(|_| InvalidExpiry::NoInstant)?, now)
}

/// The instant a length of time after `now`, in whole seconds. Days, months and years are those of UTC's calendar.
///
/// # Errors
/// When the text is no length of time, or it is not positive or too long.
pub(crate) fn after(text: &str, now: Timestamp) -> Result<Timestamp, InvalidExpiry> {
    let length: Span = text.parse().map_err(|_| InvalidExpiry::NoDuration)?;
    let end = now.to_zoned(TimeZone::UTC).checked_add(length).map_err(|_| InvalidExpiry::TooFar)?;
    future(end.timestamp(), now)
}

fn future(instant: Timestamp, now: Timestamp) -> Result<Timestamp, InvalidExpiry> {
    if instant <= now {
        return Err(InvalidExpiry::NotInTheFuture);
    }
    let up = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Ceil);
    instant.round(up).map_err(|_| InvalidExpiry::TooFar)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2027-01-31T10:00:00.25Z";

    fn told(result: Result<Timestamp, InvalidExpiry>) -> Result<String, InvalidExpiry> {
        result.map(|instant| instant.to_string())
    }

    #[test]
    fn an_instant_is_told_in_utc_and_whole_seconds() {
        let now = NOW.parse().unwrap();
        for (text, instant) in [
            ("2027-02-01T00:00:00Z", "2027-02-01T00:00:00Z"),
            ("2027-02-01T02:00:00+02:00", "2027-02-01T00:00:00Z"),
            ("2027-01-31T10:00:00.5Z", "2027-01-31T10:00:01Z"),
        ] {
            assert_eq!(told(at(text, now)).as_deref(), Ok(instant), "{text}");
        }
        for text in ["", "tomorrow", "2027-02-01", "2027-02-01T00:00:00", "2027-02-30T00:00:00Z"] {
            assert_eq!(at(text, now), Err(InvalidExpiry::NoInstant), "{text:?}");
        }
        assert_eq!(at(NOW, now), Err(InvalidExpiry::NotInTheFuture));
    }

    #[test]
    fn a_length_of_time_counts_from_now() {
        let now = NOW.parse().unwrap();
        for (text, instant) in [
            ("90s", "2027-01-31T10:01:31Z"),
            ("12h", "2027-01-31T22:00:01Z"),
            ("30d", "2027-03-02T10:00:01Z"),
            ("1w", "2027-02-07T10:00:01Z"),
            ("1y", "2028-01-31T10:00:01Z"),
        ] {
            assert_eq!(told(after(text, now)).as_deref(), Ok(instant), "{text}");
        }
        for text in ["", "30", "d", "30 sheep", "forever"] {
            assert_eq!(after(text, now), Err(InvalidExpiry::NoDuration), "{text:?}");
        }
        for text in ["0s", "-1d", "1d ago"] {
            assert_eq!(after(text, now), Err(InvalidExpiry::NotInTheFuture), "{text:?}");
        }
        assert_eq!(after("9000y", now), Err(InvalidExpiry::TooFar));
    }
}
