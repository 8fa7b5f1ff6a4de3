//! Where lines go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::line::Entry;
use crate::outlet::Sink;
use crate::outlet::lines::{Destination, Lost, WholeLines};

/// How many full files are kept beside the one that is written: `.1` is the newest.
pub const FULL_FILES_MAX: u32 = 5;

/// Entries as lines, in one write for each piece that comes. Where lines are missing an `omitted` line says how many, as soon
/// as writing goes on.
#[derive(Debug)]
pub struct Lines<D> {
    to: WholeLines<D>,
    text: Vec<u8>,
    // Missing, and not told of yet.
    omitted: u64,
    // Said once, not for each piece.
    failing: bool,
    lost: Arc<AtomicU64>,
}

/// A file that makes place for the next when it has grown. What is written at once is never torn apart, so a file is
/// larger than its bound by one piece at most.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    bytes_max: u64,
    file: File,
    bytes: u64,
}

impl<D: Destination> Lines<D> {
    /// Lines to a destination. What cannot be written is counted as lost.
    pub fn new(to: D, lost: Arc<AtomicU64>) -> Self {
        Self { to: WholeLines::new(to), text: Vec::new(), omitted: 0, failing: false, lost }
    }
}

impl<D: Destination> Sink<Entry> for Lines<D> {
    fn take(&mut self, entries: &mut Vec<Entry>, dropped: u64) {
        if dropped > 0 {
            tracing::warn!(dropped, "the audit trail is too slow, and decisions are missing from it");
        }
        self.omitted += dropped;
        self.text.clear();
        if self.omitted > 0 {
            Entry::omitted(jiff::Timestamp::now(), self.omitted, "sink").write(&mut self.text);
        }
        for entry in entries.iter() {
            entry.write(&mut self.text);
        }
        let lines = u64::from(self.omitted > 0) + entries.iter().map(Entry::lines).sum::<u64>();
        let Err(Lost { lines: lost, error }) = self.to.write(&self.text) else {
            (self.omitted, self.failing) = (0, false);
            return;
        };
        if !self.failing {
            tracing::error!(%error, "the audit trail cannot be written");
        }
        self.failing = true;
        // The line that tells of those before it comes first: if it is not lost, they are told of.
        let told = lost < lines;
        let lost = if self.omitted > 0 && !told { lost - 1 } else { lost };
        self.omitted = if told { lost } else { self.omitted + lost };
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }
}

impl Rotating {
    /// Opens a file to go on at its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), bytes_max, file, bytes })
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FULL_FILES_MAX).rev() {
            let (from, to) = (self.full(number), self.full(number + 1));
            match fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.full(1))?;
        *self = Self::open(&self.path, self.bytes_max)?;
        Ok(())
    }

    fn full(&self, number: u32) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        path.into()
    }
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Destination for Rotating {
    fn expect(&mut self, bytes: usize) {
        // A file that cannot be moved goes on to be written: lines are worth more than a bound.
        if self.bytes > 0
            && self.bytes + bytes as u64 > self.bytes_max
            && let Err(error) = self.rotate()
        {
            tracing::warn!(%error, "the audit trail's file cannot make place for the next");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn write(rotating: &mut Rotating, line: &str) {
        rotating.expect(line.len());
        rotating.write_all(line.as_bytes()).unwrap();
    }

    /// A disk that may be full.
    #[derive(Clone, Debug, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (text, room) = &mut *self.0.lock().unwrap();
            let taken = bytes.len().min(*room);
            text.extend(&bytes[..taken]);
            *room -= taken;
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Destination for Disk {}

    fn omitted(lines: u64) -> Entry {
        Entry::omitted(jiff::Timestamp::UNIX_EPOCH, lines, "rate")
    }

    #[test]
    fn what_a_full_disk_lost_is_counted_and_told_once_there_is_room_and_no_line_is_torn() {
        let mut line = Vec::new();
        omitted(1).write(&mut line);
        // Full at the very beginning, within the first line, between two, and within the second.
        for room in [0, 9, line.len(), line.len() + 9] {
            let (disk, lost) = (Disk::default(), Arc::new(AtomicU64::new(0)));
            let mut lines = Lines::new(disk.clone(), lost.clone());
            disk.0.lock().unwrap().1 = room;
            lines.take(&mut vec![omitted(1), omitted(1), omitted(1)], 0);
            lines.take(&mut vec![omitted(1)], 7);
            let whole = room.div_ceil(line.len()) as u64;
            assert_eq!(lost.load(Ordering::Relaxed), 3 - whole + 1, "{room}");
            disk.0.lock().unwrap().1 = usize::MAX;
            lines.take(&mut vec![omitted(1)], 0);
            lines.take(&mut vec![omitted(1)], 0);
            let text = String::from_utf8(disk.0.lock().unwrap().0.clone()).unwrap();
            let read = text.lines().map(|line| serde_json::from_str(line).expect("a whole line"));
            let read: Vec<serde_json::Value> = read.collect();
            assert_eq!(read.len() as u64, whole + 3, "{text}");
            let told: Vec<u64> = read
                .iter()
                .filter(|line| line["because"] == "sink")
                .map(|line| line["lines"].as_u64().unwrap())
                .collect();
            assert_eq!(told, [3 - whole + 1 + 7], "{text}");
        }
    }

    #[test]
    fn files_make_place_for_the_next_and_only_so_many_are_kept() {
        let folder = std::env::temp_dir().join(format!("toolgate-audit-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("audit.jsonl");
        let mut rotating = Rotating::open(&path, 10).unwrap();
        for line in ["aaaa\n", "bbbb\n", "cccc\n"] {
            write(&mut rotating, line);
        }
        let text = |number: u32| fs::read_to_string(rotating.full(number)).ok();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), text(1).as_deref()),
            ("cccc\n", Some("aaaa\nbbbb\n"))
        );

        let mut rotating = Rotating::open(&path, 10).unwrap();
        assert_eq!(rotating.bytes, 5, "it goes on at the end");
        for line in 0..10 {
            write(&mut rotating, &format!("line {line}, longer than a file may be\n"));
        }
        let text = |number: u32| fs::read_to_string(rotating.full(number)).ok();
        assert!(fs::read_to_string(&path).unwrap().starts_with("line 9"));
        assert!(
            text(1).unwrap().starts_with("line 8") && text(FULL_FILES_MAX).unwrap().starts_with("line 4")
        );
        assert_eq!(text(FULL_FILES_MAX + 1), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
