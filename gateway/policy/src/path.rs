//! Paths into a call's arguments: `args.amount`, `args.items[*].price`, `args.ids[0]`, `args["a.b"]`.

use std::fmt;

use crate::json::{Json, Object};

/// The most steps of a path.
pub(crate) const STEPS_MAX: usize = 16;

/// A path, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    Every,
}

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidPath(&'static str);

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a, 'j> {
    /// A value that is there and not null.
    Value(&'a Json<'j>),
    /// Nothing, or null, or something else where an object or an array should be.
    Nothing,
}

impl Path {
    /// Reads a path.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPath> {
        let mut rest = text.strip_prefix("args").ok_or(InvalidPath("must begin with args"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = step(rest)?;
            steps.push(step);
            rest = after;
        }
        match steps.len() {
            0 => Err(InvalidPath("must name an argument, such as args.amount")),
            1..=STEPS_MAX => Ok(Self { steps }),
            _ => Err(InvalidPath("must have at most 16 steps")),
        }
    }

    /// Whether it leads to many values.
    pub(crate) fn is_many(&self) -> bool {
        self.steps.contains(&Step::Every)
    }

    /// Visits what is at the path: once, or for each item of the arrays at `[*]`. Nothing is visited for an empty array.
    pub(crate) fn visit<'a, 'j>(
        &self,
        arguments: Option<&'a Object<'j>>,
        visit: &mut impl FnMut(Found<'a, 'j>),
    ) {
        let first = match (&self.steps[0], arguments) {
            (Step::Member(name), Some(arguments)) => arguments.get(name),
            _ => None,
        };
        descend(first, &self.steps[1..], visit);
    }
}

fn descend<'a, 'j>(value: Option<&'a Json<'j>>, steps: &[Step], visit: &mut impl FnMut(Found<'a, 'j>)) {
    let Some(value) = value.filter(|value| !matches!(value, Json::Null)) else {
        return visit(Found::Nothing);
    };
    let Some((step, rest)) = steps.split_first() else { return visit(Found::Value(value)) };
    match step {
        Step::Member(name) => descend(value.as_object().and_then(|object| object.get(name)), rest, visit),
        Step::Item(index) => descend(value.as_array().and_then(|items| items.get(*index)), rest, visit),
        Step::Every => match value.as_array() {
            Some(items) => items.iter().for_each(|item| descend(Some(item), rest, visit)),
            None => visit(Found::Nothing),
        },
    }
}

fn step(text: &str) -> Result<(Step, &str), InvalidPath> {
    if let Some(rest) = text.strip_prefix("[*]") {
        return Ok((Step::Every, rest));
    }
    if let Some(rest) = text.strip_prefix("[\"") {
        let (name, rest) =
            rest.split_once("\"]").ok_or(InvalidPath("has a quoted name that does not end"))?;
        let plain = !name.is_empty() && !name.contains(['"', '\\']);
        return if plain {
            Ok((Step::Member(name.to_owned()), rest))
        } else {
            Err(InvalidPath("has an odd quoted name"))
        };
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (index, rest) = rest.split_once(']').ok_or(InvalidPath("has a bracket that does not end"))?;
        let plain = index == "0" || !index.starts_with(['0', '+']);
        let index = index.parse().ok().filter(|_| plain);
        return Ok((
            Step::Item(index.ok_or(InvalidPath("wants a number, * or a quoted name between brackets"))?),
            rest,
        ));
    }
    let rest = text.strip_prefix('.').ok_or(InvalidPath("wants . or [ after each name"))?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    if !is_plain(name) {
        return Err(InvalidPath("wants names of letters, digits, _ - $; quote others: args[\"a.b\"]"));
    }
    Ok((Step::Member(name.to_owned()), rest))
}

// Whether a name needs no quotes.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'$';
    !name.is_empty() && name.bytes().all(plain)
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("args")?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Every => formatter.write_str("[*]"),
            Step::Item(index) => write!(formatter, "[{index}]"),
            Step::Member(name) if is_plain(name) => write!(formatter, ".{name}"),
            Step::Member(name) => write!(formatter, "[\"{name}\"]"),
        })
    }
}

impl fmt::Display for InvalidPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn found(path: &str, arguments: &str) -> Vec<String> {
        let parsed = json::parse(arguments.as_bytes()).unwrap();
        let mut found = Vec::new();
        Path::parse(path).unwrap().visit(parsed.as_object(), &mut |at| {
            found.push(match at {
                Found::Value(value) => String::from_utf8(json::to_bytes(value)).unwrap(),
                Found::Nothing => "-".to_owned(),
            });
        });
        found
    }

    #[test]
    fn a_path_finds_what_it_names() {
        let arguments =
            r#"{"a":{"b":7,"c.d":8},"items":[{"price":1},{"price":null},{},5],"none":[],"null":null}"#;
        for (path, expected) in [
            ("args.a.b", vec!["7"]),
            ("args.a[\"c.d\"]", vec!["8"]),
            ("args[\"a\"].b", vec!["7"]),
            ("args.items[0].price", vec!["1"]),
            ("args.items[*].price", vec!["1", "-", "-", "-"]),
            ("args.items[9]", vec!["-"]),
            ("args.none[*]", vec![]),
            ("args.a[*]", vec!["-"]),
            ("args.null", vec!["-"]),
            ("args.A.b", vec!["-"]),
            ("args.a.b.c", vec!["-"]),
        ] {
            assert_eq!(found(path, arguments), expected, "{path}");
            let told = Path::parse(path).unwrap().to_string();
            assert_eq!(Path::parse(&told), Path::parse(path), "{told}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "args",
            "amount",
            "args.",
            "args..a",
            "argsa",
            "args.a b",
            "args[",
            "args[a]",
            "args[01]",
            "args[-1]",
            "args[\"\"]",
            "args[\"a]",
            "args.a]",
        ] {
            assert!(Path::parse(text).is_err(), "{text:?} was read as a path");
        }
        let long = |steps: usize| format!("args{}", ".a".repeat(steps));
        assert!(Path::parse(&long(STEPS_MAX)).is_ok() && Path::parse(&long(STEPS_MAX + 1)).is_err());
    }
}
