//! How full limits are, as families that are made for one scrape: nothing of them is kept, so nothing has to be retired.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use crate::counting::LimitUsage;

/// The most windows of counters that are told at a time: the fullest.
pub const LIMITS_TOLD_MAX: usize = 1000;

/// The two families.
#[derive(Debug)]
pub(super) struct Limits {
    used: GaugeVec,
    wait: GaugeVec,
}

impl Limits {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let gauges = |name: &str, help: &str| {
            GaugeVec::new(Opts::new(name, help), &["server", "policy", "counter", "window", "grant"])
        };
        Ok(Self {
            used: gauges("toolgate_limit_used_ratio", USED)?,
            wait: gauges("toolgate_limit_wait_seconds", WAIT)?,
        })
    }

    pub(super) fn described(&self) -> Vec<&Desc> {
        [&self.used, &self.wait].into_iter().flat_map(Collector::desc).collect()
    }
}

/// The families of what is known of limits now.
pub(super) fn families(
    server: &str,
    mut usage: Vec<LimitUsage>,
) -> Result<Vec<MetricFamily>, prometheus::Error> {
    usage.sort_by(|left, right| right.ratio.total_cmp(&left.ratio));
    usage.truncate(LIMITS_TOLD_MAX);
    let Limits { used, wait } = Limits::new()?;
    for LimitUsage { key, window, ratio, wait: seconds } in &usage {
        let labels = [server, &key.policy, &key.counter, window, key.grant.as_deref().unwrap_or_default()];
        used.with_label_values(&labels).set(*ratio);
        wait.with_label_values(&labels).set(seconds.as_secs_f64());
    }
    Ok([used, wait]
        .iter()
        .flat_map(Collector::collect)
        .filter(|family| !family.get_metric().is_empty())
        .collect())
}

const USED: &str = "What a window of a limit holds, as a share of its maximum.";
const WAIT: &str = "Time until a window of a limit has room for a call that weighs one.";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use toolgate_policy::CounterKey;

    use super::*;

    fn usage(counter: usize, ratio: f64) -> LimitUsage {
        let key = CounterKey { policy: "p".into(), counter: counter.to_string().into(), grant: None };
        LimitUsage { key, window: "minute".to_owned(), ratio, wait: Duration::from_millis(1500) }
    }

    #[test]
    fn as_many_windows_as_are_told_and_one_more_and_the_fullest_stay() {
        for (windows, told) in [(LIMITS_TOLD_MAX, LIMITS_TOLD_MAX), (LIMITS_TOLD_MAX + 1, LIMITS_TOLD_MAX)] {
            let all = (0..windows).map(|index| usage(index, if index == 0 { 0.1 } else { 0.5 })).collect();
            let families = families("crm", all).unwrap();
            assert_eq!(families.iter().map(|all| all.get_metric().len()).collect::<Vec<_>>(), [told, told]);
            let emptiest = families[0].get_metric().iter().any(|one| one.get_gauge().get_value() < 0.2);
            assert_eq!(emptiest, windows <= LIMITS_TOLD_MAX);
        }
        assert!(families("crm", Vec::new()).unwrap().is_empty());
    }
}
