//! How one server views a policy or a grant: which version of it is in force, and whether its gateways know.

use std::collections::BTreeMap;

use toolgate_crds::FieldError;
use toolgate_policy::InForce;

/// The policies and grants that concern one server, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Views {
    /// The policies.
    pub policies: BTreeMap<String, View>,
    /// The grants.
    pub grants: BTreeMap<String, View>,
}

/// An object, as one server views it.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// It belongs to the server.
    Member(Member),
    /// It does not belong to the server any more, but gateways that still enforce it may be there.
    Leaving {
        /// The object's UID.
        uid: String,
        /// What is waited for.
        message: String,
    },
}

/// An object that belongs to a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The object's UID.
    pub uid: String,
    /// The generation that was looked at.
    pub generation: i64,
    /// Which version is in force.
    pub in_force: InForce,
    /// Every fault of the generation that was looked at.
    pub errors: Vec<FieldError>,
    /// Whether the server's gateways enforce the version that is in force.
    pub programmed: Programmed,
}

/// Whether gateways enforce something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// All of them do.
    Yes,
    /// There are none.
    NoGateways(String),
    /// Not yet; what is waited for.
    Pending(String),
}

impl View {
    /// The object's UID.
    pub fn uid(&self) -> &str {
        match self {
            Self::Member(member) => &member.uid,
            Self::Leaving { uid, .. } => uid,
        }
    }
}
