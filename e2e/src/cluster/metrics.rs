//! What a `/metrics` page says, in Prometheus' text format.

use std::collections::BTreeMap;

/// One series and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value, without a fraction: what is looked at here are counts.
    pub value: u64,
}

/// All series of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics(Vec<Series>);

impl Metrics {
    /// Reads a page. Lines that are no series are passed over.
    pub fn read(page: &str) -> Self {
        Self(page.lines().filter_map(series).collect())
    }

    /// The series of a name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Series> {
        self.0.iter().filter(move |series| series.name == name)
    }

    /// The sum of all series of a name whose labels are, among others, these.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |series: &&Series| labels.iter().all(|(name, value)| series.label(name) == *value);
        self.named(name).filter(has).map(|series| series.value).sum()
    }
}

impl Series {
    /// A label's value; empty without one, as Prometheus has it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

fn series(line: &str) -> Option<Series> {
    if line.starts_with('#') {
        return None;
    }
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = match head.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (head, ""),
    };
    // No label of ours has a comma or a quote in it.
    let label = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    let labels = labels.split(',').filter_map(label).collect();
    Some(Series { name: name.to_owned(), labels, value: whole(value.parse().ok()?) })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count is not negative")]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
            calls_total{tool=\"a\",verdict=\"allowed\"} 30\ncalls_total{tool=\"a\",verdict=\"denied\"} 1\n\
            calls_total{tool=\"b\",verdict=\"allowed\"} 2\nready 1\n";
        let metrics = Metrics::read(page);
        assert_eq!(metrics.named("calls_total").count(), 3);
        assert_eq!(metrics.sum("calls_total", &[("tool", "a")]), 31);
        assert_eq!(metrics.sum("calls_total", &[("verdict", "allowed")]), 32);
        assert_eq!(metrics.sum("ready", &[]), 1);
        assert_eq!(metrics.sum("other", &[]), 0);
    }
}
