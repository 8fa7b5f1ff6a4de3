//! The client on the Rust SDK, which says what the clients on the other SDKs say.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientConfig, ClientRequest, CreateMessageRequestParams,
    CreateMessageResult, ElicitRequestParams, ElicitResult, ErrorData, Implementation,
    LoggingMessageNotificationParam, PingRequest, ProgressNotificationParam, ProtocolVersion,
    ResourceUpdatedNotificationParam, ServerNotification, SetLevelRequest, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, PeerRequestOptions, RequestContext, RunningService, Subscription};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, RoleClient, ServiceError, serve_client_with_lifecycle};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::of;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `touch` changes.
const CHANGES: usize = 4;

/// Holds one conversation and tells of each step.
pub(crate) async fn converse(url: &str, token: &str, version: &str) -> Vec<Value> {
    let modern = version == "2026-07-28";
    let caller = Caller::default();
    let mut steps = Steps::default();
    let client = match connect(url, token, version, caller.clone()).await {
        Ok(client) => client,
        Err(error) => {
            steps.told.push(json!({"step": "connect", "error": error}));
            return steps.told;
        }
    };
    let info = client.peer_info().map(|info| (info.server_info.clone(), info.capabilities.clone()));
    steps.tell("connect", Ok::<_, String>(json!(info)));
    if !modern {
        let ping = ClientRequest::PingRequest(PingRequest::default());
        steps.of("ping", client.send_request(ping)).await;
        let level = ClientRequest::SetLevelRequest(SetLevelRequest::new(of(json!({"level": "debug"}))));
        steps.of("log level", client.send_request(level)).await;
    }
    lists_and_calls(&client, &mut steps).await;
    steps.of("progress", call(&client, "slow", json!({}))).await;
    // The SDK hands each notice to a task of its own, so they are told in any order.
    steps.tell(
        "progress that was told",
        caller.hears(2).await.map(|mut heard| {
            heard.sort();
            json!(heard)
        }),
    );
    reads(&client, &mut steps).await;
    steps.of("elicitation", call(&client, "ask", json!({}))).await;
    steps.of("sampling", call(&client, "sample", json!({}))).await;
    steps.of("coming back", call(&client, "poll", json!({}))).await;
    caller.forget();
    steps.tell("changes", changes(&client, &caller, modern).await);
    steps.tell("cancellation", cancellation(&client).await);
    steps.of("still there", call(&client, "echo", json!({"text": "bye"}))).await;
    let mut client = client;
    let closed = client.close_with_timeout(PATIENCE).await;
    steps.tell("close", closed.map(|_| Value::Null).map_err(|error| error.to_string()));
    steps.told
}

type Client = RunningService<RoleClient, Caller>;

async fn connect(url: &str, token: &str, version: &str, caller: Caller) -> Result<Client, String> {
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let transport = StreamableHttpClientTransport::with_client(http, config);
    let version: ProtocolVersion = of(json!(version));
    let lifecycle = if version == ProtocolVersion::V_2026_07_28 {
        ClientLifecycleMode::Discover { preferred_versions: vec![version.clone()] }
    } else {
        ClientLifecycleMode::Initialize
    };
    let caller = Caller { version: Some(version), ..caller };
    let opening = serve_client_with_lifecycle(caller, transport, lifecycle);
    let opened = tokio::time::timeout(PATIENCE, opening).await.map_err(|_| "no answer".to_owned())?;
    opened.map_err(|error| error.to_string())
}

async fn lists_and_calls(client: &Client, steps: &mut Steps) {
    steps.of("tools", client.list_tools(None)).await;
    steps.of("prompts", client.list_prompts(None)).await;
    steps.of("resources", client.list_resources(None)).await;
    steps.of("templates", client.list_resource_templates(None)).await;
    steps.of("text", call(client, "echo", json!({"text": "hello, \u{e9}\u{1F600}"}))).await;
    steps.of("structured", call(client, "sum", json!({"a": 1, "b": 2.5}))).await;
    steps.of("image", call(client, "picture", json!({}))).await;
    steps.of("tool error", call(client, "fail", json!({}))).await;
    steps.of("unknown tool", call(client, "nowhere", json!({}))).await;
}

async fn reads(client: &Client, steps: &mut Steps) {
    for (name, uri) in [
        ("resource", "test://one"),
        ("templated resource", "test://item/7"),
        ("unknown resource", "test://nowhere"),
    ] {
        steps.of(name, client.read_resource(of(json!({"uri": uri})))).await;
    }
    let greet = of(json!({"name": "greet", "arguments": {"who": "Ada"}}));
    steps.of("prompt", client.get_prompt(greet)).await;
    let begun = of(json!({
        "ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "A"},
    }));
    steps.of("completion", client.complete(begun)).await;
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Result<impl Serialize, ServiceError> {
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(of(arguments))).await
}

async fn changes(client: &Client, caller: &Caller, modern: bool) -> Result<Value, String> {
    let words = |error: ServiceError| error.to_string();
    let mut heard = if modern {
        let wanted: SubscriptionFilter = of(json!({
            "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
            "resourceSubscriptions": ["test://one"],
        }));
        let mut subscription = client.listen(wanted).await.map_err(words)?;
        call(client, "touch", json!({})).await.map_err(words)?;
        let heard = listened(&mut subscription).await?;
        subscription.cancel().await.map_err(words)?;
        heard
    } else {
        client.subscribe(of(json!({"uri": "test://one"}))).await.map_err(words)?;
        call(client, "touch", json!({})).await.map_err(words)?;
        let heard = caller.hears(CHANGES).await?;
        client.unsubscribe(of(json!({"uri": "test://one"}))).await.map_err(words)?;
        heard
    };
    heard.sort();
    Ok(json!(heard))
}

async fn listened(subscription: &mut Subscription) -> Result<Vec<String>, String> {
    let mut heard = Vec::new();
    while heard.len() < CHANGES {
        let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
        let next = next.map_err(|_| format!("only {heard:?}"))?.map_err(|error| error.to_string())?;
        let notice: ServerNotification = next.ok_or_else(|| format!("ended after {heard:?}"))?;
        let notice = serde_json::to_value(notice).expect("JSON");
        heard.push(notice["method"].to_string());
    }
    Ok(heard)
}

async fn cancellation(client: &Client) -> Result<Value, String> {
    let wait = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("wait")));
    let asked = client.send_cancellable_request(wait, PeerRequestOptions::no_options()).await;
    let asked = asked.map_err(|error| error.to_string())?;
    // A call is cancelled only when it is under way, as the other clients do it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    asked.cancel(Some("enough".to_owned())).await.map_err(|error| error.to_string())?;
    Ok(json!("cancelled"))
}

/// What was said of each step.
#[derive(Default)]
struct Steps {
    told: Vec<Value>,
}

impl Steps {
    async fn of<T: Serialize>(
        &mut self,
        name: &str,
        doing: impl Future<Output = Result<T, ServiceError>> + Send,
    ) {
        let done = match tokio::time::timeout(PATIENCE, doing).await {
            Ok(done) => done.map(|value| json!(value)).map_err(|error| error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        };
        self.tell(name, done);
    }

    fn tell(&mut self, name: &str, done: Result<Value, impl Serialize + Debug>) {
        self.told.push(match done {
            Ok(value) => json!({"step": name, "result": value}),
            Err(error) => json!({"step": name, "error": error}),
        });
    }
}

/// The caller: a person who answers, and a model that speaks.
#[derive(Clone, Default)]
struct Caller {
    version: Option<ProtocolVersion>,
    heard: Arc<Mutex<Vec<String>>>,
    more: Arc<Notify>,
}

impl Caller {
    fn hear(&self, what: impl Into<String>) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
        self.more.notify_one();
    }

    /// What was heard, which is forgotten.
    fn forget(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn hears(&self, count: usize) -> Result<Vec<String>, String> {
        let all = async {
            loop {
                let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if heard.len() >= count {
                    return heard;
                }
                self.more.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.map_err(|_| format!("only {:?}", self.heard))
    }
}

type Notice = NotificationContext<RoleClient>;

impl ClientHandler for Caller {
    fn get_info(&self) -> ClientConfig {
        let capabilities = of(json!({"elicitation": {}, "sampling": {}}));
        let info = ClientConfig::new(capabilities, Implementation::new("caller", "1.0.0"));
        match &self.version {
            Some(version) => info.with_protocol_version(version.clone()),
            None => info,
        }
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(of(json!({"action": "accept", "content": {"name": "Ada"}})))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(of(json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "hello"}})))
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: Notice) {
        self.hear(json!([params.progress, params.message]).to_string());
    }

    async fn on_logging_message(&self, _: LoggingMessageNotificationParam, _: Notice) {}

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: Notice) {
        self.hear(format!("updated {}", params.uri));
    }

    async fn on_resource_list_changed(&self, _: Notice) {
        self.hear("resources");
    }

    async fn on_tool_list_changed(&self, _: Notice) {
        self.hear("tools");
    }

    async fn on_prompt_list_changed(&self, _: Notice) {
        self.hear("prompts");
    }
}
