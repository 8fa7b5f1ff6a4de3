"""The conversation of the Python clients: each step's outcome is one line. `way` is what differs between the SDK's lines."""

import json
import sys

import anyio

PATIENCE = 20
CHANGES = {
    "notifications/resources/updated",
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
}
NAME = {"action": "accept", "content": {"name": "Ada"}}
WORDS = {"role": "assistant", "model": "none", "content": {"type": "text", "text": "hello"}}


def plain(value):
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True, mode="json", exclude_none=True)
    return value


async def step(name, doing):
    try:
        outcome = {"result": plain(await doing)}
    except Exception as error:
        said = getattr(error, "error", None)
        outcome = {"error": {"code": getattr(said, "code", type(error).__name__), "message": str(error)}}
    print(json.dumps({"step": name, **outcome}), flush=True)


async def heard_all(heard):
    with anyio.fail_after(PATIENCE):
        while set(heard) != CHANGES:
            await anyio.sleep(0.01)


# A hook for the HTTP client: a call is cancelled only when it is under way.
class Sent:
    def __init__(self):
        self.waiting = anyio.Event()

    async def __call__(self, request):
        if request.method == "POST" and b'"name":"wait"' in request.content.replace(b'": ', b'":'):
            self.waiting.set()

    async def until(self):
        await self.waiting.wait()
        await anyio.sleep(0.2)


async def talk(way):
    said = []

    async def progress(done, total, message):
        said.append([done, total, message])

    async def slowly():
        result = plain(await way.call("slow", {}, progress))
        return {"result": result, "said": said}

    async def changes():
        await way.changes()
        return sorted(way.heard)

    if way.session:
        await step("ping", way.ping())
        await step("log level", way.set_level("debug"))
    await step("tools", way.client.list_tools())
    await step("prompts", way.client.list_prompts())
    await step("resources", way.client.list_resources())
    await step("templates", way.client.list_resource_templates())
    await step("text", way.call("echo", {"text": "hello, \u00e9\U0001f600"}))
    await step("structured", way.call("sum", {"a": 1, "b": 2.5}))
    await step("image", way.call("picture", {}))
    await step("tool error", way.call("fail", {}))
    await step("unknown tool", way.call("nowhere", {}))
    await step("progress", slowly())
    await step("resource", way.client.read_resource("test://one"))
    await step("templated resource", way.client.read_resource("test://item/7"))
    await step("unknown resource", way.client.read_resource("test://nowhere"))
    await step("prompt", way.client.get_prompt("greet", {"who": "Ada"}))
    await step("completion", way.complete())
    await step("elicitation", way.call("ask", {}))
    await step("sampling", way.call("sample", {}))
    await step("coming back", way.call("poll", {}))
    await step("changes", changes())
    await step("cancellation", way.cancelled())
    await step("still there", way.call("echo", {"text": "bye"}))


# The argument is the conversations to hold one after the other: [[URL, token, revision], ...]. Each begins with a line.
async def every(converse):
    for url, token, version in json.loads(sys.argv[1]):
        print(json.dumps({"url": url, "version": version}), flush=True)
        await converse(url, {"Authorization": f"Bearer {token}"}, version)
