//! The server on the Rust SDK: sessions, and 2026-07-28. It does what the servers on the other SDKs do.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, ErrorData,
    GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation, InputRequiredResult,
    InputResponses, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ResourceUpdatedNotificationParam, ServerConfig,
    SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext, SubscriptionSink};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::of;

/// What all servers have.
static CONTENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../sdks/content.json")).expect("JSON"));

/// Serves on a port of its own until the runtime ends, and tells its URL.
pub(crate) async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let listening = Listening::default();
    let peer = move || Ok(Peer { listening: listening.clone() });
    let config = StreamableHttpServerConfig::default();
    let service = StreamableHttpService::new(peer, Arc::new(LocalSessionManager::default()), config);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.handle(request).await) }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    });
    url
}

/// Who listens in 2026-07-28.
type Listening = Arc<Mutex<Vec<SubscriptionSink>>>;

struct Peer {
    listening: Listening,
}

type Context = RequestContext<RoleServer>;

fn text(text: impl Into<String>) -> CallToolResponse {
    result(json!({"content": [{"type": "text", "text": text.into()}]}))
}

fn result(value: Value) -> CallToolResponse {
    CallToolResponse::Complete(complete(value))
}

/// A result that says that it is one, as 2026-07-28 has it; the SDK takes the word out for the revisions before.
fn complete<T: DeserializeOwned>(mut value: Value) -> T {
    value["resultType"] = json!("complete");
    of(value)
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn is_modern(context: &Context) -> bool {
    context.protocol_version() == Some(ProtocolVersion::V_2026_07_28)
}

/// In 2026-07-28 what is asked goes into the result, and the call comes again with the answer.
fn input(
    responses: Option<&InputResponses>,
    key: &str,
    request: &Value,
    then: impl Fn(&Value) -> String,
) -> CallToolResponse {
    if let Some(answer) = responses.and_then(|responses| responses.get(key)) {
        return text(then(answer));
    }
    let requests = of(json!({key: request}));
    InputRequiredResult::new(Some(requests), Some(format!("state of {key}"))).into()
}

fn named(answer: &Value) -> String {
    format!("{} {}", answer["action"].as_str().unwrap_or("-"), answer["content"]["name"])
}

fn worded(answer: &Value) -> String {
    format!("the model said {}", answer["content"])
}

impl Peer {
    async fn slow(&self, context: &Context) -> Result<CallToolResponse, ErrorData> {
        if let Some(token) = context.meta.get_progress_token() {
            for step in [1, 2] {
                let told = json!({"progressToken": token, "progress": step, "total": 2, "message": format!("step {step}")});
                let told: ProgressNotificationParam = of(told);
                context.peer.notify_progress(told).await.map_err(failed)?;
            }
        }
        if !is_modern(context) || context.meta.log_level().is_some() {
            let told = of(json!({"level": "info", "logger": "peer", "data": "half way"}));
            context.peer.notify_logging_message(told).await.map_err(failed)?;
        }
        Ok(text("done"))
    }

    async fn ask(
        &self,
        responses: Option<&InputResponses>,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let question = &CONTENT["question"];
        if is_modern(context) {
            let mut params = question.clone();
            params["mode"] = json!("form");
            let request = json!({"method": "elicitation/create", "params": params});
            return Ok(input(responses, "name", &request, named));
        }
        let answer = context.peer.create_elicitation(of(question.clone())).await.map_err(failed)?;
        Ok(text(named(&serde_json::to_value(answer).expect("JSON"))))
    }

    async fn sample(
        &self,
        responses: Option<&InputResponses>,
        context: &Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let sampling = CONTENT["sampling"].clone();
        if is_modern(context) {
            let request = json!({"method": "sampling/createMessage", "params": sampling});
            return Ok(input(responses, "words", &request, worded));
        }
        let answer = context.peer.create_message(of(sampling)).await.map_err(failed)?;
        Ok(text(worded(&serde_json::to_value(answer).expect("JSON"))))
    }

    async fn touch(&self, context: &Context) -> Result<CallToolResponse, ErrorData> {
        if is_modern(context) {
            let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for sink in listening {
                sink.notify_resource_updated("test://one").await.map_err(failed)?;
                sink.notify_tool_list_changed().await.map_err(failed)?;
                sink.notify_prompt_list_changed().await.map_err(failed)?;
                sink.notify_resource_list_changed().await.map_err(failed)?;
            }
        } else {
            let updated = ResourceUpdatedNotificationParam::new("test://one");
            context.peer.notify_resource_updated(updated).await.map_err(failed)?;
            context.peer.notify_tool_list_changed().await.map_err(failed)?;
            context.peer.notify_prompt_list_changed().await.map_err(failed)?;
            context.peer.notify_resource_list_changed().await.map_err(failed)?;
        }
        Ok(text("touched"))
    }
}

impl ServerHandler for Peer {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "tools": {"listChanged": true},
            "prompts": {"listChanged": true},
            "resources": {"subscribe": true, "listChanged": true},
            "completions": {},
            "logging": {},
        });
        ServerConfig::new(of(capabilities)).with_server_info(Implementation::new("peer", "1.0.0"))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let responses = request.input_responses.as_ref();
        match request.name.as_ref() {
            "echo" => Ok(text(arguments["text"].as_str().unwrap_or("-"))),
            "sum" => {
                let sum = arguments["a"].as_f64().unwrap_or(0.0) + arguments["b"].as_f64().unwrap_or(0.0);
                Ok(result(json!({
                    "content": [{"type": "text", "text": sum.to_string()}], "structuredContent": {"sum": sum},
                })))
            }
            "picture" => Ok(result(
                json!({"content": [{"type": "image", "data": CONTENT["dot"], "mimeType": "image/png"}]}),
            )),
            "fail" => {
                Ok(result(json!({"content": [{"type": "text", "text": "this tool fails"}], "isError": true})))
            }
            "slow" => self.slow(&context).await,
            "ask" => self.ask(responses, &context).await,
            "sample" => self.sample(responses, &context).await,
            "touch" => self.touch(&context).await,
            "poll" => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(text("after a break"))
            }
            "wait" => {
                context.ct.cancelled().await;
                Err(failed("cancelled"))
            }
            other => Err(ErrorData::invalid_params(format!("Unknown tool: {other}"), None)),
        }
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(complete(json!({"tools": CONTENT["tools"]})))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(complete(json!({"prompts": CONTENT["prompts"]})))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let greeting = format!("Greet {}", arguments["who"].as_str().unwrap_or("-"));
        let prompt: GetPromptResult = complete(json!({
            "description": "A greeting",
            "messages": [{"role": "user", "content": {"type": "text", "text": greeting}}],
        }));
        Ok(prompt.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(complete(json!({"resources": CONTENT["resources"]})))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(complete(json!({"resourceTemplates": CONTENT["resourceTemplates"]})))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        let known = uri.strip_prefix("test://").is_some_and(|name| {
            matches!(name, "one" | "two")
                || name.strip_prefix("item/").is_some_and(|item| item.parse::<u32>().is_ok())
        });
        if !known {
            return Err(ErrorData::invalid_params(format!("Unknown resource: {uri}"), None));
        }
        let read: ReadResourceResult = complete(json!({"contents": [
            {"uri": uri, "mimeType": "text/plain", "text": format!("the text of {uri}")},
        ]}));
        Ok(read.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let begun = request.argument.value;
        let values: Vec<&str> =
            ["Ada", "Alan", "Grace"].into_iter().filter(|name| name.starts_with(&begun)).collect();
        Ok(complete(json!({"completion": {"total": values.len(), "values": values, "hasMore": false}})))
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let sink = context.sink().clone();
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(sink.clone());
        context.cancelled().await;
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.retain(|other| other.id() != sink.id());
        Ok(())
    }
}
