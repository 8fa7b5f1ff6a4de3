//! How full the limits in force are: asked when somebody wants to know, so that no call pays for it.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation, Value};
use toolgate_policy::{Bound, CounterKey, Limit, Usage};

use super::key::Keys;
use super::question::{limbs, number, whole};

/// The most counters that a shared store is asked of at a time; those that come later by policy and grant are not told.
pub const COUNTERS_ASKED_MAX: usize = 1000;
/// So many in one step: what the store does for this, every call waits for.
pub(super) const COUNTERS_IN_A_STEP: usize = 32;

/// How full one window of a counter is.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitUsage {
    /// Which counter.
    pub key: CounterKey,
    /// The window as it was written.
    pub window: String,
    /// What it holds, as a share of its maximum.
    pub ratio: f64,
    /// How long until it has room for a call that weighs one.
    pub wait: Duration,
}

/// What is known of a counter's windows as something to tell; nothing of one that holds nothing.
pub(super) fn told(limit: &Limit<'_>, usage: &[Usage]) -> Vec<LimitUsage> {
    if usage.iter().all(|usage| usage.used == 0) {
        return Vec::new();
    }
    let all = limit.windows.iter().zip(&**limit.bounds).zip(usage);
    let told = all.map(|((window, bound), usage)| LimitUsage {
        key: limit.key.clone(),
        window: (*window).to_owned(),
        ratio: ratio(usage.used, bound.max),
        wait: usage.wait,
    });
    told.collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share for people to look at")]
fn ratio(used: u128, max: u128) -> f64 {
    used as f64 / max as f64
}

/// The script with its keys and arguments.
pub(super) fn invocation<'s>(
    script: &'s Script,
    keys: &Keys,
    counters: &[(&CounterKey, &Arc<[Bound]>)],
) -> ScriptInvocation<'s> {
    let mut invocation = script.prepare_invoke();
    for (key, bounds) in counters {
        invocation.key(keys.counter(key)).arg(bounds.len());
        for bound in &***bounds {
            let [high, low] = limbs(bound.max);
            invocation.arg(u64::try_from(bound.length.as_micros()).unwrap_or(u64::MAX)).arg(high).arg(low);
        }
    }
    invocation
}

/// Reads the script's answer: how full the windows of each counter are. None: it is no answer to this question.
pub(super) fn read(value: &Value, counters: &[(&CounterKey, &Arc<[Bound]>)]) -> Option<Vec<Vec<Usage>>> {
    let Value::Array(answers) = value else { return None };
    if answers.len() != counters.len() {
        return None;
    }
    answers.iter().zip(counters).map(|(answer, (_, bounds))| read_counter(answer, bounds.len())).collect()
}

fn read_counter(answer: &Value, windows: usize) -> Option<Vec<Usage>> {
    let Value::Array(parts) = answer else { return None };
    let numbers: Vec<u64> = parts.iter().map(number).collect::<Option<_>>()?;
    if numbers.len() != 3 * windows {
        return None;
    }
    let (windows, _) = numbers.as_chunks::<3>();
    let usage = windows
        .iter()
        .map(|[high, low, wait]| Usage { used: whole(*high, *low), wait: Duration::from_micros(*wait) });
    Some(usage.collect())
}
