//! The files of a gateway in file mode.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::ProcessError;
use super::folder::Folder;

/// The token of the sample grant, which everybody knows.
pub const SAMPLE_TOKEN: &str = "toolgate-sample-token";

/// The bearer token that the server behind the gateway demands.
pub const CREDENTIAL: &str = "upstream-credential-canary";

const SAMPLE_URL: &str = "http://kommo-mcp:3001/mcp";
const SAMPLE_SERVER: &str = include_str!("../../../crds/samples/kommo-server.yaml");
const SAMPLE_POLICY: &str = include_str!("../../../crds/samples/kommo-policy.yaml");
const SAMPLE_GRANT: &str = include_str!("../../../crds/samples/kommo-grant.yaml");

/// The files of one gateway: objects in one folder, credentials in another.
#[derive(Debug)]
pub struct Configuration {
    folder: Folder,
}

impl Configuration {
    /// The server `kommo` at a URL with its credential, and nothing else.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(upstream_url: &str) -> Result<Self, ProcessError> {
        let configuration = Self { folder: Folder::new()? };
        let server = SAMPLE_SERVER.replace(SAMPLE_URL, upstream_url);
        assert!(server.contains(upstream_url), "the sample server is at {SAMPLE_URL}");
        configuration.write("kommo-server.yaml", &server)?;
        configuration.credential(&format!("Bearer {CREDENTIAL}\n"))?;
        Ok(configuration)
    }

    /// The samples as they are, but for the server's URL.
    ///
    /// # Errors
    /// The system refuses.
    pub fn samples(upstream_url: &str) -> Result<Self, ProcessError> {
        let configuration = Self::new(upstream_url)?;
        configuration.write("kommo-policy.yaml", SAMPLE_POLICY)?;
        configuration.write("kommo-grant.yaml", SAMPLE_GRANT)?;
        Ok(configuration)
    }

    /// Writes a file of objects.
    ///
    /// # Errors
    /// The system refuses.
    pub fn write(&self, name: &str, text: &str) -> Result<(), ProcessError> {
        self.folder.write(&format!("objects/{name}"), text)
    }

    /// Reads a file of objects.
    ///
    /// # Errors
    /// The system refuses.
    pub fn read(&self, name: &str) -> Result<String, ProcessError> {
        self.folder.read(&format!("objects/{name}"))
    }

    /// Removes a file of objects.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove(&self, name: &str) -> Result<(), ProcessError> {
        self.folder.remove(&format!("objects/{name}"))
    }

    /// Writes the policy `name` for the server into `<name>.yaml`; `rules` are the lines below its targets.
    ///
    /// # Errors
    /// The system refuses.
    pub fn policy(&self, name: &str, rules: &str) -> Result<(), ProcessError> {
        let rules: Vec<String> = rules.lines().map(|line| format!("  {line}\n")).collect();
        let rules = rules.concat();
        let text = format!(
            "apiVersion: toolgate.dev/v1alpha1\nkind: ToolPolicy\nmetadata: {{name: {name}}}\n\
             spec:\n  targetRefs: [{{kind: McpServer, name: kommo}}]\n{rules}"
        );
        self.write(&format!("{name}.yaml"), &text)
    }

    /// A token's digest, as a grant has it.
    pub fn digest(token: &str) -> String {
        let digits: Vec<String> = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
        digits.concat()
    }

    /// Writes the grant `name` for a token into `grant-<name>.yaml`; `more` are further lines of its spec.
    ///
    /// # Errors
    /// The system refuses.
    pub fn grant(&self, name: &str, token: &str, more: &str) -> Result<(), ProcessError> {
        let digest = Self::digest(token);
        let text = format!(
            "apiVersion: toolgate.dev/v1alpha1\nkind: ToolGrant\nmetadata: {{name: {name}}}\nspec:\n  \
             servers: [{{name: kommo}}]\n  subject: {{type: Token, token: {{sha256: \"{digest}\"}}}}\n  {more}\n"
        );
        self.write(&format!("grant-{name}.yaml"), &text)
    }

    /// Writes the header that the server demands.
    ///
    /// # Errors
    /// The system refuses.
    pub fn credential(&self, header: &str) -> Result<(), ProcessError> {
        self.folder.write("credentials/kommo-mcp/authorization", header)
    }

    /// Lets the server's gateways count in a store: the lines of `spec.counters.redis`, in YAML's flow style.
    ///
    /// # Errors
    /// The system refuses.
    pub fn counters(&self, redis: &str) -> Result<(), ProcessError> {
        let server = self.read("kommo-server.yaml")?;
        let without = server.split("  counters:").next().unwrap_or_default();
        self.write("kommo-server.yaml", &format!("{without}  counters: {{redis: {redis}}}\n"))
    }

    /// Writes a key of the Secret `store`, which is for the store of counters.
    ///
    /// # Errors
    /// The system refuses.
    pub fn store_secret(&self, key: &str, text: &str) -> Result<(), ProcessError> {
        self.secret("store", key, text)
    }

    /// Writes a key of a Secret.
    ///
    /// # Errors
    /// The system refuses.
    pub fn secret(&self, name: &str, key: &str, text: &str) -> Result<(), ProcessError> {
        self.folder.write(&format!("credentials/{name}/{key}"), text)
    }

    /// Writes a key of the ConfigMap `authority`.
    ///
    /// # Errors
    /// The system refuses.
    pub fn authority(&self, key: &str, text: &str) -> Result<(), ProcessError> {
        self.folder.write(&format!("certificates/authority/{key}"), text)
    }

    /// The folder of the certificates that ConfigMaps hold.
    pub fn certificates(&self) -> PathBuf {
        self.folder.path().join("certificates")
    }

    /// The folder of the objects.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }

    /// The folder of the credentials.
    pub fn credentials(&self) -> PathBuf {
        self.folder.path().join("credentials")
    }

    /// The folder of both.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the files where they are when this is dropped.
    pub fn keep(&mut self) {
        self.folder.keep();
    }
}
