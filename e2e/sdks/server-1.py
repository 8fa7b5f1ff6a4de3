"""The server on the first line of the Python SDK: sessions only."""

import contextlib

import mcp.types as types
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import McpError
from starlette.applications import Starlette
from starlette.routing import Mount

import peer

server = Server("peer", version="1.0.0")
options = server.create_initialization_options
server.create_initialization_options = lambda *_: options(NotificationOptions(True, True, True))


def unknown(message):
    raise McpError(types.ErrorData(code=types.INVALID_PARAMS, message=message))


class Means:
    def __init__(self, context):
        self.session, self.id, self.meta = context.session, context.request_id, context.meta

    async def progress(self, step, total, message):
        if self.meta and self.meta.progressToken is not None:
            await self.session.send_progress_notification(self.meta.progressToken, step, total, message, str(self.id))

    async def log(self, words):
        await self.session.send_log_message("info", words, "peer", self.id)

    async def ask(self, question, then):
        answer = await self.session.elicit_form(question["message"], question["requestedSchema"], self.id)
        return then(answer.model_dump(by_alias=True))

    async def sample(self, asked, then):
        messages = [types.SamplingMessage.model_validate(message) for message in asked["messages"]]
        answer = await self.session.create_message(messages, max_tokens=asked["maxTokens"], related_request_id=self.id)
        return then(answer.model_dump(by_alias=True))

    async def changed(self):
        await self.session.send_resource_updated("test://one")
        await self.session.send_tool_list_changed()
        await self.session.send_prompt_list_changed()
        await self.session.send_resource_list_changed()


def handles(request, result, answer):
    async def handler(message):
        said = answer(message.params)
        said = await said if hasattr(said, "__await__") else said
        return types.ServerResult(result.model_validate(said))

    server.request_handlers[request] = handler


handles(types.ListToolsRequest, types.ListToolsResult, lambda _: {"tools": peer.CONTENT["tools"]})
handles(types.ListPromptsRequest, types.ListPromptsResult, lambda _: {"prompts": peer.CONTENT["prompts"]})
handles(types.ListResourcesRequest, types.ListResourcesResult, lambda _: {"resources": peer.CONTENT["resources"]})
handles(
    types.ListResourceTemplatesRequest,
    types.ListResourceTemplatesResult,
    lambda _: {"resourceTemplates": peer.CONTENT["resourceTemplates"]},
)
handles(
    types.CallToolRequest,
    types.CallToolResult,
    lambda p: peer.call(p.name, p.arguments or {}, Means(server.request_context), unknown),
)
handles(types.ReadResourceRequest, types.ReadResourceResult, lambda p: peer.read(str(p.uri), unknown))
handles(types.GetPromptRequest, types.GetPromptResult, lambda p: peer.prompt(p.arguments))
handles(types.CompleteRequest, types.CompleteResult, lambda p: peer.complete(p.argument.value))
for nothing in (types.SetLevelRequest, types.SubscribeRequest, types.UnsubscribeRequest):
    handles(nothing, types.EmptyResult, lambda _: {})

manager = StreamableHTTPSessionManager(server)


@contextlib.asynccontextmanager
async def lifespan(_):
    async with manager.run():
        yield


peer.serve(Starlette(routes=[Mount("/", manager.handle_request)], lifespan=lifespan))
