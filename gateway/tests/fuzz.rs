//! What anybody can send, bent at random: the readers of messages, answers, event streams and policies never panic, and
//! what they accept means the same when it is read again.
//!
//! The corpora in `corpus/` are replayed and bent a little by every `make test`; `make fuzz` goes on for longer, from another
//! place each time. Bending is blind, without a view of which code it reaches. What it finds becomes a file of the corpus.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use std::{env, fs};

use toolgate_gateway::wire::era::Era;
use toolgate_gateway::wire::message::Message;
use toolgate_gateway::wire::method::ListKind;
use toolgate_gateway::wire::parameters;
use toolgate_gateway::wire::sse::{Decoder, Frame};
use toolgate_gateway::wire::upstream_message::UpstreamMessage;
use toolgate_policy::Documents;

/// How many seconds each reader is tried for; a fixed number of times when it is absent.
const SECONDS: &str = "TOOLGATE_FUZZ_SECONDS";
const TIMES: usize = 2000;
const BYTES_MAX: usize = 4096;

/// Pieces that mean something to one of the readers.
const PIECES: [&str; 28] = [
    "\"name\":",
    "\"method\":",
    "\"params\":{",
    "\"result\":{",
    "\"tools\":[",
    "\"_meta\":{",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "null",
    "1e400",
    "-0",
    "data:",
    "id:",
    "retry: 1",
    "\r",
    "\n\n",
    "\u{feff}",
    "\u{17f}",
    "args.a[*]",
    "- ",
    "  ",
];

/// A sequence of numbers that is the same for the same beginning.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap_or(0)
    }

    fn bent(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let to = from + self.below(other.len() - from + 1);
                    bytes.splice(at..at, other[from..to].to_vec());
                }
                4 => {
                    let end = at + self.below(bytes.len() - at + 1);
                    let twice = bytes[at..end].to_vec();
                    bytes.splice(at..at, twice);
                }
                _ => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
            }
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }
}

fn seeds(corpus: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(corpus);
    let files =
        fs::read_dir(&folder).expect("the corpus is there").map(|file| file.expect("is listed").path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files.iter().map(|file| fs::read(file).expect("is read")).collect()
}

fn try_all(corpus: &str, reader: impl Fn(&[u8])) {
    let seeds = seeds(corpus);
    for seed in &seeds {
        reader(seed);
    }
    let seconds = env::var(SECONDS).ok().map(|seconds| seconds.parse().expect("a number of seconds"));
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
    let begin = seconds.map_or(0x2545_F491, |_: u64| u64::try_from(now).unwrap_or(1) | 1);
    let (mut random, started, mut times) = (Random(begin), Instant::now(), 0_usize);
    while seconds.map_or(times < TIMES, |seconds| started.elapsed() < Duration::from_secs(seconds)) {
        let bytes = random.bent(&seeds);
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reader(&bytes)));
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert!(read.is_ok(), "put this into the corpus of {corpus}: {bytes:?} ({shown:?})");
        times += 1;
    }
    println!("{corpus}: {times} times");
}

#[test]
fn messages_of_clients() {
    try_all("message", |bytes| {
        let Ok(message) = Message::parse(bytes) else { return };
        let written = message.to_bytes();
        assert_eq!(Message::parse(&written).expect("what is written can be read"), message);
    });
}

#[test]
fn messages_of_servers() {
    try_all("upstream", |bytes| {
        for era in [Era::Modern, Era::Session { version: None }] {
            let Ok(mut message) = UpstreamMessage::parse(bytes, era) else { continue };
            for list in ListKind::ALL {
                message.entries(list).iter().for_each(|entry| drop(parameters::declared(entry)));
                message.filter(list, |name| name != "b");
                assert!(message.listed(list).all(|name| name != "b"));
            }
            message.limit_caching(None);
            let written = message.to_bytes();
            let again = UpstreamMessage::parse(&written, era).expect("what is written can be read");
            assert_eq!(again.to_bytes(), written);
        }
    });
}

fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    let read = pieces.iter().all(|piece| decoder.push(piece, &mut frames).is_ok());
    (frames, read)
}

#[test]
fn streams_of_events() {
    try_all("events", |bytes| {
        let whole = frames(&[bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&single), whole, "it does not matter how a stream is cut");
        let mut written = Vec::new();
        whole
            .0
            .iter()
            .filter(|frame| matches!(frame, Frame::Event(_)))
            .for_each(|frame| frame.write(&mut written));
        let events: Vec<Frame> =
            whole.0.into_iter().filter(|frame| matches!(frame, Frame::Event(_))).collect();
        assert_eq!(frames(&[&written]), (events, true), "what is written is read as it was");
    });
}

#[test]
fn documents_of_policies() {
    try_all("documents", |bytes| {
        let Ok(text) = str::from_utf8(bytes) else { return };
        let mut documents = Documents::default();
        documents.read("policy.yaml", text);
    });
}
