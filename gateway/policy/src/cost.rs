//! What a call weighs, in millionths, so that money counts exactly.

use crate::decimal::{Decimal, MILLION};
use crate::json::{Json, Object};
use crate::path::{Found, Path};

/// What a call charges one counter of its policy (by index).
#[derive(Debug)]
pub(crate) struct Charging {
    pub counter: usize,
    pub cost: Weight,
}

/// How a call's weight is found.
#[derive(Debug)]
pub(crate) enum Weight {
    /// The same for every call, in millionths.
    Fixed(u128),
    /// The sum of the numbers at a path.
    Sum(Path),
    /// The length of the array at a path.
    Length(Path),
}

impl Weight {
    /// The weight in millionths. None: an argument is missing, of another type, negative, or a number that cannot be
    /// counted exactly.
    pub(crate) fn of(&self, arguments: Option<&Object<'_>>) -> Option<u128> {
        match self {
            Self::Fixed(cost) => Some(*cost),
            Self::Sum(path) => fold(path, arguments, |value| {
                value.as_number().and_then(|number| Decimal::parse(number.text())?.in_millionths())
            }),
            Self::Length(path) => fold(path, arguments, |value| {
                u128::try_from(value.as_array()?.len()).ok()?.checked_mul(MILLION)
            }),
        }
    }
}

fn fold(
    path: &Path,
    arguments: Option<&Object<'_>>,
    weigh: impl Fn(&Json<'_>) -> Option<u128>,
) -> Option<u128> {
    let mut sum = Some(0_u128);
    path.visit(arguments, &mut |found| {
        let weight = match found {
            Found::Value(value) => weigh(value),
            Found::Nothing => None,
        };
        sum = sum.zip(weight).and_then(|(sum, weight)| sum.checked_add(weight));
    });
    sum
}
