//! Bytes that need no look of their own, found many at a time.

/// How many bytes are looked at in one go: what a register of every present machine holds.
const WORD_BYTES: usize = 16;

/// How many bytes of a JSON string come before the first that may not stand there as it is: a quote, a backslash or a
/// control character. All, if there is none.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    length(bytes, |byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

/// How many bytes come before the first that is no printable ASCII, or a quote or a backslash. All, if there is none.
pub(super) fn printable_length(bytes: &[u8]) -> usize {
    length(bytes, |byte| !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\')
}

fn length(bytes: &[u8], is_marked: impl Fn(u8) -> bool) -> usize {
    // Without a way out between its bytes, a word is looked at as a whole.
    let has_marked = |word: &[u8; WORD_BYTES]| word.iter().fold(false, |has, byte| has | is_marked(*byte));
    let (words, _rest) = bytes.as_chunks();
    let plain = words.iter().position(has_marked).unwrap_or(words.len()) * WORD_BYTES;
    plain + bytes[plain..].iter().position(|byte| is_marked(*byte)).unwrap_or(bytes.len() - plain)
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

    proptest! {
        #[test]
        fn many_at_a_time_are_as_good_as_one_at_a_time(bytes: Vec<u8>) {
            agree(&bytes);
        }
    }
}
