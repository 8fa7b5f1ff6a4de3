//! Calls in several rounds (2026-07-28): what makes a further round the same call.

use sha2::{Digest, Sha256};
use toolgate_policy::json::{Json, Object};

/// The member of a result, and of the call that follows it, that holds the server's state.
pub const STATE: &str = "requestState";
/// The member of a call that answers what the server asked.
pub const ANSWERS: &str = "inputResponses";

/// What is the same in every round of one call: the method and all parameters but those of the round. Members in another
/// order are the same call, as they are to a server.
pub fn digest(method: &str, params: Option<&Object<'_>>) -> [u8; 32] {
    let mut hash = Sha256::new();
    text(method, &mut hash);
    let own = |key: &str| !matches!(key, "_meta" | STATE | ANSWERS);
    object(params.into_iter().flat_map(Object::iter).filter(|(key, _)| own(key)), &mut hash);
    hash.finalize().into()
}

// Every value is preceded by its kind and its length, so no two trees feed the same bytes.
fn value(json: &Json<'_>, hash: &mut Sha256) {
    match json {
        Json::Null => hash.update(b"n"),
        Json::Bool(value) => hash.update(if *value { b"t" } else { b"f" }),
        Json::Number(number) => {
            hash.update(b"#");
            text(number.text(), hash);
        }
        Json::String(string) => {
            hash.update(b"\"");
            text(string, hash);
        }
        Json::Array(items) => {
            hash.update(b"[");
            hash.update(items.len().to_be_bytes());
            for item in items {
                value(item, hash);
            }
        }
        Json::Object(members) => object(members.iter(), hash),
    }
}

fn object<'o, 'a: 'o>(members: impl Iterator<Item = (&'o str, &'o Json<'a>)>, hash: &mut Sha256) {
    let mut members: Vec<(&str, &Json<'_>)> = members.collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    hash.update(b"{");
    hash.update(members.len().to_be_bytes());
    for (key, member) in members {
        text(key, hash);
        value(member, hash);
    }
}

fn text(text: &str, hash: &mut Sha256) {
    hash.update(text.len().to_be_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use toolgate_policy::json;

    use super::*;

    fn of(params: &str) -> [u8; 32] {
        let params = json::parse(params.as_bytes()).unwrap();
        digest("tools/call", params.as_object())
    }

    #[test]
    fn a_round_is_the_same_call_whatever_it_brings() {
        let first = of(r#"{"name":"a","arguments":{"x":1,"y":[{}]}}"#);
        let same = [
            r#"{"arguments":{"y":[{}],"x":1},"name":"a"}"#,
            r#"{"name":"a","arguments":{"x":1,"y":[{}]},"_meta":{"z":1},"requestState":"s","inputResponses":{}}"#,
        ];
        assert!(same.iter().all(|params| of(params) == first));
    }

    #[test]
    fn another_tool_or_another_argument_is_another_call() {
        let calls = [
            r#"{"name":"a","arguments":{"x":1}}"#,
            r#"{"name":"b","arguments":{"x":1}}"#,
            r#"{"name":"a","arguments":{"x":2}}"#,
            r#"{"name":"a","arguments":{"x":"1"}}"#,
            r#"{"name":"a","arguments":{"x":[1]}}"#,
            r#"{"name":"a","arguments":{"x":{"1":null}}}"#,
            r#"{"name":"a","arguments":{}}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"a","arguments":{"x":1},"task":{}}"#,
        ];
        for (i, one) in calls.iter().enumerate() {
            for (j, other) in calls.iter().enumerate() {
                assert_eq!(of(one) == of(other), i == j, "{one} {other}");
            }
        }
        let params = json::parse(calls[0].as_bytes()).unwrap();
        assert_ne!(digest("prompts/get", params.as_object()), of(calls[0]));
    }
}
