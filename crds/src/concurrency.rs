//! How much may go on at a time at one gateway pod.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much may go on at a time at each gateway pod. One agent thus cannot take up a server, or its gateway, alone.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concurrency {
    /// Requests that have not been answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Cap>,
    /// Streams that are open to tell of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams: Option<Cap>,
}

/// The most at a time. One more is refused: with 429 where it is the grant's own doing, else with 503.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cap {
    /// The most of one grant. When absent 128 requests, and 32 streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8192))]
    pub grant: Option<i32>,
    /// The most of all grants together. When absent 1024 requests, and 512 streams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8192))]
    pub server: Option<i32>,
}

/// Caps as they hold, defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Of one grant.
    pub grant: usize,
    /// Of all grants together.
    pub server: usize,
}

impl Concurrency {
    /// The most requests at a time where nothing is said of them.
    pub const REQUESTS: Caps = Caps { grant: 128, server: 1024 };
    /// The most streams at a time where nothing is said of them.
    pub const STREAMS: Caps = Caps { grant: 32, server: 512 };

    /// The most requests at a time.
    pub fn requests(&self) -> Caps {
        self.requests.unwrap_or_default().or(Self::REQUESTS)
    }

    /// The most streams at a time.
    pub fn streams(&self) -> Caps {
        self.streams.unwrap_or_default().or(Self::STREAMS)
    }
}

impl Cap {
    fn or(self, default: Caps) -> Caps {
        let chosen = |cap: Option<i32>| cap.and_then(|cap| usize::try_from(cap).ok());
        Caps {
            grant: chosen(self.grant).unwrap_or(default.grant),
            server: chosen(self.server).unwrap_or(default.server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_has_a_default() {
        let said: Concurrency = serde_json::from_str(r#"{"requests": {"grant": 7}}"#).unwrap();
        assert_eq!(said.requests(), Caps { grant: 7, server: 1024 });
        assert_eq!(said.streams(), Caps { grant: 32, server: 512 });
    }
}
