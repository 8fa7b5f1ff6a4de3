//! Whatever a bundle's size: what is unpacked is what was packed, and past the end of what fits it is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests only")]

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toolgate_crds::ToolPolicySpec;
use toolgate_policy::{
    BUNDLE_BYTES_MAX, Bundle, CONFIG_MAP_BYTES_MAX, Candidate, FORMAT, Form, Half, Head, Inputs,
    InvalidBundle, Packed, SHARDS_MAX, TooLarge, compile, inflate, render,
};

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata =
        json!({"namespace": "shop", "name": name, "uid": format!("uid-of-{name}"), "generation": 1});
    json!({"apiVersion": "toolgate.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

/// A policy with a tool for each length, of a reason that is so long; nobody can compress it where `noisy`.
fn policy(name: &str, lengths: &[usize], noisy: bool) -> Candidate<ToolPolicySpec> {
    let tool = |(index, length): (usize, &usize)| {
        (format!("t{index:05}"), json!({"reason": text(&format!("{name}/{index}"), *length, noisy)}))
    };
    let tools: serde_json::Map<String, Value> = lengths.iter().enumerate().map(tool).collect();
    let targets = json!([{"kind": "McpServer", "name": "crm"}]);
    Candidate::policy(&object("ToolPolicy", name, &json!({"targetRefs": targets, "tools": tools})))
}

fn text(seed: &str, length: usize, noisy: bool) -> String {
    if !noisy {
        return "x".repeat(length);
    }
    let digits = (0..).flat_map(|block: u32| Sha256::digest(format!("{seed}/{block}")).to_vec());
    let letter = |byte: u8| {
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"[usize::from(byte & 63)],
        )
    };
    digits.map(letter).take(length).collect()
}

fn rendered(policies: &[Candidate<ToolPolicySpec>], revision_floor: i64) -> Bundle {
    let server = object("McpServer", "crm", &json!({"upstream": {"url": "http://crm-mcp:3001/mcp"}}));
    let server = Candidate::server(&server);
    let inputs = Inputs { server: &server, policies, grants: &[], previous: None, revision_floor };
    render(&inputs).bundle.unwrap()
}

fn unpacked(packed: &Packed) -> Result<Bundle, InvalidBundle> {
    match &packed.form {
        Form::Text(text) => Bundle::from_json(text),
        Form::Gzip(bytes) => Bundle::from_json(&inflate(bytes)?),
        Form::Shards(head, shards) => Head::from_json(&head.to_json())?.join(shards),
    }
}

/// A bundle whose text has exactly so many bytes.
fn of_size(bytes: usize, noisy: bool) -> Bundle {
    let with = |count: usize, rest: usize| {
        let lengths = [vec![1 + rest / 2, 1 + rest.div_ceil(2)], vec![1000; count]].concat();
        let policies: Vec<_> = lengths
            .chunks(900)
            .enumerate()
            .map(|(index, chunk)| policy(&format!("p{index:03}"), chunk, noisy))
            .collect();
        rendered(&policies, 0)
    };
    let size = |count: usize| with(count, 0).to_json().len();
    let step = size(1) - size(0);
    let mut count = bytes / (step + 1);
    let mut rest = bytes - size(count);
    while rest > 1600 {
        count += (rest / (step + 1)).max(1);
        rest = bytes - size(count);
    }
    let bundle = with(count, rest);
    assert_eq!(bundle.to_json().len(), bytes);
    bundle
}

#[test]
fn the_largest_text_stays_text_and_one_byte_more_is_compressed() {
    let largest = Packed::of(&of_size(CONFIG_MAP_BYTES_MAX, false)).unwrap();
    assert!(matches!(largest.form, Form::Text(_)));
    let larger = of_size(CONFIG_MAP_BYTES_MAX + 1, false);
    let packed = Packed::of(&larger).unwrap();
    assert!(matches!(packed.form, Form::Gzip(_)));
    assert_eq!((unpacked(&packed), packed.hash), (Ok(larger.clone()), larger.hash()));
}

#[test]
fn the_largest_bundle_is_packed_and_one_byte_more_is_not() {
    let largest = of_size(BUNDLE_BYTES_MAX, false);
    assert_eq!(unpacked(&Packed::of(&largest).unwrap()).unwrap(), largest);
    let larger = of_size(BUNDLE_BYTES_MAX + 1, false);
    assert_eq!(Packed::of(&larger), Err(TooLarge::Text(BUNDLE_BYTES_MAX + 1)));
}

#[test]
fn what_cannot_be_compressed_enough_is_refused() {
    // Six bits of eight are in each character, so eight shards hold some ten megabytes.
    let fits = of_size(10_000_000, true);
    let Form::Shards(head, shards) = Packed::of(&fits).unwrap().form else { unreachable!() };
    assert_eq!((head.shards, shards.len()), (SHARDS_MAX, usize::from(SHARDS_MAX)));
    assert!(matches!(Packed::of(&of_size(11_000_000, true)), Err(TooLarge::Compressed(_))));
}

#[test]
fn no_shard_of_another_bundle_is_taken_and_none_may_lack() {
    let pack = |floor| {
        Packed::of(&rendered(
            &[policy("large", &[1000; 900], true), policy("larger", &[1000; 900], true)],
            floor,
        ))
        .unwrap()
        .form
    };
    let (Form::Shards(head, shards), Form::Shards(other, others)) = (pack(1), pack(2)) else {
        unreachable!()
    };
    assert_eq!((head.half, other.half), (Half::Even, Half::Odd), "the next one is written beside this one");
    assert!(shards.len() > 1);
    let mut mixed = shards.clone();
    mixed[0].clone_from(&others[0]);
    assert!(head.join(&mixed).is_err());
    assert!(head.join(&others).unwrap_err().to_string().contains("not those that its head names"));
    assert!(head.join(&shards[1..]).is_err());
    assert!(head.join(&[]).is_err());
}

#[test]
fn a_few_bytes_do_not_become_more_than_may_be_read() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..=BUNDLE_BYTES_MAX / 1024 {
        encoder.write_all(&[b' '; 1024]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    assert!(inflate(&bomb).unwrap_err().to_string().contains("more than 33554432 bytes"));
}

#[test]
fn a_head_names_no_more_shards_than_there_may_be() {
    let head = |shards: u8| Head { hash: "ab".to_owned(), half: Half::Odd, shards };
    assert_eq!(Head::from_json(&head(SHARDS_MAX).to_json()), Ok(head(SHARDS_MAX)));
    assert!(Head::from_json(&head(SHARDS_MAX + 1).to_json()).is_err());
}

#[test]
fn what_a_newer_version_wrote_is_refused_in_words_that_say_so() {
    let bundle = rendered(&[policy("small", &[1], false)], 0);
    assert!(!bundle.to_json().contains("format"), "versions before this one can still read it");
    let mut value: Value = serde_json::from_str(&bundle.to_json()).unwrap();
    let refused = |value: &Value| Bundle::from_json(&value.to_string()).unwrap_err().to_string();
    value["format"] = json!(FORMAT);
    assert_eq!(Bundle::from_json(&value.to_string()), Ok(bundle));
    value["format"] = json!(FORMAT + 1);
    let expected = format!(
        "unreadable bundle: its format is {}, and this version reads up to {FORMAT}; a newer one has to take over",
        FORMAT + 1
    );
    assert_eq!(refused(&value), expected);
    value["shape"] = json!("another");
    assert_eq!(refused(&value), expected, "whatever else it says");
    value["format"] = json!(FORMAT);
    assert!(
        refused(&value)
            .starts_with("unreadable bundle: it says what only a newer version knows: unknown field `shape`")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn hundreds_of_policies_come_out_as_they_went_in(
        sizes in prop::collection::vec((prop::collection::vec(1_usize..1000, 1..12), any::<bool>()), 200..400),
        floor in 0_i64..100,
    ) {
        let policies: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(index, (lengths, noisy))| policy(&format!("policy-{index}"), lengths, *noisy))
            .collect();
        let bundle = rendered(&policies, floor);
        let packed = Packed::of(&bundle).unwrap();
        let out = unpacked(&packed).unwrap();
        prop_assert_eq!(&out, &bundle);
        prop_assert_eq!(out.hash(), packed.hash);
        prop_assert!(compile(&out).is_ok());
    }
}
