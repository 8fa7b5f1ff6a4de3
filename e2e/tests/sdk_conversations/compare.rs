//! What is different between two ways of holding the same conversation.

use std::fmt;

use serde_json::Value;

use super::normal;
use super::peers::Talk;

/// Something that one side heard in one way only, or in another way.
#[derive(Debug)]
pub(crate) struct Difference {
    where_: String,
    direct: String,
    through: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n  direct:  {}\n  through: {}", self.where_, self.direct, self.through)
    }
}

/// What the client made of each step.
pub(crate) fn outcomes(talk: &Talk) -> Vec<(String, Value)> {
    talk.steps.iter().map(|step| (step["step"].to_string(), normal(step))).collect()
}

/// What the client keeps for the server without looking at it: another text through the gateway, and the server's own
/// when it comes back to the server.
pub(crate) fn sealed(mut exchanges: Vec<(String, Value)>) -> Vec<(String, Value)> {
    fn cover(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(cover),
            Value::Object(members) => {
                if let Some(state) = members.get_mut("requestState") {
                    *state = Value::String("state".to_owned());
                }
                members.values_mut().for_each(cover);
            }
            _ => {}
        }
    }
    for (_, exchange) in &mut exchanges {
        cover(exchange);
    }
    exchanges
}

/// Everything that is not the same in both, in order.
pub(crate) fn differences(
    seen: &str,
    direct: &[(String, Value)],
    through: &[(String, Value)],
) -> Vec<Difference> {
    let mut through: Vec<&(String, Value)> = through.iter().collect();
    let mut found = Vec::new();
    for (key, value) in direct {
        let counterpart = through.iter().position(|other| other.0 == *key).map(|at| through.remove(at));
        match counterpart {
            None => found.push(difference(seen, key, &value.to_string(), "(nothing)")),
            Some((_, other)) if other != value => tell(seen, key, value, other, &mut found),
            Some(_) => {}
        }
    }
    found.extend(
        through.into_iter().map(|(key, value)| difference(seen, key, "(nothing)", &value.to_string())),
    );
    found
}

// Goes down to where the two part.
fn tell(seen: &str, place: &str, direct: &Value, through: &Value, found: &mut Vec<Difference>) {
    match (direct, through) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                let (one, other) =
                    (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                if one != other {
                    tell(seen, &format!("{place} / {key}"), one, other, found);
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                if one != other {
                    tell(seen, &format!("{place} / {at}"), one, other, found);
                }
            }
        }
        _ => found.push(difference(seen, place, &direct.to_string(), &through.to_string())),
    }
}

fn difference(seen: &str, place: &str, direct: &str, through: &str) -> Difference {
    Difference { where_: format!("{seen}: {place}"), direct: direct.to_owned(), through: through.to_owned() }
}
