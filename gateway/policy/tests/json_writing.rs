//! The canonical text, and how a tree is walked and changed.

use toolgate_policy::json::{Json, JsonErrorKind, parse, to_bytes};

fn text(value: &Json<'_>) -> String {
    String::from_utf8(to_bytes(value)).expect("what is written is text")
}

fn rewritten(document: &str) -> String {
    text(&parse(document.as_bytes()).expect(document))
}

#[test]
fn order_and_digits_are_kept_and_white_space_is_not() {
    let rows = [
        (" { \"b\" : [ 1.0 , -0 ,1E5 ] , \"a\" : { } } ", r#"{"b":[1.0,-0,1E5],"a":{}}"#),
        ("[null,true,false,[],\"\"]", r#"[null,true,false,[],""]"#),
        (r#""\u0041\/\u00e9\ud83d\ude00""#, "\"A/é😀\""),
        (r#"{"\u0041":1}"#, r#"{"A":1}"#),
        (r#""\"\\\b\f\n\r\t\u0000\u001F""#, r#""\"\\\b\f\n\r\t\u0000\u001f""#),
    ];
    for (document, expected) in rows {
        assert_eq!(rewritten(document), expected);
    }
}

#[test]
fn what_may_end_a_line_is_escaped_and_nothing_else_is() {
    for (character, expected) in [
        ('\u{7F}', r#""x\u007fy""#),
        ('\u{80}', r#""x\u0080y""#),
        ('\u{85}', r#""x\u0085y""#),
        ('\u{9F}', r#""x\u009fy""#),
        ('\u{2028}', r#""x\u2028y""#),
        ('\u{2029}', r#""x\u2029y""#),
        ('\u{A0}', "\"x\u{A0}y\""),
        ('\u{BF}', "\"x\u{BF}y\""),
        ('\u{2027}', "\"x\u{2027}y\""),
        ('€', "\"x€y\""),
        ('/', "\"x/y\""),
        ('😀', "\"x😀y\""),
    ] {
        assert_eq!(text(&Json::String(format!("x{character}y").into())), expected, "{character:?}");
    }
}

#[test]
fn every_raw_control_character_is_refused() {
    for byte in 0..0x20 {
        let document = [b'"', byte, b'"'];
        assert_eq!(parse(&document).unwrap_err().kind(), JsonErrorKind::ControlInString, "{byte:#x}");
    }
    assert_eq!(rewritten("\"\u{20}\""), "\" \"");
}

#[test]
fn a_tree_is_walked_by_keys() {
    let tree = parse(br#"{"a":{"b":[1,"x"]},"c":true}"#).unwrap();
    assert_eq!(tree.at(&["a", "b"]).and_then(Json::as_array).map(<[_]>::len), Some(2));
    assert_eq!(tree.at(&[]), Some(&tree));
    assert_eq!(tree.at(&["a", "b", "0"]), None);
    assert_eq!(tree.get("c").and_then(Json::as_bool), Some(true));
    assert_eq!(tree.get("C"), None);
    let keys: Vec<&str> = tree.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["a", "c"]);
}

#[test]
fn members_are_changed_in_place() {
    let mut tree = parse(br#"{"a":1,"b":2,"c":3}"#).unwrap();
    let object = tree.as_object_mut().unwrap();
    assert_eq!(object.remove("b"), Some(Json::Number(2_u64.into())));
    assert_eq!(object.remove("b"), None);
    object.set("a", Json::Null);
    object.set("d", Json::Number((-4_i64).into()));
    assert_eq!(text(&tree), r#"{"a":null,"c":3,"d":-4}"#);
    tree.as_object_mut().unwrap().retain(|key| key == "d");
    assert_eq!(text(&tree.into_owned()), r#"{"d":-4}"#);
}
