//! The parser: one pass over the text, recursion bounded by [`DEPTH_MAX`].

use std::{borrow::Cow, hash::RandomState};

use super::{
    DEPTH_MAX, Json, JsonError, JsonErrorKind, MEMBERS_MAX, NUMBER_BYTES_MAX, Number, Object, Twins,
    VALUES_MAX, twins, words,
};

/// Reads one JSON document from `bytes`, keys that fold onto a sibling refused.
///
/// # Errors
/// The first fault, with its byte offset and path: see [`JsonErrorKind`].
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    parse_with(bytes, Twins::Refused)
}

/// Reads one JSON document from `bytes`.
///
/// # Errors
/// The first fault, with its byte offset and path: see [`JsonErrorKind`].
pub fn parse_with(bytes: &[u8], twins: Twins) -> Result<Json<'_>, JsonError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonError::new(JsonErrorKind::ByteOrderMark, 0));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::new(JsonErrorKind::NotUtf8, error.valid_up_to()))?;
    let mut parser = Parser { text, bytes, position: 0, depth: 0, values: 0, twins, hasher: None };
    parser.skip_white_space();
    let value = parser.value()?;
    parser.skip_white_space();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.fault(JsonErrorKind::TrailingData)),
    }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    position: usize,
    depth: usize,
    values: usize,
    twins: Twins,
    /// Keyed at random once a document, so that no sender can choose keys that collide.
    hasher: Option<RandomState>,
}

impl<'a> Parser<'a> {
    fn fault(&self, kind: JsonErrorKind) -> JsonError {
        JsonError::new(kind, self.position)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.position += 1;
        }
    }

    /// The fault of finding this, or nothing, where something else must stand.
    fn unexpected(&self) -> JsonError {
        match self.peek() {
            Some(_) => self.fault(JsonErrorKind::UnexpectedByte),
            None => self.fault(JsonErrorKind::UnexpectedEnd),
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected());
        }
        self.position += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<Json<'a>, JsonError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.fault(JsonErrorKind::TooManyValues));
        }
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    fn nested(
        &mut self,
        container: impl FnOnce(&mut Self) -> Result<Json<'a>, JsonError>,
    ) -> Result<Json<'a>, JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(self.fault(JsonErrorKind::TooDeep));
        }
        self.depth += 1;
        self.position += 1;
        self.skip_white_space();
        let value = container(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// The items and the closing bracket; the opening one is behind.
    fn array(&mut self) -> Result<Json<'a>, JsonError> {
        let mut items = Vec::new();
        if self.ends_empty(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            let item = self.value().map_err(|error| error.inside_index(items.len()))?;
            items.push(item);
            if self.ends(b']')? {
                return Ok(Json::Array(items));
            }
        }
    }

    /// The members and the closing brace; the opening one is behind.
    fn object(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.position;
        let mut members = Vec::new();
        if self.ends_empty(b'}') {
            return Ok(Json::Object(Object { members }));
        }
        loop {
            if members.len() == MEMBERS_MAX {
                return Err(self.fault(JsonErrorKind::TooManyMembers));
            }
            let key = self.key()?;
            let value = match self.member_value() {
                Ok(value) => value,
                Err(error) => return Err(error.inside_key(&key)),
            };
            members.push((key, value));
            if self.ends(b'}')? {
                break;
            }
        }
        self.refuse_twins(&members, start)?;
        Ok(Json::Object(Object { members }))
    }

    fn key(&mut self) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        self.string()
    }

    fn member_value(&mut self) -> Result<Json<'a>, JsonError> {
        self.skip_white_space();
        self.expect(b':')?;
        self.skip_white_space();
        self.value()
    }

    /// Whether the container ends before its first element.
    fn ends_empty(&mut self, close: u8) -> bool {
        let ends = self.peek() == Some(close);
        self.position += usize::from(ends);
        ends
    }

    /// After an element: whether the container ends. If not, the next element is under the cursor.
    fn ends(&mut self, close: u8) -> Result<bool, JsonError> {
        self.skip_white_space();
        if self.ends_empty(close) {
            return Ok(true);
        }
        self.expect(b',')?;
        self.skip_white_space();
        Ok(false)
    }

    fn number(&mut self) -> Result<Number<'a>, JsonError> {
        let start = self.position;
        self.position += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.position += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.fault(JsonErrorKind::BadNumber)),
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.position += 1;
            self.position += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // `01`, `1.2.3` and `0x1f` stop early: say so here rather than of the byte that follows.
        if let Some(b'0'..=b'9' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-') = self.peek() {
            return Err(self.fault(JsonErrorKind::BadNumber));
        }
        if self.position - start > NUMBER_BYTES_MAX {
            return Err(JsonError::new(JsonErrorKind::NumberTooLong, start));
        }
        Ok(Number(Cow::Borrowed(&self.text[start..self.position])))
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.position;
        while let Some(b'0'..=b'9') = self.peek() {
            self.position += 1;
        }
        if self.position == start {
            return Err(self.fault(JsonErrorKind::BadNumber));
        }
        Ok(())
    }

    /// A string; the cursor is on its opening quote. Without escapes it is borrowed.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.position += 1;
        let plain = self.plain_run()?;
        if self.peek() == Some(b'"') {
            self.position += 1;
            return Ok(Cow::Borrowed(plain));
        }
        let mut unescaped = String::from(plain);
        loop {
            // The cursor is on a backslash: a run ends nowhere else but at the closing quote.
            self.position += 1;
            unescaped.push(self.escape()?);
            unescaped.push_str(self.plain_run()?);
            if self.peek() == Some(b'"') {
                self.position += 1;
                return Ok(Cow::Owned(unescaped));
            }
        }
    }

    /// Up to the next quote or backslash.
    fn plain_run(&mut self) -> Result<&'a str, JsonError> {
        let start = self.position;
        self.position += words::plain_length(&self.bytes[start..]);
        match self.peek() {
            None => Err(self.fault(JsonErrorKind::UnexpectedEnd)),
            // Both are ASCII, so the slice ends on a character boundary.
            Some(b'"' | b'\\') => Ok(&self.text[start..self.position]),
            Some(_) => Err(self.fault(JsonErrorKind::ControlInString)),
        }
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let character = match self.peek() {
            None => return Err(self.fault(JsonErrorKind::UnexpectedEnd)),
            Some(b'u') => return self.unicode_escape(),
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) => return Err(self.fault(JsonErrorKind::BadEscape)),
        };
        self.position += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.position - 1;
        let lone = || JsonError::new(JsonErrorKind::LoneSurrogate, start);
        let first = self.code_unit()?;
        if let Some(character) = char::from_u32(u32::from(first)) {
            return Ok(character);
        }
        if self.peek() != Some(b'\\') || self.bytes.get(self.position + 1) != Some(&b'u') {
            return Err(lone());
        }
        self.position += 1;
        let second = self.code_unit()?;
        char::decode_utf16([first, second]).next().and_then(Result::ok).ok_or_else(lone)
    }

    /// `u` and four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u16, JsonError> {
        self.position += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = match self.peek() {
                None => return Err(self.fault(JsonErrorKind::UnexpectedEnd)),
                Some(byte @ b'0'..=b'9') => byte - b'0',
                Some(byte @ b'a'..=b'f') => byte - b'a' + 10,
                Some(byte @ b'A'..=b'F') => byte - b'A' + 10,
                Some(_) => return Err(self.fault(JsonErrorKind::BadEscape)),
            };
            unit = unit << 4 | u16::from(digit);
            self.position += 1;
        }
        Ok(unit)
    }

    /// Refuses an object of which two keys are, or may be read as, one.
    fn refuse_twins(&mut self, members: &[(Cow<'a, str>, Json<'a>)], start: usize) -> Result<(), JsonError> {
        let Some((earlier, later)) = twins::first(members, self.twins, &mut self.hasher) else {
            return Ok(());
        };
        let kind = if earlier == later { JsonErrorKind::DuplicateKey } else { JsonErrorKind::TwinKey };
        Err(JsonError::new(kind, start).inside_key(later))
    }
}
