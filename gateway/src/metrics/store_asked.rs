//! How questions to the shared store of counters went.

/// How a question to the shared store of counters went. A closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAsked {
    /// It was answered in time.
    Answered,
    /// What the store last said still holds, so it was not asked.
    Remembered,
    /// It was not answered in time.
    TimedOut,
    /// The connection broke, or the answer could not be read.
    Broken,
    /// There is no connection, so it was not asked.
    Away,
}

impl StoreAsked {
    /// Every result.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Remembered, Self::TimedOut, Self::Broken, Self::Away];

    /// The result's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Remembered => "remembered",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
            Self::Away => "away",
        }
    }
}
