//! One HTTP answer, read by hand so that nothing about it is corrected.

use serde_json::Value;

use super::error::ProcessError;

/// One HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, chunks put together.
    pub body: Vec<u8>,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Bytes(usize),
    Chunks,
    UntilClose,
}

impl Answer {
    /// Reads a head, without the empty line at its end.
    pub(super) fn of_head(head: &[u8]) -> Result<Self, ProcessError> {
        let text = String::from_utf8_lossy(head);
        let not_http = || ProcessError::NotHttp(text.chars().take(200).collect());
        let mut lines = text.split("\r\n");
        let status_line = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).ok_or_else(not_http)?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(not_http)?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.map(header).collect::<Option<Vec<_>>>().ok_or_else(not_http)?;
        Ok(Self { status, headers, body: Vec::new() })
    }

    pub(super) fn length(&self) -> Length {
        if matches!(self.status, 100..=199 | 204 | 304) {
            return Length::Bytes(0);
        }
        if self.header("transfer-encoding") == Some("chunked") {
            return Length::Chunks;
        }
        let length = self.header("content-length").and_then(|length| length.parse().ok());
        length.map_or(Length::UntilClose, Length::Bytes)
    }

    /// The first value of a header, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The one message of the body: of a JSON body itself, of an event stream the last one. Null if there is none.
    pub fn json(&self) -> Value {
        self.messages().pop().unwrap_or_default()
    }

    /// Every message of the body.
    pub fn messages(&self) -> Vec<Value> {
        let text = self.text();
        if self.header("content-type").is_none_or(|media| !media.starts_with("text/event-stream")) {
            return serde_json::from_str(&text).into_iter().collect();
        }
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// The JSON-RPC error's code, if it is one.
    pub fn error_code(&self) -> Option<i64> {
        self.json()["error"]["code"].as_i64()
    }

    /// The outcome of the gateway's verdict, if it has one.
    pub fn verdict(&self) -> Option<String> {
        let message = self.json();
        let places = [&message["result"]["_meta"], &message["error"]["data"]];
        places.iter().find_map(|place| place["toolgate.dev/verdict"]["outcome"].as_str()).map(str::to_owned)
    }
}
