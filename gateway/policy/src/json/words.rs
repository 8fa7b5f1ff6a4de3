//! Bytes that need a look of their own, found eight at a time.
//!
//! A word of eight bytes is looked at as one number. Subtracting from it borrows from the byte behind, so behind the first byte
//! that is marked others may be, too; before it none is, and the first one is all that is asked for.

/// How many bytes are looked at in one go.
const WORD_BYTES: usize = 8;
/// The lowest bit of each byte.
const LOWEST: u64 = u64::from_le_bytes([1; WORD_BYTES]);
/// The highest bit of each byte, which is where it is marked.
const HIGHEST: u64 = u64::from_le_bytes([0x80; WORD_BYTES]);
/// What no look ever marks.
const PLAIN: u8 = b' ';

/// How many bytes of a JSON string come before the first that may not stand there as it is: a quote, a backslash or a
/// control character. All, if there is none.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    length(bytes, not_plain)
}

/// How many bytes come before the first that is no printable ASCII, or a quote or a backslash. All, if there is none.
pub(super) fn printable_length(bytes: &[u8]) -> usize {
    length(bytes, |word| not_plain(word) | not_ascii(word))
}

/// Whether all bytes are printable ASCII.
pub(super) fn is_printable(bytes: &[u8]) -> bool {
    length(bytes, |word| below(word, b' ') | not_ascii(word)) == bytes.len()
}

fn not_plain(word: u64) -> u64 {
    below(word, b' ') | equal(word, b'"') | equal(word, b'\\')
}

// What is beyond ASCII, and its last control character.
fn not_ascii(word: u64) -> u64 {
    (word & HIGHEST) | equal(word, 0x7f)
}

// Marks bytes below one that is ASCII.
fn below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(LOWEST * u64::from(byte)) & !word & HIGHEST
}

fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (LOWEST * u64::from(byte)), 1)
}

fn length(bytes: &[u8], marks: impl Fn(u64) -> u64) -> usize {
    // Without a mark it is the number of all bytes of a word.
    let before = |word: [u8; WORD_BYTES]| marks(u64::from_le_bytes(word)).trailing_zeros() as usize / 8;
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let plain = before(*word);
        if plain < WORD_BYTES {
            return index * WORD_BYTES + plain;
        }
    }
    let mut last = [PLAIN; WORD_BYTES];
    last[..rest.len()].copy_from_slice(rest);
    words.len() * WORD_BYTES + before(last).min(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(bytes: &[u8], is_marked: impl Fn(u8) -> bool) -> usize {
        bytes.iter().position(|byte| is_marked(*byte)).unwrap_or(bytes.len())
    }

    fn agree(bytes: &[u8]) {
        let special = |byte| matches!(byte, b'"' | b'\\');
        assert_eq!(plain_length(bytes), one_by_one(bytes, |byte| byte < 0x20 || special(byte)), "{bytes:x?}");
        let printable = one_by_one(bytes, |byte| !(0x20..=0x7e).contains(&byte) || special(byte));
        assert_eq!(printable_length(bytes), printable, "{bytes:x?}");
        let is_printable_one_by_one = bytes.iter().all(|byte| (0x20..=0x7e).contains(byte));
        assert_eq!(is_printable(bytes), is_printable_one_by_one, "{bytes:x?}");
    }

    #[test]
    fn every_byte_at_every_place_of_a_word_is_told_as_alone() {
        for byte in 0..=255 {
            for place in 0..=WORD_BYTES {
                for filler in [b'a', b' ', b'~', 0x80, 0xff] {
                    let mut bytes = [filler; WORD_BYTES + 2];
                    bytes[place] = byte;
                    agree(&bytes);
                }
            }
        }
    }

    #[test]
    fn no_byte_is_told_by_the_one_before_it() {
        for first in 0..=255 {
            for second in 0..=255 {
                agree(&[b'a', first, second, b'a']);
                agree(&[b'a', b'a', b'a', b'a', b'a', b'a', first, second, b'a']);
            }
        }
    }

    proptest! {
        #[test]
        fn many_at_a_time_are_as_good_as_one_at_a_time(bytes: Vec<u8>) {
            agree(&bytes);
        }
    }
}
