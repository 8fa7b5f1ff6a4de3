//! Which known field a mistyped one was meant to be.

/// The farthest that a typo may be from what it meant, in single-character edits.
const DISTANCE_MAX: usize = 2;

/// The known name that is nearest to a mistyped one, if any is near.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = folded(typed);
    known
        .map(|name| (distance(&typed, &folded(name)), name))
        .filter(|(distance, name)| *distance <= DISTANCE_MAX && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

fn folded(name: &str) -> Vec<char> {
    name.chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(64)
        .collect()
}

// Levenshtein's distance, by rows.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_finds_its_field() {
        let known = ["targetRefs", "default", "tools", "hide", "denyIf", "limits"];
        for (typed, meant) in [
            ("defualt", "default"),
            ("hdie", "hide"),
            ("deny_if", "denyIf"),
            ("denyif", "denyIf"),
            ("limit", "limits"),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), Some(meant), "{typed}");
        }
        assert_eq!(nearest("metadata", known.into_iter()), None);
    }
}
