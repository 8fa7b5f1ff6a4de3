//! What a server says that a tool is, as one digest: so that a policy can agree to a tool as it was looked at, and a
//! server that puts another one in its place under the old name is found out.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::digest::{digest, digits};
use crate::json::{Json, to_bytes};

/// The member of a tool that says nothing of it to whoever calls it, and that may differ from answer to answer.
const META: &str = "_meta";

/// The SHA-256 of a tool's definition: of the entry of a list of tools, without `_meta`, written with the members of
/// every object in the order of their keys' bytes, without white space, and with numbers as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Definition([u8; 32]);

impl Definition {
    /// The digest of one entry of a list of tools.
    pub fn of(tool: &Json<'_>) -> Self {
        let mut tool = tool.clone();
        if let Some(tool) = tool.as_object_mut() {
            tool.remove(META);
        }
        tool.sort();
        Self(Sha256::digest(to_bytes(&tool)).into())
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        digest(text).map(Self)
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&digits(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn of(text: &str) -> Definition {
        Definition::of(&parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn the_digest_is_that_of_the_canonical_text() {
        let text = r#"{"description":"Moves \"a\" lead","inputSchema":{"a":1.0,"b":[true,null]},"name":"move_lead"}"#;
        let expected: [u8; 32] = Sha256::digest(text).into();
        let as_it_came = r#"{ "name": "move_lead", "_meta": {"v": 7}, "inputSchema": {"b": [true, null], "a": 1.0}, "description": "Moves \u0022a\u0022 lead" }"#;
        assert_eq!(of(as_it_came), Definition(expected));
        assert_eq!(Definition::parse(&of(text).to_string()), Some(Definition(expected)));
    }

    #[test]
    fn whatever_a_caller_reads_makes_another_definition() {
        let tool = r#"{"name":"t","description":"d","inputSchema":{"x":{"_meta":1}},"annotations":{"readOnlyHint":true}}"#;
        for (part, other) in [
            (r#""d""#, r#""d ""#),
            ("true", "false"),
            (r#"{"_meta":1}"#, r#"{"_meta":2}"#),
            (r#""x""#, r#""y""#),
            (r#""annotations":"#, r#""title":"T","annotations":"#),
            ("1}", "1.0}"),
        ] {
            let changed = tool.replacen(part, other, 1);
            assert_ne!(changed, tool);
            assert_ne!(of(&changed), of(tool), "{changed}");
        }
    }

    #[test]
    fn a_digest_has_64_lower_case_digits_and_no_other_text_does() {
        assert!(Definition::parse(&"0a".repeat(32)).is_some());
        for bad in ["", &"0A".repeat(32), &"0a".repeat(31), &"0a".repeat(33), &format!("+{}", "a".repeat(63))]
        {
            assert_eq!(Definition::parse(bad), None, "{bad:?}");
        }
    }
}
