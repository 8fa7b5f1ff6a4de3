//! Names of what the operator makes, as pure functions of the server's name and UID.

use sha2::{Digest, Sha256};

/// The most characters of a DNS label, and of a label's value.
pub const LABEL_CHARACTERS_MAX: usize = 63;
/// What the name of every child ends with.
const SUFFIX: &str = "-toolgate";
/// What the name of the child that concerns the guarded server's own pods ends with.
const SERVER_SUFFIX: &str = "-toolgate-server";
/// Hexadecimal digits that tell shortened names apart.
const DIGEST_CHARACTERS: usize = 10;

/// The name of all children of a server: `<server>-toolgate`.
///
/// A name that is no DNS label, or is too long for one, is shortened and made unique by the server's UID.
pub fn child(server: &str, uid: &str) -> String {
    let plain = format!("{server}{SUFFIX}");
    if is_dns_label(&plain) { plain } else { shortened(server, uid, SUFFIX) }
}

/// The name of the NetworkPolicy for the guarded server's own pods: `<server>-toolgate-server`.
pub fn server_network_policy(server: &str, uid: &str) -> String {
    let plain = format!("{server}{SERVER_SUFFIX}");
    if is_dns_label(&plain) { plain } else { shortened(server, uid, SERVER_SUFFIX) }
}

/// The server's name as the value of a label: itself, or shortened and made unique by the UID.
pub fn label_value(server: &str, uid: &str) -> String {
    if server.len() <= LABEL_CHARACTERS_MAX { server.to_owned() } else { shortened(server, uid, "") }
}

/// The name of the volume for a Secret. It says nothing but that Secrets are not confused.
pub fn credential_volume(secret: &str) -> String {
    format!("credential-{}", digest(secret))
}

/// The name of the volume for a ConfigMap with certificates.
pub fn certificates_volume(config_map: &str) -> String {
    format!("certificates-{}", digest(config_map))
}

fn shortened(server: &str, uid: &str, suffix: &str) -> String {
    let digest = digest(uid);
    let mut start: String = server.chars().map(|letter| if letter == '.' { '-' } else { letter }).collect();
    if !start.starts_with(|first: char| first.is_ascii_lowercase()) {
        start.insert(0, 's');
    }
    start.truncate(LABEL_CHARACTERS_MAX - suffix.len() - digest.len() - 1);
    format!("{start}-{digest}{suffix}")
}

// What a Service may be called in every supported version: letters, digits and hyphens, beginning with a letter.
fn is_dns_label(name: &str) -> bool {
    name.len() <= LABEL_CHARACTERS_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(DIGEST_CHARACTERS).map(hex_digit).collect()
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16")
}

#[cfg(test)]
mod tests {
    use super::{LABEL_CHARACTERS_MAX, child, credential_volume, is_dns_label, label_value};

    #[test]
    fn a_short_name_is_kept() {
        assert_eq!(child("crm", "uid-1"), "crm-toolgate");
        assert_eq!(label_value("crm", "uid-1"), "crm");
        assert_eq!(label_value("crm.v2", "uid-1"), "crm.v2");
    }

    #[test]
    fn the_longest_name_that_fits_is_kept_and_one_past_it_is_shortened() {
        let longest = "a".repeat(LABEL_CHARACTERS_MAX - "-toolgate".len());
        assert_eq!(child(&longest, "uid-1"), format!("{longest}-toolgate"));
        let past = child(&format!("{longest}a"), "uid-1");
        assert_eq!(past.len(), LABEL_CHARACTERS_MAX);
        assert!(past.ends_with("-toolgate") && is_dns_label(&past), "{past}");

        let longest = "a".repeat(LABEL_CHARACTERS_MAX);
        assert_eq!(label_value(&longest, "uid-1"), longest);
        assert_eq!(label_value(&format!("{longest}a"), "uid-1").len(), LABEL_CHARACTERS_MAX);
    }

    #[test]
    fn names_that_differ_past_the_limit_stay_apart() {
        let (left, right) = (format!("{}x", "a".repeat(80)), format!("{}y", "a".repeat(80)));
        assert_ne!(child(&left, "uid-1"), child(&right, "uid-2"));
        assert_ne!(label_value(&left, "uid-1"), label_value(&right, "uid-2"));
    }

    #[test]
    fn a_name_that_no_service_may_have_is_made_one() {
        for server in ["crm.v2", "7", "7.eu", "a.b.c", "s-7"] {
            let name = child(server, "uid-1");
            assert!(is_dns_label(&name), "{server}: {name}");
        }
        assert_ne!(child("crm.v2", "uid-1"), child("crm-v2", "uid-2"));
    }

    #[test]
    fn volumes_of_different_secrets_differ() {
        assert_ne!(credential_volume("a.b"), credential_volume("a-b"));
        assert!(is_dns_label(&credential_volume(&"a".repeat(253))));
    }
}
