//! Writes an object as YAML that every reader takes for the same strings.
//!
//! `kubectl` reads YAML 1.1, where a plain `on`, `no` or `1e3` is no string; all of them can be names. So every string is
//! quoted, in JSON's way, which is YAML's too.

use serde_json::Value;

/// The object as block YAML. Its keys must be plain words, as all fields of our kinds are.
pub(crate) fn write(object: &Value) -> String {
    block(object, 0)
}

fn block(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let lines: Vec<String> = match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().map(|(key, value)| format!("{indent}{key}:{}", member(value, depth + 1))).collect()
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| format!("{indent}- {}", block(item, depth + 1).trim_start())).collect()
        }
        _ => vec![format!("{indent}{value}\n")],
    };
    lines.concat()
}

// A map or a list begins on a line of its own, a scalar follows its key.
fn member(value: &Value, depth: usize) -> String {
    let text = block(value, depth);
    let nested = value.is_object() || value.is_array();
    if nested { format!("\n{text}") } else { format!(" {}", text.trim_start()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_maps_are_blocks_and_every_string_is_quoted() {
        let object =
            json!({"a": {"name": "on", "none": {}}, "b": [{"c": "1e3", "d": true}, {"c": "x"}], "e": 7});
        let text = "\
a:
  name: \"on\"
  none:
    {}
b:
  - c: \"1e3\"
    d: true
  - c: \"x\"
e: 7
";
        assert_eq!(write(&object), text);
        assert_eq!(toolgate_crds::yaml::documents(text).unwrap()[0].value, object);
    }
}
