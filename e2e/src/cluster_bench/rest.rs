//! What the operator writes while nothing happens.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Audit, Cluster, Error, Operator, Record, eventually};

/// How long nothing is written before it counts as rest.
const STILLNESS: Duration = Duration::from_secs(15);

pub(super) fn measure(operator: &Operator<'_>, cluster: &Cluster, rest: Duration) -> Result<Value, Error> {
    let Some(audit) = Audit::of(cluster) else { return Ok(Value::Null) };
    let writes = || -> Result<usize, Error> {
        // That it leads is said every few seconds, at rest too.
        let ours = |record: &Record| {
            record.is_write() && record.user == operator.user() && record.resource != "leases"
        };
        Ok(audit.records()?.iter().filter(|record| ours(record)).count())
    };
    let (mut last, mut since) = (writes()?, Instant::now());
    eventually("the operator is at rest", || {
        let now = writes()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok(since.elapsed() >= STILLNESS)
    })?;
    thread::sleep(rest);
    Ok(json!({"seconds": rest.as_secs(), "writes": writes()?.saturating_sub(last)}))
}
