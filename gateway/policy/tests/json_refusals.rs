//! What the strict parser refuses: one row for each way that parsers are known to disagree.

use toolgate_policy::json::{
    DEPTH_MAX, Json, JsonErrorKind as Kind, MEMBERS_MAX, NUMBER_BYTES_MAX, Twins, VALUES_MAX, parse,
    parse_with,
};

fn fault(document: &[u8]) -> Kind {
    parse(document).map(Json::into_owned).expect_err("the document is refused").kind()
}

#[test]
fn framing_that_parsers_disagree_on_is_refused() {
    let rows: &[(&str, &[u8], Kind)] = &[
        ("nothing", b"", Kind::UnexpectedEnd),
        ("only white space", b" \t\r\n", Kind::UnexpectedEnd),
        ("second value after a space", b"{} {}", Kind::TrailingData),
        ("second value after a newline", b"{}\n{}", Kind::TrailingData),
        ("second value after a NUL", b"{}\0{}", Kind::TrailingData),
        ("second value directly", b"{}{}", Kind::TrailingData),
        ("trailing NUL", b"{}\0", Kind::TrailingData),
        ("vertical tab after the value", b"{}\x0b", Kind::TrailingData),
        ("no-break space after the value", "{}\u{A0}".as_bytes(), Kind::TrailingData),
        ("byte order mark", b"\xEF\xBB\xBF{}", Kind::ByteOrderMark),
        ("byte order mark after a space", b" \xEF\xBB\xBF{}", Kind::UnexpectedByte),
        ("UTF-16 with its mark", b"\xFF\xFE{\0}\0", Kind::NotUtf8),
        ("UTF-16 little endian", b"{\0}\0", Kind::UnexpectedByte),
        ("UTF-16 big endian", b"\0{\0}", Kind::UnexpectedByte),
        ("UTF-32 little endian", b"{\0\0\0}\0\0\0", Kind::UnexpectedByte),
        ("invalid UTF-8 in a string", b"\"\xC3\x28\"", Kind::NotUtf8),
        ("overlong slash", b"\"\xC0\xAF\"", Kind::NotUtf8),
        ("surrogate in UTF-8", b"\"\xED\xA0\x80\"", Kind::NotUtf8),
        ("cut UTF-8 at the end", b"\"\xE2\x82", Kind::NotUtf8),
    ];
    for (name, document, kind) in rows {
        assert_eq!(fault(document), *kind, "{name}");
    }
}

#[test]
fn text_outside_the_grammar_is_refused() {
    let rows = [
        ("NaN", Kind::UnexpectedByte),
        ("[NaN]", Kind::UnexpectedByte),
        ("Infinity", Kind::UnexpectedByte),
        ("-Infinity", Kind::BadNumber),
        ("-NaN", Kind::BadNumber),
        ("// comment\n{}", Kind::UnexpectedByte),
        ("{}/* comment */", Kind::TrailingData),
        ("{\"a\":1,/**/\"b\":2}", Kind::UnexpectedByte),
        ("[1,]", Kind::UnexpectedByte),
        ("{\"a\":1,}", Kind::UnexpectedByte),
        ("[,1]", Kind::UnexpectedByte),
        ("[1 2]", Kind::UnexpectedByte),
        ("{\"a\" 1}", Kind::UnexpectedByte),
        ("{\"a\"}", Kind::UnexpectedByte),
        ("{a:1}", Kind::UnexpectedByte),
        ("{'a':1}", Kind::UnexpectedByte),
        ("{1:1}", Kind::UnexpectedByte),
        ("{null:1}", Kind::UnexpectedByte),
        ("[", Kind::UnexpectedEnd),
        ("{", Kind::UnexpectedEnd),
        ("[1", Kind::UnexpectedEnd),
        ("{\"a\"", Kind::UnexpectedEnd),
        ("{\"a\":", Kind::UnexpectedEnd),
        ("{\"a\":1", Kind::UnexpectedEnd),
        ("[}", Kind::UnexpectedByte),
        ("]", Kind::UnexpectedByte),
        ("tru", Kind::UnexpectedEnd),
        ("True", Kind::UnexpectedByte),
        ("nulll", Kind::TrailingData),
        ("\u{FEFF}", Kind::ByteOrderMark),
    ];
    for (document, kind) in rows {
        assert_eq!(fault(document.as_bytes()), kind, "{document:?}");
    }
}

#[test]
fn malformed_numbers_are_refused() {
    for document in [
        "01", "-01", "+1", ".5", "1.", "1.e3", "1e", "1e+", "-", "--1", "0x1f", "1_000", "1.2.3", "1a",
        "1e5.5", "00",
    ] {
        let kind = fault(document.as_bytes());
        assert!(
            matches!(kind, Kind::BadNumber | Kind::UnexpectedByte | Kind::TrailingData),
            "{document}: {kind:?}"
        );
        let listed = format!("[{document}]");
        fault(listed.as_bytes());
    }
}

#[test]
fn malformed_strings_are_refused() {
    let rows = [
        (r#""\ud800""#, Kind::LoneSurrogate),
        (r#""\ud800x""#, Kind::LoneSurrogate),
        (r#""\ud800\n""#, Kind::LoneSurrogate),
        (r#""\ud800\ud800""#, Kind::LoneSurrogate),
        (r#""\udc00""#, Kind::LoneSurrogate),
        (r#""\udc00\ud800""#, Kind::LoneSurrogate),
        (r#"{"\ud83d":1}"#, Kind::LoneSurrogate),
        (r#""\x41""#, Kind::BadEscape),
        (r#""\'""#, Kind::BadEscape),
        (r#""\u12g4""#, Kind::BadEscape),
        (r#""\u+123""#, Kind::BadEscape),
        (r#""\U0041""#, Kind::BadEscape),
        (r#""\"#, Kind::UnexpectedEnd),
        (r#""\u12"#, Kind::UnexpectedEnd),
        ("\"a\nb\"", Kind::ControlInString),
        ("\"a\0b\"", Kind::ControlInString),
        ("\"a\tb\"", Kind::ControlInString),
        ("\"abc", Kind::UnexpectedEnd),
    ];
    for (document, kind) in rows {
        assert_eq!(fault(document.as_bytes()), kind, "{document:?}");
    }
}

#[test]
fn duplicate_keys_are_refused_at_every_depth() {
    for document in [
        r#"{"method":"tools/list","method":"tools/call"}"#,
        r#"{"id":1,"id":1}"#,
        r#"{"params":{"name":"a","name":"b"}}"#,
        r#"{"params":{"arguments":{"x":1},"arguments":{"x":2}}}"#,
        r#"{"params":{"arguments":{"items":[{"price":1,"price":2}]}}}"#,
        r#"[[[{"":0,"":0}]]]"#,
        r#"{"name":"a","na\u006de":"b"}"#,
        r#"{"a/b":1,"a\/b":2}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
    ] {
        assert_eq!(fault(document.as_bytes()), Kind::DuplicateKey, "{document}");
        let lenient = parse_with(document.as_bytes(), Twins::Allowed).map_err(|error| error.kind());
        assert_eq!(lenient, Err(Kind::DuplicateKey), "{document}");
    }
}

#[test]
fn twin_keys_are_refused_for_clients_and_kept_for_servers() {
    for document in [
        r#"{"name":"a","Name":"b"}"#,
        r#"{"params":{},"param\u017f":{}}"#,
        r#"{"params":{},"paramſ":{}}"#,
        r#"{"task":1,"tas\u212a":2}"#,
        r#"{"name":"a","name\u0000":"b"}"#,
        r#"{"name":"a","\u0000name":"b"}"#,
        r#"{"name":"a","na\u200bme":"b"}"#,
        r#"{"name":"a","name\ufeff":"b"}"#,
        r#"{"":1,"\u0000":2}"#,
        r#"{"x":{"y":[{"lead_id":1,"LEAD_ID":2}]}}"#,
    ] {
        assert_eq!(fault(document.as_bytes()), Kind::TwinKey, "{document}");
        assert!(parse_with(document.as_bytes(), Twins::Allowed).is_ok(), "{document}");
    }
}

#[test]
fn equal_keys_in_different_objects_are_no_twins() {
    for document in [
        r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#,
        r#"{"name":1,"names":2,"nam":3}"#,
        r#"{"a b":1,"ab":2}"#,
        r#"{"é":1,"e":2}"#,
    ] {
        assert!(parse(document.as_bytes()).is_ok(), "{document}");
    }
}

#[test]
fn a_clash_is_found_in_large_objects_too() {
    for (last, kind) in [("key7", Kind::DuplicateKey), ("KEY7", Kind::TwinKey)] {
        let keys: Vec<String> = (0..500).map(|index| format!("\"key{index}\":0")).collect();
        let document = format!("{{{},\"{last}\":0}}", keys.join(","));
        assert_eq!(fault(document.as_bytes()), kind);
    }
}

#[test]
fn depth_is_bounded() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(fault(nested(DEPTH_MAX + 1).as_bytes()), Kind::TooDeep);
    }
    assert_eq!(fault("[".repeat(100_000).as_bytes()), Kind::TooDeep);
    // Siblings do not add up.
    let wide = format!("[{}1]", "[[]],".repeat(DEPTH_MAX * 2));
    assert!(parse(wide.as_bytes()).is_ok());
}

#[test]
fn numbers_are_bounded_and_verbatim() {
    let longest = "9".repeat(NUMBER_BYTES_MAX);
    assert_eq!(parse(longest.as_bytes()).unwrap().as_number().unwrap().text(), longest);
    assert_eq!(fault(format!("{longest}9").as_bytes()), Kind::NumberTooLong);
    for text in ["1e400", "-0", "-0.0", "9007199254740993", "1.0", "1E+2", "0.10", "1e-400"] {
        assert_eq!(parse(text.as_bytes()).unwrap().as_number().unwrap().text(), text);
    }
}

#[test]
fn members_are_bounded() {
    let object = |members: usize| {
        let listed: Vec<String> = (0..members).map(|index| format!("\"{index}\":0")).collect();
        format!("{{{}}}", listed.join(","))
    };
    assert!(parse(object(MEMBERS_MAX).as_bytes()).is_ok());
    assert_eq!(fault(object(MEMBERS_MAX + 1).as_bytes()), Kind::TooManyMembers);
}

#[test]
fn values_are_bounded() {
    // The array itself is one of them.
    let array = |items: usize| format!("[{}0]", "0,".repeat(items - 1));
    assert!(parse(array(VALUES_MAX - 1).as_bytes()).is_ok());
    assert_eq!(fault(array(VALUES_MAX).as_bytes()), Kind::TooManyValues);
}

#[test]
fn an_error_names_the_byte_and_the_path() {
    let error = parse(br#"{"params":{"items":[1,{"a/b":nul}]}}"#).unwrap_err();
    assert_eq!(error.offset(), 32);
    assert_eq!(error.to_string(), "unexpected byte at byte 32 in /params/items/1/a~1b");
    let error = parse(br#"{"a":1,"a":2}"#).unwrap_err();
    assert_eq!((error.kind(), error.path()), (Kind::DuplicateKey, "/a".to_owned()));
    assert_eq!(parse(b"").unwrap_err().to_string(), "unexpected end at byte 0");
}

#[test]
fn a_key_in_an_error_is_short_and_printable() {
    let document = format!("{{\"\\u001b{}\":nul}}", "k".repeat(10_000));
    let path = parse(document.as_bytes()).unwrap_err().path();
    assert!(path.starts_with("/\\u{1b}kkk"), "{path}");
    assert!(path.chars().count() < 80, "{path}");
}

#[test]
fn common_strings_are_borrowed() {
    let Json::String(text) = parse(b"\"plain\"").unwrap() else { panic!("not a string") };
    assert!(matches!(text, std::borrow::Cow::Borrowed("plain")));
}
