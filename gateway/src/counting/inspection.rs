//! Whether a store can be trusted with limits, by what it says of itself.

/// The oldest version: before it a script could not both read the clock and write.
pub const VERSION_MIN: u32 = 7;

/// Why a store is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Its password or its certificate authority cannot be had.
    #[error("{0}")]
    Credential(String),
    /// There is no connection, or it broke.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It does not answer in time.
    #[error("it does not answer in time")]
    Silent,
    /// It does not let the gateway in, or not do what it must.
    #[error("it refuses: {0}")]
    Refused(String),
    /// It answers what no store should.
    #[error("its answer cannot be read")]
    Unreadable,
    /// Its version.
    #[error("its version is {0}, and must be at least {VERSION_MIN}")]
    Old(String),
    /// It follows another one, whose counters it may not know yet.
    #[error("it is a replica, and must be the primary")]
    Replica,
    /// It would forget counters when it is short of memory.
    #[error("it evicts keys when its memory is full: set maxmemory-policy to noeviction, not {0}")]
    Evicts(String),
}

/// Looks at the sections `server`, `memory` and `replication` of `INFO`.
///
/// # Errors
/// The first reason not to use it.
pub(super) fn inspect(info: &str) -> Result<(), Trouble> {
    let field = |name: &str| {
        let found = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim).ok_or(Trouble::Unreadable)
    };
    let version = field("redis_version")?;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < VERSION_MIN) {
        return Err(Trouble::Old(version.to_owned()));
    }
    if field("role")? != "master" {
        return Err(Trouble::Replica);
    }
    let policy = field("maxmemory_policy")?;
    // Without a bound on its memory nothing is ever evicted.
    if policy != "noeviction" && field("maxmemory")? != "0" {
        return Err(Trouble::Evicts(policy.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, role: &str, maxmemory: &str, policy: &str) -> String {
        format!(
            "# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory:{maxmemory}\r\n\
             maxmemory_policy:{policy}\r\n# Replication\r\nrole:{role}\r\n"
        )
    }

    #[test]
    fn a_store_that_could_forget_is_not_used() {
        let evicts = |policy: &str| Err(Trouble::Evicts(policy.to_owned()));
        for (info, wanted) in [
            (info("7.0.0", "master", "0", "noeviction"), Ok(())),
            (info("8.1.4", "master", "1048576", "noeviction"), Ok(())),
            (info("7.0.0", "master", "0", "allkeys-lru"), Ok(())),
            (info("7.0.0", "master", "1048576", "allkeys-lru"), evicts("allkeys-lru")),
            (info("7.0.0", "master", "1048576", "volatile-ttl"), evicts("volatile-ttl")),
            (info("7.0.0", "slave", "0", "noeviction"), Err(Trouble::Replica)),
            (info("6.2.14", "master", "0", "noeviction"), Err(Trouble::Old("6.2.14".to_owned()))),
            (info("x", "master", "0", "noeviction"), Err(Trouble::Old("x".to_owned()))),
            ("role:master\r\nredis_version:7.0.0\r\n".to_owned(), Err(Trouble::Unreadable)),
            (String::new(), Err(Trouble::Unreadable)),
        ] {
            assert_eq!(inspect(&info), wanted, "{info}");
        }
    }
}
