"""The conversation on the first line of the Python SDK: sessions only."""

import contextlib

import anyio
import httpx
import mcp.types as types
from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamable_http_client

from talk import CHANGES, NAME, WORDS, Sent, every, heard_all, step, talk


class Way:
    session = True

    def __init__(self, client, sent):
        self.client, self.sent, self.heard = client, sent, set()

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
        await self.client.subscribe_resource("test://one")
        await self.call("touch", {})
        await heard_all(self.heard)
        await self.client.unsubscribe_resource("test://one")

    async def cancelled(self):
        request = self.client._request_id

        # Whether the server's answer to it is still heard depends on who is faster.
        async def waiting():
            with contextlib.suppress(McpError):
                await self.call("wait", {})

        async with anyio.create_task_group() as group:
            group.start_soon(waiting)
            await self.sent.until()
            params = types.CancelledNotificationParams(requestId=request, reason="enough")
            await self.client.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
            await anyio.sleep(0.2)
            group.cancel_scope.cancel()


async def converse(url, headers, version):
    # This SDK offers only its newest revision by itself.
    types.LATEST_PROTOCOL_VERSION = version
    way = None

    async def heard(message):
        method = getattr(getattr(message, "root", None), "method", None)
        if method in CHANGES:
            way.heard.add(method)

    async def ask(*_):
        return types.ElicitResult.model_validate(NAME)

    async def sample(*_):
        return types.CreateMessageResult.model_validate(WORDS)

    sent = Sent()
    async with httpx.AsyncClient(headers=headers, event_hooks={"request": [sent]}, timeout=30) as http:
        async with streamable_http_client(url, http_client=http) as (read, write, _):
            callbacks = {"sampling_callback": sample, "elicitation_callback": ask, "message_handler": heard}
            async with ClientSession(read, write, **callbacks) as client:
                way = Way(client, sent)
                await step("connect", client.initialize())
                await talk(way)


anyio.run(every, converse)
