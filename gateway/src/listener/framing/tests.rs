//! Byte by byte: whatever the pieces, the same bytes are in doubt or not.

use super::*;

const HEAD: &str = "POST /mcp HTTP/1.1\r\nhost: a\r\n";

/// The first byte in doubt when the text comes in these pieces.
fn read(pieces: &[&[u8]]) -> Option<usize> {
    let (mut framing, mut before) = (Framing::default(), 0);
    for piece in pieces {
        if let Err(at) = framing.read(piece) {
            return Some(before + at);
        }
        before += piece.len();
    }
    None
}

/// The same, and the same again however it is cut.
fn doubt(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let whole = read(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single), whole, "byte by byte: {text:?}");
    for at in 0..bytes.len() {
        let (one, other) = bytes.split_at(at);
        assert_eq!(read(&[one, other]), whole, "cut at {at}: {text:?}");
    }
    whole
}

#[test]
fn what_says_once_how_long_it_is_passes() {
    let long = "x".repeat(300);
    for text in [
        format!("{HEAD}\r\n"),
        format!("\r\n{HEAD}\r\n"),
        format!("{HEAD}content-length: 0\r\n\r\n{HEAD}\r\n"),
        format!("{HEAD}Content-Length:  5\t\r\n\r\n\n\0\r\n {HEAD}\r\n"),
        format!(
            "{HEAD}Transfer-Encoding: Chunked\r\n\r\n2\r\n\n\0\r\nA\r\n0123456789\r\n0\r\n\r\n{HEAD}\r\n"
        ),
        format!("{HEAD}transfer-encoding: chunked\r\n\r\n0\r\ntrailer: x\r\n\r\n{HEAD}\r\n"),
        format!("{HEAD}x: {long}\r\n{long}: x\r\n\r\n{HEAD}\r\n"),
        format!("{HEAD}x-content-length: a\r\ncontent-length-x: b\r\ncontent: c\r\n\r\n"),
        format!("{HEAD}x:\r\n\r\n"),
    ] {
        assert_eq!(doubt(&text), None, "{text:?}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_does_not() {
    for lines in [
        "x: y\ncontent-length: 5\r\n",
        "x: y\rcontent-length: 5\r\n",
        "x: y\n",
        "x: a\0b\r\n",
        "x: a\r\n folded\r\n",
        "x: a\r\n\tfolded\r\n",
        "nothing\r\n",
        ": nothing\r\n",
        "content-length : 5\r\n",
        "transfer-encoding\t: chunked\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 0\r\n",
        "content-length:\r\n",
        "content-length: 18446744073709551616\r\n",
        "content_length: 5\r\n",
        "transfer_encoding: chunked\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding:\r\n",
    ] {
        let text = format!("{HEAD}{lines}\r\n");
        assert!(doubt(&text).is_some(), "{text:?}");
        let after = format!("{HEAD}\r\n{text}");
        assert!(doubt(&after).is_some_and(|at| at > HEAD.len() + 2), "the second request: {after:?}");
    }
    let far = format!("{HEAD}content-length: {}5\r\n\r\n", "0".repeat(LINE_BYTES_MAX));
    assert!(doubt(&far).is_some(), "more of a length than is kept");
    assert_eq!(doubt("POST /mcp HTTP/1.1\nhost: a\r\n\r\n"), Some(18));
}

#[test]
fn chunks_that_could_be_read_in_two_ways_do_not_pass() {
    for chunks in [
        "\r\n",
        "+1\r\nx\r\n0\r\n\r\n",
        "0x1\r\nx\r\n0\r\n\r\n",
        "1 \r\nx\r\n0\r\n\r\n",
        "1;a=b\r\nx\r\n0\r\n\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nxx\r\n0\r\n\r\n",
        "3\r\nx\r\n0\r\n\r\n",
        "0\r\ntrailer: a\nb\r\n\r\n",
        "0\n\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "-1\r\n",
    ] {
        let text = format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}{HEAD}\r\n");
        assert!(doubt(&text).is_some(), "{text:?}");
    }
}

#[test]
fn a_line_of_the_length_that_is_kept_and_one_past_it() {
    let value = |length: usize| format!("content-length:{}7", "0".repeat(length - 16));
    let body = "1234567";
    let fits = format!("{HEAD}{}\r\n\r\n{body}{HEAD}\r\n", value(LINE_BYTES_MAX));
    assert_eq!(doubt(&fits), None);
    let past = format!("{HEAD}{}\r\n\r\n{body}{HEAD}\r\n", value(LINE_BYTES_MAX + 1));
    assert!(doubt(&past).is_some());
}

#[tokio::test]
async fn nothing_is_read_from_the_first_doubtful_byte_on() {
    use tokio::io::AsyncReadExt;
    let text = format!("{HEAD}x: y\nz: 1\r\n\r\n{HEAD}\r\n");
    let mut checked = Checked::new(text.as_bytes());
    let mut read = Vec::new();
    checked.read_to_end(&mut read).await.unwrap();
    let expected = format!("{HEAD}x: y\0");
    assert_eq!(String::from_utf8(read).unwrap(), expected);
}
