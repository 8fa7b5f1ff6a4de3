// The server on the first line of the TypeScript SDK: sessions only, with streams that can be resumed.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as t from '@modelcontextprotocol/sdk/types.js';
import { call, capabilities, complete, content, Events, listening, prompt, read, RETRY } from './peer.mjs';

const unknown = message => {
    throw new t.McpError(t.ErrorCode.InvalidParams, message);
};

function peer() {
    const server = new Server({ name: 'peer', version: '1.0.0' }, { capabilities });
    const means = extra => ({
        signal: extra.signal,
        progressToken: extra._meta?.progressToken,
        logs: true,
        letGo: extra.closeSSEStream,
        notify: extra.sendNotification,
        ask: async (question, then) => then(await extra.sendRequest({ method: 'elicitation/create', params: question }, t.ElicitResultSchema)),
        sample: async (asked, then) =>
            then(await extra.sendRequest({ method: 'sampling/createMessage', params: asked }, t.CreateMessageResultSchema)),
        async changed() {
            await extra.sendNotification({ method: 'notifications/resources/updated', params: { uri: 'test://one' } });
            for (const list of ['tools', 'prompts', 'resources']) {
                await extra.sendNotification({ method: `notifications/${list}/list_changed` });
            }
        }
    });
    server.setRequestHandler(t.ListToolsRequestSchema, () => ({ tools: content.tools }));
    server.setRequestHandler(t.CallToolRequestSchema, (request, extra) => call(request.params, means(extra), unknown));
    server.setRequestHandler(t.ListPromptsRequestSchema, () => ({ prompts: content.prompts }));
    server.setRequestHandler(t.GetPromptRequestSchema, request => prompt(request.params));
    server.setRequestHandler(t.ListResourcesRequestSchema, () => ({ resources: content.resources }));
    server.setRequestHandler(t.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: content.resourceTemplates }));
    server.setRequestHandler(t.ReadResourceRequestSchema, request => read(request.params.uri, unknown));
    server.setRequestHandler(t.SubscribeRequestSchema, () => ({}));
    server.setRequestHandler(t.UnsubscribeRequestSchema, () => ({}));
    server.setRequestHandler(t.CompleteRequestSchema, request => complete(request.params));
    return server;
}

const sessions = new Map();

listening(
    createServer(async (request, response) => {
        const known = sessions.get(request.headers['mcp-session-id']);
        if (known) return known.handleRequest(request, response);
        const transport = new StreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            eventStore: new Events(),
            retryInterval: RETRY,
            onsessioninitialized: id => void sessions.set(id, transport),
            onsessionclosed: id => void sessions.delete(id)
        });
        await peer().connect(transport);
        await transport.handleRequest(request, response);
    })
);
