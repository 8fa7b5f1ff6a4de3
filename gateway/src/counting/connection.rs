//! One connection to the store, over which all questions go at once.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, ScriptInvocation, TlsCertificates, Value,
};
use toolgate_crds::RedisCounters;
use toolgate_policy::RedisAddress;

use super::inspection::Trouble;
use crate::credentials::{Credentials, NoCredential};

/// What a connection needs from files. Never logged.
#[derive(PartialEq, Eq)]
pub(super) struct Secrets {
    password: Option<String>,
    authority: Option<Vec<u8>>,
}

/// A connection to one node, or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Secrets {
    pub(super) fn read(settings: &RedisCounters, credentials: &Credentials) -> Result<Self, Trouble> {
        let unreadable = |error: NoCredential| Trouble::Credential(error.to_string());
        let password = settings.secret_key_ref.as_ref().map(|reference| credentials.secret(reference));
        let authority =
            settings.certificate_authority.as_ref().map(|authority| credentials.authority(authority));
        Ok(Self {
            password: password.transpose().map_err(unreadable)?,
            authority: authority.transpose().map_err(unreadable)?,
        })
    }

    /// Of a store that asks for nothing.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { password: None, authority: None }
    }

    /// Empty where the store asks for none.
    pub(super) fn password(&self) -> &str {
        self.password.as_deref().unwrap_or_default()
    }
}

impl Connection {
    /// Connects and is let in.
    pub(super) async fn open(
        settings: &RedisCounters,
        secrets: &Secrets,
        deadline: Duration,
    ) -> Result<Self, Trouble> {
        let info = connection_info(settings, secrets)?;
        let certificates = TlsCertificates { client_tls: None, root_cert: secrets.authority.clone() };
        let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        let opened = if settings.cluster {
            let builder = ClusterClientBuilder::new([info]).connection_timeout(deadline);
            let builder = builder.response_timeout(deadline).retries(1);
            let builder = if tls { builder.certs(certificates) } else { builder };
            let client = builder.build().map_err(|error| trouble(&error))?;
            client.get_async_connection().await.map(Self::Cluster)
        } else {
            let client = if tls { Client::build_with_tls(info, certificates) } else { Client::open(info) };
            let client = client.map_err(|error| trouble(&error))?;
            let config = AsyncConnectionConfig::new();
            let config = config.set_connection_timeout(Some(deadline)).set_response_timeout(Some(deadline));
            client.get_multiplexed_async_connection_with_config(&config).await.map(Self::One)
        };
        opened.map_err(|error| trouble(&error))
    }

    /// Runs a script, which the store is sent only if it does not know it.
    pub(super) async fn run(&self, invocation: &ScriptInvocation<'_>) -> Result<Value, Trouble> {
        let value = match self.clone() {
            Self::One(mut connection) => invocation.invoke_async(&mut connection).await,
            Self::Cluster(mut connection) => invocation.invoke_async(&mut connection).await,
        };
        value.map_err(|error| trouble(&error))
    }

    /// Sets a key that is not there yet, and tells what is there.
    pub(super) async fn agree(&self, key: &str, proposal: &str) -> Result<String, Trouble> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(proposal).arg("NX");
        let mut get = redis::cmd("GET");
        get.arg(key);
        let agreed = match self.clone() {
            Self::One(mut connection) => match set.query_async::<Value>(&mut connection).await {
                Ok(_) => get.query_async(&mut connection).await,
                Err(error) => Err(error),
            },
            Self::Cluster(mut connection) => match set.query_async::<Value>(&mut connection).await {
                Ok(_) => get.query_async(&mut connection).await,
                Err(error) => Err(error),
            },
        };
        agreed.map_err(|error| trouble(&error))
    }
}

fn connection_info(settings: &RedisCounters, secrets: &Secrets) -> Result<ConnectionInfo, Trouble> {
    let unusable = |message: &str| Trouble::Unreachable(format!("its URL {message}"));
    let RedisAddress { host, port, tls } = RedisAddress::parse(&settings.url).map_err(unusable)?;
    let address = if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = &secrets.password {
        login = login.set_password(password);
    }
    let info = address.into_connection_info().map_err(|error| trouble(&error))?;
    Ok(info.set_redis_settings(login))
}

fn trouble(error: &RedisError) -> Trouble {
    if error.is_timeout() {
        return Trouble::Silent;
    }
    match error.kind() {
        ErrorKind::Io => Trouble::Unreachable(error.to_string()),
        _ => Trouble::Refused(error.to_string()),
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Connection")
    }
}
