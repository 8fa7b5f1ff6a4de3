"""What the Python servers do, whichever line of the SDK carries it, in plain dictionaries; `means` is the way to the client."""

import json
import re
import socket
from pathlib import Path

import anyio
import uvicorn

CONTENT = json.loads((Path(__file__).parent / "content.json").read_text())
CHANGED_LISTS = ("tools", "prompts", "resources")


def text(words):
    return {"content": [{"type": "text", "text": words}]}


async def call(name, arguments, means, unknown):
    match name:
        case "echo":
            return text(arguments["text"])
        case "sum":
            total = arguments["a"] + arguments["b"]
            return {**text(str(total)), "structuredContent": {"sum": total}}
        case "picture":
            return {"content": [{"type": "image", "data": CONTENT["dot"], "mimeType": "image/png"}]}
        case "fail":
            return {**text("this tool fails"), "isError": True}
        case "slow":
            for step in (1, 2):
                await means.progress(step, 2, f"step {step}")
            await means.log("half way")
            return text("done")
        case "ask":
            return await means.ask(CONTENT["question"], lambda a: text(f"{a['action']} {a['content']['name']}"))
        case "sample":
            said = lambda answer: text(f"the model said {answer['content']['text']}")
            return await means.sample(CONTENT["sampling"], said)
        case "touch":
            await means.changed()
            return text("touched")
        case "poll":
            await anyio.sleep(0.2)
            return text("after a break")
        case "wait":
            await anyio.sleep_forever()
        case _:
            unknown(f"Unknown tool: {name}")


def read(uri, unknown):
    if not re.fullmatch(r"test://(one|two|item/\d+)", uri):
        unknown(f"Unknown resource: {uri}")
    return {"contents": [{"uri": uri, "mimeType": "text/plain", "text": f"the text of {uri}"}]}


def prompt(arguments):
    message = {"role": "user", "content": {"type": "text", "text": f"Greet {arguments['who']}"}}
    return {"description": "A greeting", "messages": [message]}


def complete(value):
    values = [name for name in ("Ada", "Alan", "Grace") if name.startswith(value)]
    return {"completion": {"values": values, "total": len(values), "hasMore": False}}


def serve(app):
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"}), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
