//! What the operator writes while nothing happens.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Audit, Cluster, Error, Operator, still};

pub(super) fn measure(operator: &Operator<'_>, cluster: &Cluster, rest: Duration) -> Result<Value, Error> {
    if Audit::of(cluster).is_none() {
        return Ok(Value::Null);
    }
    let writes = || Ok(operator.writes()?.len());
    let before = still("the operator is at rest", writes)?;
    thread::sleep(rest);
    Ok(json!({"seconds": rest.as_secs(), "writes": writes()?.saturating_sub(before)}))
}
