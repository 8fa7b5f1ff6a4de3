//! Numbers by their decimal value.
//!
//! JSON's numbers are texts. Read as binary floats, `0.1 + 0.2` is not `0.3` and `9007199254740993` is its neighbour; so
//! a number is kept as digits and an exponent, and what has more digits than every reader keeps is not compared at all.

use std::cmp::Ordering;

/// Millionths in one.
pub(crate) const MILLION: u128 = 1_000_000;
/// The most significant digits of a number that can be compared.
pub(crate) const DIGITS_MAX: usize = 15;
/// The farthest exponent of a number that can be compared, in either direction.
pub(crate) const EXPONENT_MAX: i32 = 300;

/// A decimal number: `digits * 10^exponent`, without trailing zeros in the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Decimal {
    negative: bool,
    digits: u64,
    exponent: i32,
}

impl Decimal {
    /// Reads a JSON number. None: more than [`DIGITS_MAX`] significant digits, or an exponent beyond [`EXPONENT_MAX`].
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let within = |exponent: &i32| exponent.unsigned_abs() <= EXPONENT_MAX.unsigned_abs();
        let exponent: i32 = exponent.parse().ok().filter(within)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { negative: false, digits: 0, exponent: 0 });
        }
        if digits.len() > DIGITS_MAX {
            return None;
        }
        let zeros = i32::try_from(significant.len() - digits.len()).ok()?;
        let exponent = exponent - i32::try_from(fraction.len()).ok()? + zeros;
        Some(Self { negative, digits: digits.parse().ok()?, exponent })
            .filter(|decimal| decimal.order() <= EXPONENT_MAX)
    }

    /// The number in millionths, which counters count, if it is not negative, has at most six places, and fits.
    pub(crate) fn in_millionths(self) -> Option<u128> {
        if self.negative {
            return None;
        }
        let places = u32::try_from(self.exponent + 6).ok()?;
        u128::from(self.digits).checked_mul(10_u128.checked_pow(places)?)
    }

    // How far the first digit is from the point.
    fn order(self) -> i32 {
        (self.exponent + self.length() - 1).abs()
    }

    fn length(self) -> i32 {
        i32::try_from(self.digits.checked_ilog10().map_or(0, |log| log + 1)).unwrap_or(i32::MAX)
    }

    fn magnitude(self, other: Self) -> Ordering {
        match (self.digits, other.digits) {
            (0, 0) => return Ordering::Equal,
            (0, _) => return Ordering::Less,
            (_, 0) => return Ordering::Greater,
            _ => {}
        }
        let (order, other_order) = (self.exponent + self.length(), other.exponent + other.length());
        order.cmp(&other_order).then_with(|| self.aligned().cmp(&other.aligned()))
    }

    // The digits as if there were always the most of them.
    fn aligned(self) -> u64 {
        let missing = u32::try_from(DIGITS_MAX).unwrap_or(0).saturating_sub(self.length().unsigned_abs());
        self.digits * 10_u64.pow(missing)
    }
}

// === impl Decimal ===

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude(*other),
            (true, true) => other.magnitude(*self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} cannot be compared"))
    }

    #[test]
    fn one_value_has_many_spellings() {
        for text in ["143", "143.0", "1.43e2", "1.43E+2", "14300e-2", "0.143e3", "143.000000000000000000000"]
        {
            assert_eq!(decimal(text), decimal("143"), "{text}");
        }
        for text in ["0", "-0", "0.0", "0e300", "-0.000e-5"] {
            assert_eq!(decimal(text), decimal("0"), "{text}");
        }
    }

    #[test]
    fn what_readers_disagree_on_is_not_compared() {
        assert!(Decimal::parse("123456789012345").is_some() && Decimal::parse("1234567890123456").is_none());
        assert!(
            Decimal::parse("0.000123456789012345").is_some() && Decimal::parse("9007199254740993").is_none()
        );
        assert!(Decimal::parse("1e300").is_some() && Decimal::parse("10e300").is_none());
        assert!(Decimal::parse("1e-300").is_some() && Decimal::parse("1e-301").is_none());
        assert!(Decimal::parse("1e400").is_none() && Decimal::parse("1e99999999999").is_none());
    }

    #[test]
    fn the_farthest_exponents_are_read_or_not_and_never_overflow() {
        for (text, is_read) in [
            ("1e300", true),
            ("1e-300", true),
            ("1e301", false),
            ("1e-301", false),
            ("1e2147483647", false),
            ("1e-2147483647", false),
            ("1e-2147483648", false),
            ("0e-2147483648", false),
            ("1e-2147483649", false),
            ("1e99999999999999999999", false),
        ] {
            assert_eq!(Decimal::parse(text).is_some(), is_read, "{text}");
        }
    }

    #[test]
    fn millionths_are_exact_or_none() {
        for (text, millionths) in [
            ("0", Some(0)),
            ("12.50", Some(12_500_000)),
            ("0.000001", Some(1)),
            ("0.0000001", None),
            ("-1", None),
            ("1e40", None),
        ] {
            assert_eq!(decimal(text).in_millionths(), millionths, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_numbers(left in -999_999_i64..999_999, right in -999_999_i64..999_999, shift in 0..8_usize) {
            let spelled = |number: i64| format!("{number}{}e-{shift}", "0".repeat(shift));
            prop_assert_eq!(decimal(&spelled(left)).cmp(&decimal(&right.to_string())), left.cmp(&right));
            let cents = |number: i64| format!("{}{}.{:02}", if number < 0 { "-" } else { "" }, number.abs() / 100, number.abs() % 100);
            prop_assert_eq!(decimal(&cents(left)).cmp(&decimal(&cents(right))), left.cmp(&right));
        }
    }
}
