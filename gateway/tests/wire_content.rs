//! Which bodies are read at all, and which answers.

use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use toolgate_gateway::wire::content::{Accepted, ContentError, Media, check_request};

fn headers(listed: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in listed {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

fn typed(value: &str) -> Result<(), ContentError> {
    check_request(&headers(&[("content-type", value)]))
}

#[test]
fn plain_json_in_utf8_is_read() {
    for value in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json ; Charset=\"Utf-8\"",
    ] {
        assert_eq!(typed(value), Ok(()), "{value}");
    }
}

#[test]
fn another_content_type_is_refused() {
    for value in [
        "",
        "text/plain",
        "text/plain; a=application/json",
        "application/json-rpc",
        "application/json-patch+json",
        "application/ld+json",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/json, text/plain",
        "json",
        "gr\u{FC}n",
    ] {
        assert_eq!(typed(value), Err(ContentError::Type), "{value}");
    }
    assert_eq!(check_request(&HeaderMap::new()), Err(ContentError::Type));
    let twice = headers(&[("content-type", "application/json"), ("content-type", "application/json")]);
    assert_eq!(check_request(&twice), Err(ContentError::Type));
}

#[test]
fn another_charset_or_parameter_is_refused() {
    for value in [
        "application/json; charset=utf-16",
        "application/json; charset=utf-16le",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-7",
        "application/json; charset",
        "application/json;",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; boundary=x",
        "application/json; charset='utf-8'",
    ] {
        assert_eq!(typed(value), Err(ContentError::Parameter), "{value}");
    }
}

#[test]
fn any_content_encoding_is_refused() {
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "", "x-gzip"] {
        let listed = headers(&[("content-type", "application/json"), ("content-encoding", coding)]);
        assert_eq!(check_request(&listed), Err(ContentError::Encoding), "{coding}");
    }
}

#[test]
fn answers_of_either_kind_are_told_apart() {
    for (value, media) in [
        ("application/json", Some(Media::Json)),
        ("APPLICATION/JSON; charset=latin1", Some(Media::Json)),
        ("text/event-stream", Some(Media::EventStream)),
        ("Text/Event-Stream;charset=utf-8", Some(Media::EventStream)),
        ("text/html", None),
        ("application/json, text/event-stream", None),
        ("", None),
    ] {
        assert_eq!(Media::of_answer(&headers(&[("content-type", value)])), media, "{value}");
    }
    assert_eq!(Media::of_answer(&HeaderMap::new()), None);
    let twice = headers(&[("content-type", "application/json"), ("content-type", "text/event-stream")]);
    assert_eq!(Media::of_answer(&twice), None);
    let compressed = headers(&[("content-type", "application/json"), ("content-encoding", "gzip")]);
    assert_eq!(Media::of_answer(&compressed), None);
}

#[test]
fn accept_is_read_with_wildcards_and_weights() {
    let both = (true, true);
    for (value, expected) in [
        ("application/json, text/event-stream", both),
        ("text/event-stream;q=0.5,application/json;q=1.0", both),
        ("*/*", both),
        ("application/*, text/*", both),
        ("APPLICATION/JSON , Text/Event-Stream", both),
        ("application/json", (true, false)),
        ("text/event-stream", (false, true)),
        ("application/json, text/event-stream;q=0", (true, false)),
        ("application/json; q=0.000, text/event-stream", (false, true)),
        ("text/html", (false, false)),
        ("", (false, false)),
    ] {
        let accepted = Accepted::of(&headers(&[("accept", value)]));
        assert_eq!((accepted.json, accepted.event_stream), expected, "{value}");
        assert_eq!(accepted.both(), expected == both, "{value}");
    }
    assert!(Accepted::of(&HeaderMap::new()).both());
    assert!(
        Accepted::of(&headers(&[("accept", "application/json"), ("accept", "text/event-stream")])).both()
    );
}
