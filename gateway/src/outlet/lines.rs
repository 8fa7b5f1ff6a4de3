//! Lines for whoever reads line by line: never one torn in two.
//!
//! A write may fail after half a line, as when a disk is full. Then the rest of that line comes first when writing goes
//! on, so that what comes after it still begins a line. What was behind it is lost, counted, and told.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

/// Where lines go.
pub trait Destination: Write + Send + 'static {
    /// Before so many bytes are written, at the beginning of a line: the place to begin another file.
    fn expect(&mut self, bytes: usize) {
        let _ = bytes;
    }
}

impl Destination for File {}

/// One of the streams of the process, without the standard library's buffer: it would hide what was written of a piece.
///
/// # Errors
/// When the process has no such stream, or too many files open.
pub fn stream(of: &impl AsFd) -> io::Result<File> {
    Ok(of.as_fd().try_clone_to_owned()?.into())
}

/// Writes lines whole, each piece at once as long as the system takes it, so that other writers' lines do not fall in
/// between.
#[derive(Debug)]
pub struct WholeLines<D> {
    to: D,
    // Of the line that was torn.
    rest: Vec<u8>,
}

/// Some lines could not be written.
#[derive(Debug)]
pub struct Lost {
    /// How many, without the one whose rest is written later.
    pub lines: u64,
    /// Why.
    pub error: io::Error,
}

impl<D: Destination> WholeLines<D> {
    /// Lines to a destination at the beginning of one.
    pub fn new(to: D) -> Self {
        Self { to, rest: Vec::new() }
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// The system does not take all of them now. Those that it did not take are gone.
    pub fn write(&mut self, lines: &[u8]) -> Result<(), Lost> {
        let rest = std::mem::take(&mut self.rest);
        if let Err((written, error)) = put(&mut self.to, &rest) {
            self.rest = rest[written..].to_vec();
            return Err(Lost { lines: count(lines), error });
        }
        self.to.expect(lines.len());
        put(&mut self.to, lines).map_err(|(written, error)| {
            let behind = &lines[written..];
            let torn = written > 0 && lines[written - 1] != b'\n';
            let end = behind.iter().position(|byte| *byte == b'\n').map_or(behind.len(), |end| end + 1);
            let end = if torn { end } else { 0 };
            self.rest = behind[..end].to_vec();
            Lost { lines: count(&behind[end..]), error }
        })
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.split_inclusive(|byte| *byte == b'\n').count() as u64
}

// How much was written before it failed.
fn put(to: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match to.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    to.flush().map_err(|error| (written, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and then refuses.
    #[derive(Default)]
    struct Disk {
        text: Vec<u8>,
        room: usize,
        expected: Vec<usize>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            // Less than there is room for, as pipes do.
            let taken = bytes.len().min(self.room).min(5);
            self.text.extend(&bytes[..taken]);
            self.room -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Destination for Disk {
        fn expect(&mut self, bytes: usize) {
            self.expected.push(bytes);
        }
    }

    #[test]
    fn a_disk_that_is_full_at_any_byte_tears_no_line_and_every_lost_one_is_counted() {
        let lines = b"first\nsecond\nthird\n";
        for room in 0..=lines.len() {
            let mut whole = WholeLines::new(Disk { room, ..Disk::default() });
            let lost = whole.write(lines).map_or_else(|lost| lost.lines, |()| 0);
            assert!(whole.write(b"gone\n").is_err());
            whole.to.room = usize::MAX;
            whole.write(b"last\n").unwrap();
            let text = String::from_utf8(whole.to.text).unwrap();
            let written: Vec<&str> = text.lines().collect();
            let all = ["first", "second", "third"];
            let kept = written.len() - 1;
            assert_eq!(written[..kept], all[..kept], "{room}");
            assert_eq!(written.last(), Some(&"last"));
            assert_eq!(lost, 3 - kept as u64, "{room}");
        }
    }

    #[test]
    fn a_destination_is_asked_to_make_place_only_between_lines() {
        let mut whole = WholeLines::new(Disk { room: 2, ..Disk::default() });
        assert!(whole.write(b"torn\n").is_err());
        assert!(whole.write(b"gone\n").is_err());
        assert_eq!(whole.to.expected, [5], "not in the middle of a line");
        whole.to.room = 100;
        whole.write(b"next\n").unwrap();
        assert_eq!((whole.to.expected, whole.to.text), (vec![5, 5], b"torn\nnext\n".to_vec()));
    }
}
