//! Keys of one object that are, or that a lax parser may read as, one.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{Hash, Hasher, RandomState},
};

use super::{
    Json,
    fold::{fold, is_plain},
};

/// Up to this many plain keys are compared pair by pair; above it (or with odd keys) they are hashed.
const PAIRWISE_MEMBERS_MAX: usize = 12;

/// What becomes of two keys in one object that are different but that fold to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twins {
    /// The document is refused. For what clients send.
    Refused,
    /// They are two members; only exact duplicates are refused. For what servers answer, where
    /// `Ab` and `aB` may well be two records.
    Allowed,
}

/// The first key of `members` that clashes with one before it, that one first. Linear in the number
/// of members, however the keys are chosen; `hasher` is made when it is first needed.
pub(super) fn first<'m>(
    members: &'m [(Cow<'_, str>, Json<'_>)],
    twins: Twins,
    hasher: &mut Option<RandomState>,
) -> Option<(&'m str, &'m str)> {
    if members.len() <= PAIRWISE_MEMBERS_MAX && members.iter().all(|(key, _)| is_plain(key)) {
        return by_pairs(members, twins);
    }
    by_hash(members, twins, hasher.get_or_insert_with(RandomState::new))
}

/// Two keys that clash. All keys are plain, so folding is ASCII lower-casing.
fn by_pairs<'m>(members: &'m [(Cow<'_, str>, Json<'_>)], twins: Twins) -> Option<(&'m str, &'m str)> {
    let clash = |earlier: &str, later: &str| match twins {
        Twins::Refused => earlier.eq_ignore_ascii_case(later),
        Twins::Allowed => earlier == later,
    };
    members.iter().enumerate().find_map(|(index, (later, _))| {
        let (earlier, _) = members[..index].iter().find(|(earlier, _)| clash(earlier, later))?;
        Some((earlier.as_ref(), later.as_ref()))
    })
}

/// Two keys that clash, in linear time.
fn by_hash<'m>(
    members: &'m [(Cow<'_, str>, Json<'_>)],
    twins: Twins,
    hasher: &RandomState,
) -> Option<(&'m str, &'m str)> {
    let mut seen = HashMap::with_capacity_and_hasher(members.len(), hasher.clone());
    members.iter().find_map(|(key, _)| {
        let spelling = match twins {
            Twins::Refused => Spelling::Folded(key),
            Twins::Allowed => Spelling::Exact(key),
        };
        let earlier = seen.insert(spelling, key.as_ref())?;
        Some((earlier, key.as_ref()))
    })
}

/// A key as the map compares it. One map only ever holds one of the two.
enum Spelling<'m> {
    Exact(&'m str),
    Folded(&'m str),
}

impl Hash for Spelling<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Exact(key) => key.hash(state),
            Self::Folded(key) => fold(key).for_each(|character| state.write_u32(u32::from(character))),
        }
    }
}

impl PartialEq for Spelling<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => one == two,
            (Self::Folded(one), Self::Folded(two)) => fold(one).eq(fold(two)),
            (Self::Exact(_), Self::Folded(_)) | (Self::Folded(_), Self::Exact(_)) => false,
        }
    }
}

impl Eq for Spelling<'_> {}
