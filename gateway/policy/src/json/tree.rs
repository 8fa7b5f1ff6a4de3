//! The tree, and how to walk and change it.

use std::borrow::Cow;

use crate::decimal::Decimal;

/// One JSON value. Strings and numbers borrow from the document where they can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, with the digits it came with.
    Number(Number<'a>),
    /// A string, its escapes read.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, its members in the order they came.
    Object(Object<'a>),
}

/// The text of a number, as it came: it obeys JSON's grammar and nothing else is known of it.
/// Equality is of the text, so `1.0` and `1` are different here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number<'a>(pub(super) Cow<'a, str>);

impl Number<'_> {
    /// The digits, sign, point and exponent, verbatim.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether a text of digits, with at most a sign and a point, says the same number. One that is too long to be
    /// compared by value is compared by its digits.
    pub fn equals(&self, text: &str) -> bool {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        if !digits(whole) || !digits(fraction) {
            return false;
        }
        match (Decimal::parse(self.text()), Decimal::parse(text)) {
            (Some(number), Some(said)) => number == said,
            _ => text == self.text(),
        }
    }
}

impl From<u64> for Number<'static> {
    fn from(value: u64) -> Self {
        Number(Cow::Owned(value.to_string()))
    }
}

impl From<i64> for Number<'static> {
    fn from(value: i64) -> Self {
        Number(Cow::Owned(value.to_string()))
    }
}

/// The members of an object in their order. From a parsed document the keys are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object<'a> {
    pub(super) members: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Json<'a> {
    /// The member `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.as_object()?.get(key)
    }

    /// The value at the end of `keys`, if every step is an object that has the next key.
    pub fn at(&self, keys: &[&str]) -> Option<&Json<'a>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_number(&self) -> Option<&Number<'a>> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The items to change, if this is an array.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Json<'a>>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The object, if this is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The object to change, if this is one.
    pub fn as_object_mut(&mut self) -> Option<&mut Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Puts the members of every object in it in the order of their keys' bytes.
    pub fn sort(&mut self) {
        match self {
            Self::Array(items) => items.iter_mut().for_each(Self::sort),
            Self::Object(object) => {
                object.members.sort_by(|(left, _), (right, _)| left.cmp(right));
                object.members.iter_mut().for_each(|(_, value)| value.sort());
            }
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => {}
        }
    }

    /// The same tree without a hold on the document.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(Number(text)) => Json::Number(Number(Cow::Owned(text.into_owned()))),
            Self::String(text) => Json::String(Cow::Owned(text.into_owned())),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(object) => Json::Object(object.into_owned()),
        }
    }
}

impl<'a> Object<'a> {
    /// An object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member `key`.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The member `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json<'a>> {
        self.members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether there is a member `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The members, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json<'a>)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// The members, in order, their values to change.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&str, &mut Json<'a>)> {
        self.members.iter_mut().map(|(key, value)| (&**key, value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.members.iter().map(|(key, _)| key.as_ref())
    }

    /// Gives `key` the value: in its place if it is there, at the end otherwise.
    pub fn set(&mut self, key: &'static str, value: Json<'a>) {
        match self.get_mut(key) {
            Some(place) => *place = value,
            None => self.members.push((Cow::Borrowed(key), value)),
        }
    }

    /// Takes the member `key` out, the others keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Json<'a>> {
        let index = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(index).1)
    }

    /// Keeps the members whose key `keep` wants, in order.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.members.retain(|(key, _)| keep(key));
    }

    /// The same members without a hold on the document.
    pub fn into_owned(self) -> Object<'static> {
        let owned =
            |(key, value): (Cow<'_, str>, Json<'_>)| (Cow::Owned(key.into_owned()), value.into_owned());
        Object { members: self.members.into_iter().map(owned).collect() }
    }
}
