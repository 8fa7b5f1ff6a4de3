//! Event streams: every legal framing, however it is cut, gives the same events.

use proptest::{collection::vec, prelude::*};
use toolgate_gateway::wire::sse::{Decoder, EVENT_BYTES_MAX, Event, Frame, SseError};

fn decode_in(chunks: &[&[u8]]) -> Vec<Frame> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk, &mut frames).expect("a legal stream");
    }
    frames
}

fn decode(stream: &str) -> Vec<Frame> {
    decode_in(&[stream.as_bytes()])
}

fn data(text: &str) -> Frame {
    Frame::Event(Event::of_data(text.to_owned()))
}

fn comment(text: &str) -> Frame {
    Frame::Comment(text.to_owned())
}

#[test]
fn every_line_end_ends_a_line() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("data: a{end}data: b{end}{end}data: c{end}{end}");
        assert_eq!(decode(&stream), [data("a\nb"), data("c")], "{end:?}");
    }
    assert_eq!(decode("data: a\r\ndata: b\n\rdata: c\r\r\n"), [data("a\nb"), data("c")]);
}

#[test]
fn a_carriage_return_and_its_line_feed_may_be_cut_apart() {
    assert_eq!(decode_in(&[b"data: a\r", b"\n\r", b"\ndata: b\r", b"\r"]), [data("a"), data("b")]);
    assert_eq!(decode_in(&[b"data: a\r", b"", b"\n", b"\n"]), [data("a")]);
}

#[test]
fn an_event_comes_out_with_its_last_byte() {
    assert_eq!(decode("data: a\n\n"), [data("a")]);
    assert_eq!(decode("data: a\r\n\r"), [data("a")]);
    assert_eq!(decode("data: a\n"), []);
}

#[test]
fn a_byte_order_mark_is_skipped_once_at_the_start() {
    assert_eq!(decode("\u{FEFF}data: a\n\n"), [data("a")]);
    assert_eq!(decode_in(&[b"\xEF", b"\xBB", b"\xBFdata: a\n\n"]), [data("a")]);
    assert_eq!(decode("\u{FEFF}\u{FEFF}data: a\n\n"), []);
    assert_eq!(decode("data: a\n\n\u{FEFF}data: b\n\n"), [data("a")]);
}

#[test]
fn fields_are_read_as_the_format_says() {
    let event = |event: Event| Frame::Event(event);
    let rows = [
        ("data\n\n", data("")),
        ("data:\n\n", data("")),
        ("data:a\n\n", data("a")),
        ("data:  a \n\n", data(" a ")),
        ("data: a: b\n\n", data("a: b")),
        ("data:\ndata:\n\n", data("\n")),
        ("id: 1\n\n", event(Event { id: Some("1".to_owned()), ..Event::default() })),
        ("id\n\n", event(Event { id: Some(String::new()), ..Event::default() })),
        ("retry: 15\n\n", event(Event { retry: Some(15), ..Event::default() })),
        ("event: a\nevent: b\n\n", event(Event { event: Some("b".to_owned()), ..Event::default() })),
        (
            "id: 7\nevent: message\nretry: 1\ndata: x\n\n",
            event(Event {
                id: Some("7".to_owned()),
                event: Some("message".to_owned()),
                retry: Some(1),
                data: Some("x".to_owned()),
            }),
        ),
    ];
    for (stream, frame) in rows {
        assert_eq!(decode(stream), [frame], "{stream:?}");
    }
}

#[test]
fn what_is_no_field_is_dropped() {
    for stream in [
        "\n\n",
        "Data: a\n\n",
        " data: a\n\n",
        "DATA: a\n\n",
        "foo: a\n\n",
        "id: a\0b\n\n",
        "retry: -1\n\n",
        "retry: x\n\n",
    ] {
        assert_eq!(decode(stream), [], "{stream:?}");
    }
    assert_eq!(decode("retry: 99999999999999999999999\n\n"), []);
}

#[test]
fn comments_are_kept_as_signs_of_life() {
    assert_eq!(decode(":\r\n\r\n: ping\n:x"), [comment(""), comment(" ping")]);
    assert_eq!(decode("data: a\n: between\ndata: b\n\n"), [comment(" between"), data("a\nb")]);
}

#[test]
fn a_hidden_list_in_split_lines_is_seen_whole() {
    let stream = "data: {\"result\":{\"tools\":\ndata: [{\"name\":\"a\"}]}}\r\rdata: 2\n\n";
    assert_eq!(decode(stream), [data("{\"result\":{\"tools\":\n[{\"name\":\"a\"}]}}"), data("2")]);
}

#[test]
fn text_is_utf8_or_the_stream_ends() {
    assert_eq!(decode_in(&[b"data: \xE2", b"\x82", b"\xAC\n\n"]), [data("€")]);
    let mut frames = Vec::new();
    let result = Decoder::default().push(b"data: a\n\ndata: \xFF\n\n", &mut frames);
    assert_eq!((result, frames), (Err(SseError::NotUtf8), vec![data("a")]));
}

fn push_all(decoder: &mut Decoder, stream: &[u8]) -> Result<usize, SseError> {
    let mut frames = Vec::new();
    stream.chunks(3).try_for_each(|chunk| decoder.push(chunk, &mut frames))?;
    Ok(frames.len())
}

#[test]
fn an_event_is_bounded() {
    // The line with its field name counts while it is read, the value alone afterwards.
    let stream = |length: usize| format!("data:{}\n\n", "a".repeat(length)).into_bytes();
    assert_eq!(push_all(&mut Decoder::new(32), &stream(27)), Ok(1));
    assert_eq!(push_all(&mut Decoder::new(32), &stream(27).repeat(2)), Ok(2));
    assert_eq!(push_all(&mut Decoder::new(32), &stream(28)), Err(SseError::TooLarge(32)));
    let lines = |count: usize| format!("{}\n", "data:abcd\n".repeat(count)).into_bytes();
    assert_eq!(push_all(&mut Decoder::new(32), &lines(5)), Ok(1));
    assert_eq!(push_all(&mut Decoder::new(32), &lines(6)), Err(SseError::TooLarge(32)));
    assert_eq!(push_all(&mut Decoder::new(32), &b":".repeat(33)), Err(SseError::TooLarge(32)));
    assert_eq!(push_all(&mut Decoder::new(32), &b"data\n".repeat(100)), Err(SseError::TooLarge(32)));
}

#[test]
fn the_default_bound_is_the_named_one() {
    let stream = |length: usize| format!("data:{}\n\n", "a".repeat(length)).into_bytes();
    let largest = EVENT_BYTES_MAX - "data:".len();
    let push = |stream: &[u8]| Decoder::default().push(stream, &mut Vec::new());
    assert_eq!(push(&stream(largest)), Ok(()));
    assert_eq!(push(&stream(largest + 1)), Err(SseError::TooLarge(EVENT_BYTES_MAX)));
}

#[test]
fn a_long_stream_of_small_events_is_not_one_large_event() {
    let stream = b"id: 1\ndata: abc\n\n: comment\n".repeat(1000);
    assert_eq!(push_all(&mut Decoder::new(32), &stream), Ok(2000));
}

#[test]
fn what_is_written_is_the_plainest_framing() {
    let event = Event {
        id: Some("7".to_owned()),
        event: Some("message".to_owned()),
        retry: Some(5),
        data: Some("a\nb".to_owned()),
    };
    let mut out = Vec::new();
    Frame::Event(event).write(&mut out);
    comment(" ping").write(&mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "id: 7\nevent: message\nretry: 5\ndata: a\ndata: b\n\n: ping\n\n"
    );
}

#[test]
fn our_own_words_cannot_begin_a_new_event() {
    let event = Event {
        id: Some("1\n\ndata: evil".to_owned()),
        event: Some("x\rdata: evil".to_owned()),
        retry: None,
        data: Some("a\r\n\rb".to_owned()),
    };
    let mut out = Vec::new();
    event.write(&mut out);
    Frame::Comment("x\n\ndata: evil\n\n".to_owned()).write(&mut out);
    let events: Vec<Frame> =
        decode_in(&[&out]).into_iter().filter(|frame| matches!(frame, Frame::Event(_))).collect();
    let Frame::Event(read) = &events[0] else { unreachable!("filtered") };
    assert_eq!((events.len(), read.data.as_deref()), (1, Some("a\n\nb")));
}

/// Streams rich in what framing is made of.
fn streams() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n"),
        Just("\r"),
        Just("\r\n"),
        Just("\n\n"),
        Just("data: "),
        Just("data"),
        Just("id:"),
        Just("event: "),
        Just("retry: 1"),
        Just(":"),
        Just(" "),
        Just("€"),
        Just("\u{FEFF}"),
        Just("{\"a\":1}"),
        Just("x"),
    ];
    vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn values() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[^\r\n\0]{0,12}")
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_events(stream in streams(), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let bytes = stream.as_bytes();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode_in(&chunks), decode(&stream));
        let single_bytes: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(decode_in(&single_bytes), decode(&stream));
    }

    #[test]
    fn what_is_written_is_read_again(
        id in values(),
        event in values(),
        retry in any::<Option<u64>>(),
        data in prop::option::of("[^\r\0]{0,30}"),
        before in "[^\r\n]{0,8}",
    ) {
        let written = [Frame::Comment(before), Frame::Event(Event { id, event, retry, data })];
        let mut out = Vec::new();
        for frame in &written {
            frame.write(&mut out);
        }
        let expected: Vec<Frame> =
            written.into_iter().filter(|frame| *frame != Frame::Event(Event::default())).collect();
        prop_assert_eq!(decode_in(&[&out]), expected);
    }

    #[test]
    fn any_bytes_never_panic(chunks in vec(vec(any::<u8>(), 0..20), 0..8)) {
        let mut decoder = Decoder::new(64);
        let mut frames = Vec::new();
        let _ = chunks.iter().try_for_each(|chunk| decoder.push(chunk, &mut frames));
    }
}
