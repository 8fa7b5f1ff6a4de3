"""The server on the second line of the Python SDK: both eras."""

import warnings

import mcp_types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError

import peer

warnings.simplefilter("ignore")
bus = InMemorySubscriptionBus()


def unknown(message):
    raise MCPError(types.INVALID_PARAMS, message)


class Means:
    def __init__(self, context, params):
        self.context, self.session, self.params = context, context.session, params
        self.modern = context.protocol_version == "2026-07-28"

    async def progress(self, step, total, message):
        await self.session.report_progress(step, total, message)

    async def log(self, words):
        await self.session.send_log_message("info", words, "peer", self.context.request_id)

    # In 2026-07-28 what is asked goes into the result, and the call comes again with the answer.
    def input(self, key, method, asked, then):
        answer = (self.params.input_responses or {}).get(key)
        if answer is not None:
            return then(answer if isinstance(answer, dict) else answer.model_dump(by_alias=True))
        requests = {key: {"method": method, "params": asked}}
        return {"resultType": "input_required", "inputRequests": requests, "requestState": f"state of {key}"}

    async def ask(self, question, then):
        if self.modern:
            return self.input("name", "elicitation/create", {"mode": "form", **question}, then)
        schema = question["requestedSchema"]
        answer = await self.session.elicit_form(question["message"], schema, self.context.request_id)
        return then(answer.model_dump(by_alias=True))

    async def sample(self, asked, then):
        if self.modern:
            return self.input("words", "sampling/createMessage", asked, then)
        messages = [types.SamplingMessage.model_validate(message) for message in asked["messages"]]
        tokens, related = asked["maxTokens"], self.context.request_id
        answer = await self.session.create_message(messages, max_tokens=tokens, related_request_id=related)
        return then(answer.model_dump(by_alias=True))

    async def changed(self):
        if self.modern:
            for event in (ResourceUpdated("test://one"), ToolsListChanged(), PromptsListChanged(), ResourcesListChanged()):
                await bus.publish(event)
            return
        await self.session.send_resource_updated("test://one")
        await self.session.send_tool_list_changed()
        await self.session.send_prompt_list_changed()
        await self.session.send_resource_list_changed()


def says(result, answer):
    async def handler(context, params):
        return result.model_validate(answer(params))

    return handler


async def call(context, params):
    said = await peer.call(params.name, params.arguments or {}, Means(context, params), unknown)
    result = types.InputRequiredResult if "inputRequests" in said else types.CallToolResult
    return result.model_validate(said)


server = Server(
    "peer",
    version="1.0.0",
    on_list_tools=says(types.ListToolsResult, lambda _: {"tools": peer.CONTENT["tools"]}),
    on_list_prompts=says(types.ListPromptsResult, lambda _: {"prompts": peer.CONTENT["prompts"]}),
    on_list_resources=says(types.ListResourcesResult, lambda _: {"resources": peer.CONTENT["resources"]}),
    on_list_resource_templates=says(types.ListResourceTemplatesResult, lambda _: {"resourceTemplates": peer.CONTENT["resourceTemplates"]}),
    on_call_tool=call,
    on_read_resource=says(types.ReadResourceResult, lambda p: peer.read(str(p.uri), unknown)),
    on_get_prompt=says(types.GetPromptResult, lambda p: peer.prompt(p.arguments)),
    on_completion=says(types.CompleteResult, lambda p: peer.complete(p.argument.value)),
    on_set_logging_level=says(types.EmptyResult, lambda _: {}),
    on_subscribe_resource=says(types.EmptyResult, lambda _: {}),
    on_unsubscribe_resource=says(types.EmptyResult, lambda _: {}),
    on_subscriptions_listen=ListenHandler(bus),
)
options = server.create_initialization_options
server.create_initialization_options = lambda *_, **__: options(NotificationOptions(True, True, True))
peer.serve(server.streamable_http_app())
