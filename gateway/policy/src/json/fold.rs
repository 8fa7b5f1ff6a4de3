//! Which keys a lax parser may take for each other.
//!
//! Some parsers match keys without regard to case, by rules of their own (`ſ` is an `s` and the
//! Kelvin sign is a `k` to them), and some end a key at a NUL. Folding maps every such spelling of a
//! key to one, so that two of them in one object can be noticed. It is only ever used to refuse.

use super::words;

/// The characters of `key` as the laxest known parser would compare them: upper then lower case,
/// without control characters and without characters that have no shape.
pub fn fold(key: &str) -> impl Iterator<Item = char> + '_ {
    key.chars()
        .filter(|character| !is_invisible(*character))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// Whether `key` is another spelling of `name`, or `name` itself. `name` must be its own fold
/// without regard to ASCII case, as every name of the protocol is.
pub fn folds_to(key: &str, name: &str) -> bool {
    // A letter is only ever compared as itself, so nearly every other key is told by its first one.
    if let ([key, ..], [name, ..]) = (key.as_bytes(), name.as_bytes())
        && is_plain_byte(*key)
        && !key.eq_ignore_ascii_case(name)
    {
        return false;
    }
    if is_plain(key) { key.eq_ignore_ascii_case(name) } else { fold(key).eq(fold(name)) }
}

/// Whether `key` is none of `names`, but another spelling of one. As for [`folds_to`], each must be its own fold.
pub fn is_spelling(key: &str, names: &[&str]) -> bool {
    if is_plain(key) {
        return names.iter().any(|name| key.eq_ignore_ascii_case(name) && key != *name);
    }
    names.iter().any(|name| fold(key).eq(fold(name)))
}

/// Whether folding `key` is ASCII lower-casing and nothing else.
pub(super) fn is_plain(key: &str) -> bool {
    words::is_printable(key.as_bytes())
}

fn is_plain_byte(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// Control characters and those that Unicode calls default-ignorable.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFF8}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_spelling_folds_to_the_name() {
        let rows = [
            ("params", "PARAMS"),
            ("params", "param\u{17F}"),
            ("task", "tas\u{212A}"),
            ("name", "name\0"),
            ("name", "na\u{200B}me"),
            ("name", "\u{FEFF}name"),
            ("name", "nam\u{E0065}e"),
            ("uri", "ur\u{131}"),
            ("strasse", "stra\u{DF}e"),
        ];
        for (name, key) in rows {
            assert!(folds_to(key, name), "{key:?} folds to {name}");
        }
    }

    #[test]
    fn other_names_stay_apart() {
        for (name, key) in [
            ("_meta", "meta"),
            ("_meta", "a_meta"),
            ("name", "names"),
            ("name", "nаme"),
            ("task", "taskId"),
            ("uri", ""),
        ] {
            assert!(!folds_to(key, name), "{key:?} is not {name}");
        }
    }
}
