//! The canonical text of a tree: members in order, numbers verbatim, no white space.

use super::{Json, Object, words};

/// Appends the text of `value` to `out`.
pub fn write(value: &Json<'_>, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => out.extend_from_slice(number.text().as_bytes()),
        Json::String(text) => write_string(text, out),
        Json::Array(items) => write_array(items, out),
        Json::Object(object) => write_object(object, out),
    }
}

/// The text of `value` on its own.
pub fn to_bytes(value: &Json<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

fn write_array(items: &[Json<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Appends the text of an object.
pub fn write_object(object: &Object<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, value)) in object.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

/// Appends `text` as a JSON string, quotes included. Only what must be escaped is, and what line
/// readers take for the end of a line: every control character (U+0085 too) and U+2028 and U+2029.
/// So a string can never break the line of an event stream, whoever splits it.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let printable = words::printable_length(bytes);
    out.extend_from_slice(&bytes[..printable]);
    let (mut written, mut index) = (printable, printable);
    while index < bytes.len() {
        if !may_begin_an_escape(bytes[index]) {
            index += 1;
            continue;
        }
        // Such a byte is ASCII or the first of its character, so this is a character boundary.
        let Some(character) = text[index..].chars().next() else { break };
        let next = index + character.len_utf8();
        if must_be_escaped(character) {
            out.extend_from_slice(&bytes[written..index]);
            write_escape(character, out);
            written = next;
        }
        index = next;
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

/// Whether a character that must be escaped can begin with `byte`: U+0080 to U+009F begin with C2,
/// U+2028 and U+2029 with E2.
fn may_begin_an_escape(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\' | 0x7f | 0xC2 | 0xE2)
}

fn must_be_escaped(character: char) -> bool {
    matches!(character, '"' | '\\' | '\u{2028}' | '\u{2029}') || character.is_control()
}

fn write_escape(character: char, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        // All the others are below U+FFFF, so four digits are enough.
        other => {
            let code = u32::from(other);
            out.extend_from_slice(b"\\u");
            out.extend([12, 8, 4, 0].map(|shift| HEX[(code >> shift & 0xf) as usize]));
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
