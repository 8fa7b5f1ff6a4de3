//! JSON in plain ASCII, so that no name that a caller made up can end a line, hide in it or turn a terminal around.

use std::io::Write as _;

use crate::correlation::Hex;

/// The members of an object that is being written.
#[derive(Debug)]
pub(super) struct Members<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Members<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.key(key);
        string(text, self.out);
    }

    /// A text of ours, with nothing in it that has to be escaped.
    pub(super) fn word(&mut self, key: &'static str, word: &'static str) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    pub(super) fn digits<const BYTES: usize>(&mut self, key: &'static str, hex: &Hex<BYTES>) {
        self.key(key);
        self.out.push(b'"');
        hex.write(self.out);
        self.out.push(b'"');
    }

    pub(super) fn maybe(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(super) fn number(&mut self, key: &'static str, number: i64) {
        self.key(key);
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    pub(super) fn texts(&mut self, key: &'static str, texts: &[String]) {
        self.key(key);
        self.out.push(b'[');
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            string(text, self.out);
        }
        self.out.push(b']');
    }

    // Keys are ours, and plain.
    fn key(&mut self, key: &'static str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Without a way out of the loop it takes many bytes at once.
    let mut rest = text;
    if !text.bytes().fold(false, |escaped, byte| escaped | is_escaped(byte)) {
        out.extend_from_slice(text.as_bytes());
        rest = "";
    }
    loop {
        let plain = rest.bytes().position(is_escaped).unwrap_or(rest.len());
        out.extend_from_slice(&rest.as_bytes()[..plain]);
        // Every byte before it is ASCII, so a character begins there.
        let mut behind = rest[plain..].chars();
        let Some(character) = behind.next() else { break };
        escape(character, out);
        rest = behind.as_str();
    }
    out.push(b'"');
}

fn is_escaped(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\'
}

fn escape(character: char, out: &mut Vec<u8>) {
    if character.is_ascii() && !character.is_ascii_control() {
        out.extend([b'\\', character as u8]);
        return;
    }
    for unit in character.encode_utf16(&mut [0; 2]) {
        write!(out, "\\u{unit:04x}").expect("a Vec takes every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_one_line_of_ascii_and_reads_back() {
        for text in
            ["", "move_lead", "a\"b\\c", "a\nb\r\u{0}\u{7f}", "\u{202e}\u{2028}\u{85}\u{9b}31m", "лид 🦀"]
        {
            let mut out = Vec::new();
            let mut members = Members::begin(&mut out);
            members.text("name", text);
            members.texts("keys", &[text.to_owned(), text.to_owned()]);
            members.number("n", -1);
            members.end();
            assert!(out.iter().all(|byte| (b' '..=b'~').contains(byte)), "{text:?}");
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(read, serde_json::json!({"name": text, "keys": [text, text], "n": -1}));
        }
    }
}
