//! Writes an object as YAML that every reader takes for the same strings.
//!
//! `kubectl` reads YAML 1.1, where a plain `on`, `no` or `1e3` is no string; all of them can be names. So every string is
//! quoted, in JSON's way, which is YAML's too.

use serde_json::Value;

/// Words that YAML 1.1 takes for something else than a string.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// The object as block YAML.
pub(crate) fn write(object: &Value) -> String {
    block(object, 0)
}

fn block(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let lines: Vec<String> = match value {
        Value::Object(members) if !members.is_empty() => {
            let line = |(name, value): (&String, &Value)| {
                format!("{indent}{}:{}", key(name), member(value, depth + 1))
            };
            members.iter().map(line).collect()
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(|item| format!("{indent}- {}", block(item, depth + 1).trim_start())).collect()
        }
        _ => vec![format!("{indent}{value}\n")],
    };
    lines.concat()
}

// The fields of our kinds are plain words; the names of labels need not be.
fn key(name: &str) -> String {
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && name.starts_with(|first: char| first.is_ascii_lowercase());
    if word && !WORDS.contains(&name.to_ascii_lowercase().as_str()) {
        return name.to_owned();
    }
    Value::from(name).to_string()
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
        let object = json!({"a": {"name": "on", "none": {}, "x.y/z": 1, "off": 2, "1": 3}, "b": [{"c": "1e3", "d": true}, {"c": "x"}], "e": 7});
        let text = "\
a:
  \"1\": 3
  name: \"on\"
  none:
    {}
  \"off\": 2
  \"x.y/z\": 1
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
