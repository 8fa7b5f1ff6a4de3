//! Whether the bytes of a connection are framed beyond doubt, before the HTTP library reads them.
//!
//! The library is lax where its standard lets it be: a bare line feed ends a line, and of a length and a transfer coding
//! together the coding wins. Whoever stands in front may read the same bytes as other requests. Here every line of a head
//! and of a chunked body ends with CR LF, and a request says in exactly one way how long it is.
//!
//! It holds no bytes back and keeps only a line's beginning, so it costs one look at each byte of a head, and none at
//! those of a body whose length is known.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most of a line that is kept. A longer one is none of those that matter here.
const LINE_BYTES_MAX: usize = 64;

/// Where in a connection's bytes the next one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before a request: a client may send one empty line too many.
    Start,
    /// In the first line of a head.
    First,
    /// In another line of a head.
    Field,
    /// In a body of which this many bytes are still to come.
    Body(u64),
    /// In the line that says how long a chunk is.
    Size,
    /// In a chunk of which this many bytes are still to come, its line end included.
    Chunk(u64),
    /// In a line after the last chunk.
    Trailer,
}

/// What one head says of its body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Length {
    bytes: Option<u64>,
    chunked: bool,
}

/// Reads along with a connection.
#[derive(Debug)]
pub(super) struct Framing {
    at: At,
    /// The beginning of the line.
    line: [u8; LINE_BYTES_MAX],
    /// How long the line is so far, its CR included.
    length: usize,
    after_return: bool,
    says: Length,
}

impl Default for Framing {
    fn default() -> Self {
        let says = Length::default();
        Self { at: At::Start, line: [0; LINE_BYTES_MAX], length: 0, after_return: false, says }
    }
}

/// The framing is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt;

impl Framing {
    /// Reads the next bytes. The error tells which byte is the first that may not be read.
    ///
    /// # Errors
    /// Some reader could take these bytes for other requests than another one.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut next = 0;
        while let Some(byte) = bytes.get(next) {
            match &mut self.at {
                At::Body(left) => {
                    let skipped = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - next);
                    *left -= skipped as u64;
                    next += skipped;
                    if *left == 0 {
                        self.at = At::Start;
                    }
                }
                // The last two bytes of a chunk are the end of its line.
                At::Chunk(left) if *left > 2 => {
                    let skipped = usize::try_from(*left - 2).unwrap_or(usize::MAX).min(bytes.len() - next);
                    *left -= skipped as u64;
                    next += skipped;
                }
                At::Start | At::First | At::Field | At::Size | At::Trailer if !self.after_return => {
                    let rest = &bytes[next..];
                    let plain = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
                    self.text(&rest[..plain]).map_err(|Doubt| next)?;
                    next += plain;
                    if let Some(byte) = rest.get(plain) {
                        self.step(*byte).map_err(|Doubt| next)?;
                        next += 1;
                    }
                }
                _ => {
                    self.step(*byte).map_err(|Doubt| next)?;
                    next += 1;
                }
            }
        }
        Ok(())
    }

    // Of a line, without its end.
    fn text(&mut self, text: &[u8]) -> Result<(), Doubt> {
        let Some(first) = text.first() else { return Ok(()) };
        // A line that goes on with the one before it.
        if self.length == 0 && matches!(first, b' ' | b'\t') {
            return Err(Doubt);
        }
        let place = self.line.get_mut(self.length..).unwrap_or_default();
        let kept = text.len().min(place.len());
        place[..kept].copy_from_slice(&text[..kept]);
        self.length = self.length.saturating_add(text.len());
        if self.at == At::Start {
            self.at = At::First;
        }
        Ok(())
    }

    // One byte that is no line's text: of a line's end, or of a chunk's.
    fn step(&mut self, byte: u8) -> Result<(), Doubt> {
        if let At::Chunk(left) = &mut self.at {
            let expected = if *left == 2 { b'\r' } else { b'\n' };
            *left -= 1;
            let over = *left == 0;
            if byte != expected {
                return Err(Doubt);
            }
            if over {
                self.at = At::Size;
            }
            return Ok(());
        }
        if self.after_return {
            self.after_return = false;
            return if byte == b'\n' { self.end_line() } else { Err(Doubt) };
        }
        // A bare line feed, or a NUL.
        if byte != b'\r' {
            return Err(Doubt);
        }
        self.after_return = true;
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Doubt> {
        let length = std::mem::take(&mut self.length);
        let line = &self.line[..length.min(LINE_BYTES_MAX)];
        match self.at {
            At::First => {
                self.says = Length::default();
                self.at = At::Field;
            }
            At::Field if length == 0 => self.at = self.says.body()?,
            At::Field => self.says.field(line, length)?,
            At::Size => {
                let size = chunk_size(line, length)?;
                self.at = if size == 0 { At::Trailer } else { At::Chunk(size.checked_add(2).ok_or(Doubt)?) };
            }
            At::Trailer if length == 0 => self.at = At::Start,
            // One empty line before a request is none too many.
            At::Start | At::Trailer => {}
            // Neither has lines.
            At::Body(_) | At::Chunk(_) => return Err(Doubt),
        }
        Ok(())
    }
}

impl Length {
    fn field(&mut self, line: &[u8], length: usize) -> Result<(), Doubt> {
        let Some(colon) = memchr::memchr(b':', line) else {
            // A name of more than what is kept is neither of the two; a short line without a colon is no field.
            return if length > LINE_BYTES_MAX { Ok(()) } else { Err(Doubt) };
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return Err(Doubt);
        }
        let named = |known: &[u8]| {
            name.len() == known.len()
                && name.iter().zip(known).all(|(byte, known)| {
                    // Some servers take an underscore for a hyphen.
                    byte.to_ascii_lowercase() == *known || (*byte == b'_' && *known == b'-')
                })
        };
        let (length_of, coding) = (named(b"content-length"), named(b"transfer-encoding"));
        if !length_of && !coding {
            return Ok(());
        }
        // Said twice, with an underscore, or in more than can be kept: in doubt.
        let doubtful =
            self.bytes.is_some() || self.chunked || name.contains(&b'_') || length > LINE_BYTES_MAX;
        if doubtful {
            return Err(Doubt);
        }
        if coding {
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
            return if self.chunked { Ok(()) } else { Err(Doubt) };
        }
        self.bytes = Some(decimal(value)?);
        Ok(())
    }

    fn body(self) -> Result<At, Doubt> {
        match (self.bytes, self.chunked) {
            (None | Some(0), false) => Ok(At::Start),
            (Some(bytes), false) => Ok(At::Body(bytes)),
            (None, true) => Ok(At::Size),
            (Some(_), true) => Err(Doubt),
        }
    }
}

fn decimal(digits: &[u8]) -> Result<u64, Doubt> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Doubt);
    }
    str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(Doubt)
}

// Hexadecimal digits and nothing else: an extension means nothing here, and is read in different ways.
fn chunk_size(line: &[u8], length: usize) -> Result<u64, Doubt> {
    let plain = (1..=16).contains(&length) && line.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(line).ok().filter(|_| plain).ok_or(Doubt)?;
    u64::from_str_radix(digits, 16).map_err(|_| Doubt)
}

/// A connection whose bytes are looked at as they are read. From the first doubtful one on nothing is read of it: in that
/// byte's place comes one that the HTTP library takes nowhere but in a body of known length, so it answers 400 and closes.
#[derive(Debug)]
pub(super) struct Checked<S> {
    stream: S,
    framing: Framing,
    in_doubt: bool,
}

impl<S> Checked<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, framing: Framing::default(), in_doubt: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Checked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.in_doubt {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Err(at) = this.framing.read(&buffer.filled()[before..]) {
            this.in_doubt = true;
            buffer.filled_mut()[before + at] = 0;
            buffer.set_filled(before + at + 1);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Checked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "framing/tests.rs"]
mod tests;
