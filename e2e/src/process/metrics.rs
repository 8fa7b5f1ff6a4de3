//! Metrics in Prometheus' text format, as far as the gateway writes it.

use std::collections::BTreeMap;

/// Every series and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    series: Vec<Series>,
}

#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads what a `/metrics` endpoint answers; lines that are no series are left out.
    pub fn parse(text: &str) -> Self {
        Self { series: text.lines().filter_map(series).collect() }
    }

    /// The sum of the series of a name that have all these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |series: &&Series| {
            labels.iter().all(|(label, value)| series.labels.get(*label).map(String::as_str) == Some(value))
        };
        self.series.iter().filter(|series| series.name == name).filter(has).map(|series| series.value).sum()
    }

    /// The sums of the series of a name, by the values of some labels.
    pub fn by(&self, name: &str, labels: &[&str]) -> BTreeMap<Vec<String>, f64> {
        let mut sums = BTreeMap::new();
        for series in self.series.iter().filter(|series| series.name == name) {
            let value = |label: &&str| series.labels.get(*label).cloned().unwrap_or_default();
            *sums.entry(labels.iter().map(value).collect()).or_default() += series.value;
        }
        sums
    }

    /// How many series there are.
    pub fn all(&self) -> usize {
        self.series.len()
    }

    /// How many series a name has.
    pub fn count(&self, name: &str) -> usize {
        self.series.iter().filter(|series| series.name == name).count()
    }
}

fn series(line: &str) -> Option<Series> {
    let (key, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let (name, labels) = match key.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (key, ""),
    };
    let label = |pair: &str| {
        let (label, value) = pair.split_once('=')?;
        Some((label.to_owned(), value.trim_matches('"').to_owned()))
    };
    // No label of the gateway has a comma or a quote in its value.
    let labels = labels.split(',').filter_map(label).collect();
    Some(Series { name: name.to_owned(), labels, value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let text = "# HELP calls Calls.\n# TYPE calls counter\ncalls{tool=\"a\",verdict=\"allowed\"} 2\n\
                    calls{tool=\"a\",verdict=\"denied\"} 1\ncalls{tool=\"b\",verdict=\"denied\"} 4\nup 1\n";
        let metrics = Metrics::parse(text);
        let near = |sum: f64, expected: f64| (sum - expected).abs() < f64::EPSILON;
        assert!(near(metrics.sum("calls", &[("tool", "a")]), 3.0));
        assert!(near(metrics.sum("calls", &[("verdict", "denied")]), 5.0));
        assert!(near(metrics.sum("up", &[]), 1.0) && near(metrics.sum("down", &[]), 0.0));
        let by_tool: Vec<(Vec<String>, f64)> = metrics.by("calls", &["tool"]).into_iter().collect();
        assert_eq!(by_tool, [(vec!["a".to_owned()], 3.0), (vec!["b".to_owned()], 4.0)]);
        assert_eq!(metrics.count("calls"), 3);
    }
}
