//! Streams that tell what changes: `subscriptions/listen`, and a session's own stream.

use toolgate_policy::json::{self, Json};

use crate::wire::message::{Id, Message};
use crate::wire::method::Method;

/// What a client wants to be told on a stream.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Whether it wants to hear that its list of tools has changed.
    tools: bool,
    /// The request that opened the stream, which every notice of 2026-07-28 names.
    id: Option<Id>,
}

impl Subscription {
    /// What a session's own stream tells: everything.
    pub(crate) fn of_session() -> Self {
        Self { tools: true, id: None }
    }

    /// What a `subscriptions/listen` asks for. None: the message is none.
    pub(crate) fn of_request(message: &Message<'_>) -> Option<Self> {
        if message.method() != Some(Method::Listen.name()) {
            return None;
        }
        let wanted = message.params().and_then(|params| params.get("notifications")?.get("toolsListChanged"));
        Some(Self { tools: wanted.and_then(Json::as_bool) == Some(true), id: message.id().cloned() })
    }

    /// The notice that the list of tools has changed, if the client wants it.
    pub(super) fn tools_changed(&self) -> Option<Vec<u8>> {
        let mut notice = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed""#.to_vec();
        if let Some(id) = &self.id {
            notice.extend_from_slice(br#","params":{"_meta":{"#);
            json::write_string(SUBSCRIPTION_ID, &mut notice);
            notice.push(b':');
            id.write(&mut notice);
            notice.extend_from_slice(b"}}");
        }
        notice.push(b'}');
        self.tools.then_some(notice)
    }
}

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(notifications: &str) -> Option<Subscription> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{{"notifications":{notifications}}}}}"#
        );
        Subscription::of_request(&Message::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_client_is_told_only_what_it_asked_for() {
        let told =
            |subscription: Option<Subscription>| subscription.unwrap().tools_changed().map(String::from_utf8);
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#;
        assert_eq!(told(listen(r#"{"toolsListChanged":true}"#)), Some(Ok(notice.to_owned())));
        assert_eq!(told(listen("{}")), None);
        let notice = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        assert_eq!(told(Some(Subscription::of_session())), Some(Ok(notice.to_owned())));
    }

    #[test]
    fn no_other_request_is_a_subscription() {
        let ping = Message::parse(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).unwrap();
        assert!(Subscription::of_request(&ping).is_none());
    }
}
