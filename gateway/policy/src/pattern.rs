//! Names and globs, as policies write them.

use std::fmt;

/// The longest name or glob, in characters.
pub const PATTERN_CHARACTERS_MAX: usize = 128;

/// The longest URI of a resource, in bytes.
pub const URI_BYTES_MAX: usize = 2048;

/// A name or a URI, or a glob: `*` stands for any number of characters, `?` for one. In a URI neither stands for a `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    glob: bool,
    segments: bool,
}

/// Why a text is no name and no glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern(&'static str);

impl Pattern {
    /// Reads a name or a glob of letters, digits, `_`, `-`, `.`, `*` and `?`.
    ///
    /// # Errors
    /// When it is empty, longer than 128 characters, or has another character. Names with others can never be called.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() || text.len() > PATTERN_CHARACTERS_MAX {
            return Err(InvalidPattern("must have 1 to 128 characters"));
        }
        if !text.bytes().all(|byte| is_name_byte(byte) || byte == b'*' || byte == b'?') {
            return Err(InvalidPattern("may only have letters, digits, and the characters _ - . * ?"));
        }
        Ok(Self { text: text.to_owned(), glob: text.contains(['*', '?']), segments: false })
    }

    /// Reads a URI, a URI template, or a glob of URIs.
    ///
    /// # Errors
    /// When it is empty, too long, or could never be the URI of a resource that is let through.
    pub fn parse_uri(text: &str) -> Result<Self, InvalidPattern> {
        if !is_resource_uri(text) {
            return Err(InvalidPattern(
                "must be a URI of visible ASCII, without backslashes, dot segments or encoded dots and slashes",
            ));
        }
        Ok(Self { text: text.to_owned(), glob: text.contains(['*', '?']), segments: true })
    }

    /// Whether it is a glob.
    pub fn is_glob(&self) -> bool {
        self.glob
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What every name that it covers begins with, and what it ends with: the text before the first wildcard and after
    /// the last. Of what is no glob, both are all of it.
    pub(crate) fn literal_ends(&self) -> (&str, &str) {
        let wildcards = ['*', '?'];
        let beginning = self.text.split(wildcards).next().unwrap_or_default();
        let end = self.text.rsplit(wildcards).next().unwrap_or_default();
        (beginning, end)
    }

    /// Whether it covers a name. Compares bytes: case matters, and nothing is normalised.
    pub fn matches(&self, name: &str) -> bool {
        match (self.glob, self.segments) {
            (false, _) => self.text == name,
            (true, false) => glob(self.text.as_bytes(), name.as_bytes()),
            (true, true) => by_segments(&self.text, name),
        }
    }
}

/// Whether a text can be the name of a tool at all: 1 to 128 letters, digits, `_`, `-` or `.`.
///
/// The protocol says that names should look so. Anything else, look-alikes and invisible characters above all, is
/// taken for a tool that does not exist.
pub fn is_tool_name(name: &str) -> bool {
    (1..=PATTERN_CHARACTERS_MAX).contains(&name.len()) && name.bytes().all(is_name_byte)
}

/// Whether a text can be the URI of a resource that is let through.
///
/// What servers might resolve to another resource is none: dot segments, plain or encoded, encoded slashes and
/// backslashes.
pub fn is_resource_uri(uri: &str) -> bool {
    let visible = uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let lower = uri.to_ascii_lowercase();
    let encoded = ["%2e", "%2f", "%5c", "%00", "%25"].iter().any(|escape| lower.contains(escape));
    let dotted = uri.split(['/', '?', '#']).any(|segment| segment == "." || segment == "..");
    (1..=URI_BYTES_MAX).contains(&uri.len()) && visible && !encoded && !dotted
}

// As many segments as the pattern has, each covered by its own.
fn by_segments(pattern: &str, name: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('/'), name.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if glob(pattern.as_bytes(), name.as_bytes()) => {}
            _ => return false,
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

// Linear in the name for each star: on a mismatch only the last star is tried again.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for InvalidPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_what_they_say() {
        for (pattern, name, covered) in [
            ("*", "", true),
            ("*", "anything", true),
            ("stop_*", "stop_salesbot", true),
            ("stop_*", "stop_", true),
            ("stop_*", "unstop_x", false),
            ("*_lead", "move_lead", true),
            ("*_lead", "move_leads", false),
            ("get_?ead", "get_lead", true),
            ("get_?ead", "get_ead", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXc", false),
            ("Move_lead", "move_lead", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), covered, "{pattern} over {name}");
        }
    }

    #[test]
    fn a_pattern_has_a_longest_length_and_a_closed_alphabet() {
        assert!(Pattern::parse(&"a".repeat(PATTERN_CHARACTERS_MAX)).is_ok());
        for text in [
            String::new(),
            "a".repeat(PATTERN_CHARACTERS_MAX + 1),
            "move lead".into(),
            "moѵe".into(),
            "a/b".into(),
        ] {
            assert!(Pattern::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_star_in_a_uri_stops_at_a_slash() {
        for (pattern, uri, covered) in [
            ("kommo://reports/*", "kommo://reports/sales", true),
            ("kommo://reports/*", "kommo://reports/sales/2026", false),
            ("kommo://*/sales", "kommo://reports/sales", true),
            ("kommo://*", "kommo://reports/sales", false),
            ("kommo://leads/?", "kommo://leads/7", true),
            ("kommo://leads/?", "kommo://leads//", false),
            ("file:///a/*b*c", "file:///a/XbXbc", true),
            ("kommo://account", "KOMMO://account", false),
        ] {
            assert_eq!(Pattern::parse_uri(pattern).unwrap().matches(uri), covered, "{pattern} over {uri}");
        }
    }

    #[test]
    fn what_a_server_might_resolve_to_another_resource_is_no_uri() {
        assert!(is_resource_uri("kommo://reports/sales") && is_resource_uri("file:///a..b/.c"));
        for uri in [
            "",
            "file:///a/../b",
            "file:///a/./b",
            "file:///a/..",
            "file:///a/%2e%2E/b",
            "file:///a%2Fb",
            "file:///a\\b",
            "file:///a%5cb",
            "file:///a b",
            "file:///ä",
            "file:///a%00",
            "file:///a/..?x",
            "file:///a%252e",
        ] {
            assert!(!is_resource_uri(uri), "{uri}");
        }
        let long = |bytes: usize| "u".repeat(bytes);
        assert!(is_resource_uri(&long(URI_BYTES_MAX)) && !is_resource_uri(&long(URI_BYTES_MAX + 1)));
    }

    #[test]
    fn look_alikes_are_no_tool_names() {
        assert!(is_tool_name("move_lead") && is_tool_name("a.B-9"));
        assert!(is_tool_name(&"a".repeat(128)) && !is_tool_name(&"a".repeat(129)));
        for name in ["", "move_lead ", " move_lead", "move\u{200b}_lead", "mоve_lead", "move_lead\0", "get_*"]
        {
            assert!(!is_tool_name(name), "{name:?}");
        }
    }
}
