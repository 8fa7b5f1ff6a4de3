//! What ties together what a caller heard, what was recorded, and what the server saw of one request.
//!
//! Every request gets an id of its own, which the caller is told and the audit trail names. Towards the server the
//! gateway writes its own `traceparent`. Only the trace's id in it may be the client's: from `params._meta` first, as
//! MCP has it, then from the header. Nothing else of the client's context goes on by header; the body goes on as it is.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use toolgate_policy::json::Object;

/// The header of every answer that names the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("toolgate-request-id");
/// W3C trace context, in a header and in `params._meta`.
pub(crate) const TRACEPARENT: &str = "traceparent";
/// How long it is: a version, a trace, a span and flags.
const TRACEPARENT_BYTES: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;
/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// Makes ids that no request had before, and that nobody outside can tell in advance.
#[derive(Debug, Default)]
pub struct Ids {
    // Keyed with the system's randomness when the process starts.
    keys: [RandomState; 2],
    next: AtomicU64,
}

/// Bytes that are told in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hex<const BYTES: usize>(pub [u8; BYTES]);

/// The ids of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correlation {
    /// The request's own id.
    pub request: Hex<16>,
    /// Where the client says that the request belongs.
    pub parent: Option<Parent>,
}

/// The client's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: Hex<16>,
    /// What the client does in it.
    pub span: Hex<8>,
    flags: u8,
}

impl Ids {
    /// The ids of a new request.
    pub fn next(&self, headers: &HeaderMap) -> Correlation {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [high, low] = [0, 1].map(|half: usize| self.keys[half].hash_one(number).max(1).to_be_bytes());
        let mut request = [0; 16];
        request[..8].copy_from_slice(&high);
        request[8..].copy_from_slice(&low);
        let mut values = headers.get_all(TRACEPARENT).iter();
        let parent = values.next().and_then(|value| Parent::parse(value.to_str().ok()?));
        Correlation { request: Hex(request), parent: parent.filter(|_| values.next().is_none()) }
    }
}

impl Correlation {
    /// What a message says of its place comes before what the headers say.
    #[must_use]
    pub fn in_message(self, params: Option<&Object<'_>>) -> Self {
        let said = params.and_then(|params| params.get("_meta")?.get(TRACEPARENT)?.as_str());
        Self { parent: said.and_then(Parent::parse).or(self.parent), ..self }
    }

    /// The trace: the client's, or one of this request alone.
    pub fn trace(&self) -> Hex<16> {
        self.parent.map_or(self.request, |parent| parent.trace)
    }

    /// What the gateway does in the trace.
    pub fn span(&self) -> Hex<8> {
        self.half(0)
    }

    /// What the gateway does at the server, in the trace.
    pub fn upstream_span(&self) -> Hex<8> {
        self.half(8)
    }

    /// Whether the trace is recorded: as the client says, else as the gateway does.
    pub fn is_sampled(&self, recorded_here: bool) -> bool {
        self.parent.map_or(recorded_here, |parent| parent.flags & SAMPLED != 0)
    }

    /// What the server is told.
    pub fn traceparent(&self, recorded_here: bool) -> HeaderValue {
        let mut text = Vec::with_capacity(TRACEPARENT_BYTES);
        text.extend_from_slice(b"00-");
        self.trace().write(&mut text);
        text.push(b'-');
        self.upstream_span().write(&mut text);
        text.push(b'-');
        Hex([u8::from(self.is_sampled(recorded_here))]).write(&mut text);
        HeaderValue::from_maybe_shared(Bytes::from(text)).expect("hexadecimal digits are header values")
    }

    /// What the caller is told.
    pub fn request_id(&self) -> HeaderValue {
        let mut text = Vec::with_capacity(32);
        self.request.write(&mut text);
        HeaderValue::from_maybe_shared(Bytes::from(text)).expect("hexadecimal digits are header values")
    }

    fn half(&self, from: usize) -> Hex<8> {
        let mut half = [0; 8];
        half.copy_from_slice(&self.request.0[from..from + 8]);
        Hex(half)
    }
}

impl Parent {
    // Version 00 has four fields; a later one may have more. Lower case, and no id of zeros alone.
    fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('-')?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        let (flags, more) = rest.split_once('-').map_or((rest, None), |(flags, more)| (flags, Some(more)));
        let [version] = digits(version)?;
        if version == 0xff || (version == 0 && more.is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (digits(trace)?, digits(span)?, digits(flags)?);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace: Hex(trace), span: Hex(span), flags })
    }
}

fn digits<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    let mut bytes = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

impl<const BYTES: usize> Hex<BYTES> {
    /// Appends the digits.
    pub fn write(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in self.0 {
            out.extend_from_slice(&[byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]));
        }
    }
}

impl<const BYTES: usize> fmt::Display for Hex<BYTES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::with_capacity(2 * BYTES);
        self.write(&mut digits);
        formatter.write_str(&String::from_utf8_lossy(&digits))
    }
}

impl<const BYTES: usize> fmt::Debug for Hex<BYTES> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use toolgate_policy::json;

    use super::*;

    const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

    fn of_headers(values: &[&str]) -> Correlation {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        Ids::default().next(&headers)
    }

    #[test]
    fn no_two_requests_have_one_id() {
        let ids = Ids::default();
        let made: HashSet<Hex<16>> = (0..10_000).map(|_| ids.next(&HeaderMap::new()).request).collect();
        assert_eq!(made.len(), 10_000);
        assert!(!made.contains(&Ids::default().next(&HeaderMap::new()).request), "nor in another process");
    }

    #[test]
    fn the_server_is_told_the_clients_trace_and_the_gateways_own_span() {
        for (sent, recorded_here, trace, flags) in [
            (Some(CLIENT), false, Some("0af7651916cd43dd8448eb211c80319c"), "01"),
            (Some(OTHER), true, Some("11111111111111111111111111111111"), "00"),
            (None, true, None, "01"),
            (None, false, None, "00"),
        ] {
            let correlation = of_headers(&sent.into_iter().collect::<Vec<_>>());
            let told = correlation.traceparent(recorded_here);
            let parts: Vec<&str> = told.to_str().unwrap().split('-').collect();
            let own = correlation.request.to_string();
            assert_eq!(parts, ["00", trace.unwrap_or(&own), &own[16..], flags], "{sent:?}");
        }
    }

    #[test]
    fn the_message_comes_before_the_header() {
        let params = format!(r#"{{"_meta":{{"traceparent":"{OTHER}"}}}}"#);
        let params = json::parse(params.as_bytes()).unwrap();
        let correlation = of_headers(&[CLIENT]);
        assert_eq!(correlation.in_message(params.as_object()).trace().to_string(), "1".repeat(32));
        for nothing in ["{}", r#"{"_meta":{"traceparent":7}}"#, r#"{"_meta":{"traceparent":"00-1"}}"#] {
            let params = json::parse(nothing.as_bytes()).unwrap();
            assert_eq!(correlation.in_message(params.as_object()), correlation, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_context_is_none() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad:?}");
        }
        assert_eq!(of_headers(&[CLIENT, OTHER]).parent, None, "two are none");
        let later = CLIENT.replacen("00", "01", 1) + "-more";
        assert_eq!(Parent::parse(&later), Parent::parse(CLIENT));
    }
}
