//! One figure: what several rounds measured of one thing.

use serde_json::{Value, json};

/// The median of several measurements, and how far they are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    pub median: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Figure {
    /// Of measurements in any order. None: there are none.
    pub(super) fn of(measured: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut measured: Vec<f64> = measured.into_iter().collect();
        measured.sort_by(f64::total_cmp);
        let (lowest, highest) = (*measured.first()?, *measured.last()?);
        let (left, right) = (measured[(measured.len() - 1) / 2], measured[measured.len() / 2]);
        Some(Self { median: f64::midpoint(left, right), lowest, highest })
    }

    pub(super) fn json(self) -> Value {
        json!({"median": rounded(self.median), "lowest": rounded(self.lowest), "highest": rounded(self.highest)})
    }

    /// As text with so many digits behind the point.
    pub(super) fn text(self, digits: usize) -> String {
        let Self { median, lowest, highest } = self;
        format!("{median:.digits$} [{lowest:.digits$}-{highest:.digits$}]")
    }
}

// More digits than were measured would only look exact.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The value below which a share of the sorted measurements lies. 0 if there are none.
pub(super) fn percentile(sorted: &[u64], per_thousand: usize) -> u64 {
    let index = sorted.len().saturating_mul(per_thousand) / 1000;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(Figure::of([]), None);
        assert_eq!(Figure::of([3.0, 1.0, 2.0]), Some(Figure { median: 2.0, lowest: 1.0, highest: 3.0 }));
        assert_eq!(Figure::of([4.0, 1.0]).map(|figure| figure.text(1)), Some("2.5 [1.0-4.0]".to_owned()));
    }

    #[test]
    fn percentiles_are_measurements() {
        let sorted: Vec<u64> = (1..=1000).collect();
        assert_eq!((percentile(&sorted, 500), percentile(&sorted, 990)), (501, 991));
        assert_eq!((percentile(&sorted, 1000), percentile(&[], 500)), (1000, 0));
    }
}
