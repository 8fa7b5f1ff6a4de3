//! Who a verified token says its bearer is, as plain data. Nothing here was checked here: whoever makes an [`Identity`]
//! has verified the signature, the issuer and the times.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The issuer, exactly as the token names it.
    pub issuer: String,
    /// Whom the token is for.
    pub audiences: Vec<String>,
    /// The claims that are texts. Others match no grant.
    pub claims: BTreeMap<String, String>,
    /// The ServiceAccount, if the cluster itself issued the token for this gateway.
    pub service_account: Option<ServiceAccount>,
    /// From this instant on it is nobody's.
    pub expires_at: Timestamp,
}

/// What the certificate of a client says, which an authority of clients vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The only URI among its alternative names.
    pub uri: Option<String>,
    /// Its subject, as RFC 4514 writes it.
    pub subject: Option<String>,
    /// From this instant on it is nobody's.
    pub expires_at: Timestamp,
}

/// A ServiceAccount of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceAccount {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ServiceAccount {
    /// Reads the subject of a ServiceAccount's token, `system:serviceaccount:NAMESPACE:NAME`.
    pub fn of_subject(subject: &str) -> Option<Self> {
        let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        let whole = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
        whole.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_subject_of_a_service_account_is_one() {
        let found = ServiceAccount::of_subject("system:serviceaccount:sales:agent").unwrap();
        assert_eq!((found.namespace.as_str(), found.name.as_str()), ("sales", "agent"));
        for other in [
            "",
            "system:serviceaccount:",
            "system:serviceaccount:sales",
            "system:serviceaccount:sales:",
            "system:serviceaccount::agent",
            "system:serviceaccount:sales:agent:more",
            "system:serviceaccounts:sales:agent",
            " system:serviceaccount:sales:agent",
            "system:node:agent",
        ] {
            assert_eq!(ServiceAccount::of_subject(other), None, "{other}");
        }
    }
}
