//! Server-sent events: an incremental decoder and an encoder.
//!
//! The decoder reads every framing that the format allows, however the bytes are cut, so that an event
//! that a client would see cannot slip past as something else. What goes on is written anew, in the
//! plainest framing.

use std::mem;

/// How many bytes one event may hold while it is being read.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// An event.
    Event(Event),
    /// A comment line, without its colon: a sign of life. It comes when it is read, which is before the
    /// event it may stand in.
    Comment(String),
}

/// One event. A field that is `None` was not there; `data` may be there and empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// `id`: where a client may resume.
    pub id: Option<String>,
    /// `event`: its type.
    pub event: Option<String>,
    /// `retry`: how many milliseconds to wait before connecting again.
    pub retry: Option<u64>,
    /// `data`: its lines, joined by line feeds.
    pub data: Option<String>,
}

/// Why a stream cannot be read on. It must be ended: what follows cannot be trusted to be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// One event is larger than the bound.
    #[error("an event is larger than {0} bytes")]
    TooLarge(usize),
    /// A line is not UTF-8.
    #[error("a line of the event stream is not UTF-8")]
    NotUtf8,
}

/// Reads a stream piece by piece.
#[derive(Debug)]
pub struct Decoder {
    event_bytes_max: usize,
    line: Vec<u8>,
    event: Event,
    /// What `event` holds, in bytes.
    event_bytes: usize,
    /// The last byte was a carriage return that ended a line; a line feed right after it belongs to it.
    after_carriage_return: bool,
    at_first_line: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(EVENT_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder at the start of a stream that refuses events larger than `event_bytes_max`.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            line: Vec::new(),
            event: Event::default(),
            event_bytes: 0,
            after_carriage_return: false,
            at_first_line: true,
        }
    }

    /// Reads the next bytes and appends what they complete to `frames`. What the stream ends within
    /// never comes out, as the format wants.
    ///
    /// # Errors
    /// The stream cannot be read on; frames before the fault were appended.
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), SseError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if mem::take(&mut self.after_carriage_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            self.extend_line(&rest[..end.unwrap_or(rest.len())])?;
            let Some(end) = end else { return Ok(()) };
            self.after_carriage_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.end_line(frames)?;
        }
        Ok(())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        if self.event_bytes + self.line.len() + bytes.len() > self.event_bytes_max {
            return Err(SseError::TooLarge(self.event_bytes_max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) -> Result<(), SseError> {
        let line = mem::take(&mut self.line);
        let line = match line.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if self.at_first_line => rest,
            _ => &line,
        };
        self.at_first_line = false;
        let line = str::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
        if line.is_empty() {
            self.event_bytes = 0;
            let event = mem::take(&mut self.event);
            if event != Event::default() {
                frames.push(Frame::Event(event));
            }
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix(':') {
            frames.push(Frame::Comment(comment.to_owned()));
            return Ok(());
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        self.set_field(name, value.strip_prefix(' ').unwrap_or(value));
        Ok(())
    }

    /// Field names are compared exactly and other fields are dropped, as the format wants.
    fn set_field(&mut self, name: &str, value: &str) {
        let event = &mut self.event;
        match name {
            "data" => match &mut event.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => event.data = Some(value.to_owned()),
            },
            "event" => event.event = Some(value.to_owned()),
            "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                event.retry = value.parse().ok().or(event.retry);
            }
            _ => {}
        }
        let length = |field: &Option<String>| field.as_ref().map_or(0, String::len);
        self.event_bytes = length(&event.id) + length(&event.event) + length(&event.data);
    }
}

impl Event {
    /// An event of one message.
    pub fn of_data(data: String) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    /// Appends the event to `out`: line feeds only, one `data` line for each line of the data.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { id, event, retry, data } = self;
        if let Some(id) = id {
            write_line("id", id, out);
        }
        if let Some(event) = event {
            write_line("event", event, out);
        }
        if let Some(retry) = retry {
            write_line("retry", &retry.to_string(), out);
        }
        if let Some(data) = data {
            for line in lines(data) {
                write_line("data", line, out);
            }
        }
        out.push(b'\n');
    }
}

/// Appends a comment to `out`, followed by an empty line so that line readers hand it on at once.
pub fn write_comment(comment: &str, out: &mut Vec<u8>) {
    for line in lines(comment) {
        out.push(b':');
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

impl Frame {
    /// Appends the frame to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Event(event) => event.write(out),
            Self::Comment(comment) => write_comment(comment, out),
        }
    }
}

/// The lines of a text by the format's three line ends.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// One field. A decoded value has no line end; in one of our own it becomes a space.
fn write_line(name: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.push(b'\n');
}
