//! What holds for every document: the strict parser accepts a part of what `serde_json` accepts, reads
//! the same from it, and what it writes is read the same again.

use proptest::{collection::vec, prelude::*};
use toolgate_policy::json::{Json, Twins, parse, parse_with, to_bytes};

/// Documents with all kinds of values, escapes and odd characters in keys and strings.
fn documents() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?",
        strings(),
    ];
    scalar.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(" , "))),
            vec((strings(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("{key}\t:\n{value}")).collect();
                format!("{{ {} }}", members.join(","))
            }),
        ]
    })
}

/// JSON strings: some of `serde_json`'s own writing, some written in escapes alone.
fn strings() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_]{0,8}".prop_map(|text| format!("\"{text}\"")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string can be written")),
        "\\PC{0,6}".prop_map(|text| {
            let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            format!("\"{}\"", units.concat())
        }),
    ]
}

fn reference(document: &[u8]) -> serde_json::Value {
    serde_json::from_slice(document).expect("the reference parser takes it")
}

fn owned(document: &[u8]) -> Json<'static> {
    parse_with(document, Twins::Allowed).expect("the strict parser takes it").into_owned()
}

proptest! {
    #[test]
    fn what_is_written_reads_as_what_was_parsed(document in documents()) {
        // The generator makes duplicate keys now and then: those must be refused.
        let Ok(tree) = parse_with(document.as_bytes(), Twins::Allowed) else {
            let kind = parse_with(document.as_bytes(), Twins::Allowed).unwrap_err().kind();
            prop_assert_eq!(kind, toolgate_policy::json::JsonErrorKind::DuplicateKey);
            return Ok(());
        };
        let written = to_bytes(&tree);
        prop_assert_eq!(reference(&written), reference(document.as_bytes()));
        prop_assert_eq!(owned(&written), tree.into_owned());
        prop_assert_eq!(to_bytes(&owned(&written)), written);
    }

    #[test]
    fn what_is_accepted_for_clients_is_accepted_for_servers(document in documents()) {
        if let Ok(tree) = parse(document.as_bytes()) {
            prop_assert_eq!(tree.into_owned(), owned(document.as_bytes()));
        }
    }

    #[test]
    fn every_string_survives(text in any::<String>()) {
        let tree = Json::String(text.as_str().into());
        let written = to_bytes(&tree);
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
        let ends_a_line = |character: char| character.is_control() || character == '\u{2028}';
        prop_assert!(!String::from_utf8(written).unwrap().contains(ends_a_line));
    }

    #[test]
    fn mutated_bytes_never_panic_and_never_widen(
        document in documents(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = document.into_bytes();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Ok(tree) = parse(&bytes) {
            // `serde_json` alone refuses numbers too large for it; everything else must agree.
            match serde_json::from_slice::<serde_json::Value>(&bytes) {
                Ok(value) => prop_assert_eq!(reference(&to_bytes(&tree)), value),
                Err(error) => prop_assert!(error.to_string().starts_with("number out of range"), "{}", error),
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..64)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn json_like_bytes_never_panic(text in "[\\[\\]{}:,\"\\\\u0-9dDeE+.tfn \\-]{0,40}") {
        if let Ok(tree) = parse(text.as_bytes()) {
            prop_assert_eq!(owned(&to_bytes(&tree)), tree.into_owned());
        }
    }
}
