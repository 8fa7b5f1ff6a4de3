"""The conversation on the second line of the Python SDK: both eras."""

import warnings

import anyio
import httpx2
import mcp.client.session
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from talk import CHANGES, NAME, WORDS, Sent, every, heard_all, plain, step, talk

warnings.simplefilter("ignore")


class Way:
    def __init__(self, client, sent, session):
        self.client, self.sent, self.session, self.heard = client, sent, session, set()

    def ping(self):
        return self.client.send_ping()

    def set_level(self, level):
        return self.client.set_logging_level(level)

    def call(self, name, arguments, progress=None):
        return self.client.call_tool(name, arguments, progress_callback=progress)

    def complete(self):
        reference = types.PromptReference(type="ref/prompt", name="greet")
        return self.client.complete(reference, {"name": "who", "value": "A"})

    async def changes(self):
        if self.session:
            await self.client.subscribe_resource("test://one")
            await self.call("touch", {})
            await heard_all(self.heard)
            await self.client.unsubscribe_resource("test://one")
            return
        lists = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True}
        async with self.client.listen(**lists, resource_subscriptions=["test://one"]) as subscription:
            await self.call("touch", {})
            seen = set()
            with anyio.fail_after(20):
                async for event in subscription:
                    seen.add(type(event).__name__)
                    if len(seen) == len(CHANGES):
                        break
            self.heard = seen

    async def cancelled(self):
        async with anyio.create_task_group() as group:
            group.start_soon(self.call, "wait", {})
            await self.sent.until()
            group.cancel_scope.cancel()


async def converse(url, headers, version):
    modern = version == "2026-07-28"
    if not modern:
        # In sessions this SDK offers only its newest revision by itself.
        mcp.client.session.LATEST_HANDSHAKE_VERSION = version
    way = None

    async def heard(message):
        method = getattr(message, "method", None)
        if method in CHANGES and way is not None:
            way.heard.add(method)

    async def ask(*_):
        return types.ElicitResult.model_validate(NAME)

    async def sample(*_):
        return types.CreateMessageResult.model_validate(WORDS)

    sent = Sent()
    async with httpx2.AsyncClient(headers=headers, event_hooks={"request": [sent]}, timeout=30) as http:
        transport = streamable_http_client(url, http_client=http)
        callbacks = {"sampling_callback": sample, "elicitation_callback": ask, "message_handler": heard}
        client = Client(transport, mode="auto" if modern else "legacy", log_level="info" if modern else None, **callbacks)
        async with client:
            way = Way(client, sent, not modern)

            async def connected():
                return {"server": plain(client.server_info), "capabilities": plain(client.server_capabilities)}

            await step("connect", connected())
            await talk(way)


anyio.run(every, converse)
