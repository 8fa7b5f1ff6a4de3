// The server on the second line of the TypeScript SDK: both eras.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, inputRequired, ProtocolError, Server } from '@modelcontextprotocol/server';
import { call, capabilities, complete, content, Events, listening, prompt, read, RETRY } from './peer.mjs';

const unknown = message => {
    throw new ProtocolError(-32602, message);
};

// In 2026-07-28 what is asked goes into the result, and the call comes again with the answer.
const input = ctx => (key, request, then) => {
    const answer = ctx.mcpReq.inputResponses?.[key];
    return answer ? then(answer) : inputRequired({ inputRequests: { [key]: request }, requestState: `state of ${key}` });
};

function peer(era, changed) {
    const server = new Server({ name: 'peer', version: '1.0.0' }, { capabilities });
    const means = ctx => ({
        signal: ctx.mcpReq.signal,
        progressToken: ctx.mcpReq._meta?.progressToken,
        logs: era === 'legacy' || ctx.mcpReq.envelope?.['io.modelcontextprotocol/logLevel'] !== undefined,
        notify: ctx.mcpReq.notify,
        letGo: ctx.http?.closeSSE,
        ask: (question, then) => input(ctx)('name', inputRequired.elicit(question), then),
        sample: (asked, then) => input(ctx)('words', inputRequired.createMessage(asked), then),
        changed: () => changed(ctx)
    });
    server.setRequestHandler('tools/list', () => ({ tools: content.tools }));
    server.setRequestHandler('tools/call', (request, ctx) => call(request.params, means(ctx), unknown));
    server.setRequestHandler('prompts/list', () => ({ prompts: content.prompts }));
    server.setRequestHandler('prompts/get', request => prompt(request.params));
    server.setRequestHandler('resources/list', () => ({ resources: content.resources }));
    server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: content.resourceTemplates }));
    server.setRequestHandler('resources/read', request => read(request.params.uri, unknown));
    server.setRequestHandler('completion/complete', request => complete(request.params));
    if (era === 'legacy') {
        server.setRequestHandler('logging/setLevel', () => ({}));
        server.setRequestHandler('resources/subscribe', () => ({}));
        server.setRequestHandler('resources/unsubscribe', () => ({}));
    }
    return server;
}

async function changedInSession(ctx) {
    await ctx.mcpReq.notify({ method: 'notifications/resources/updated', params: { uri: 'test://one' } });
    for (const list of ['tools', 'prompts', 'resources']) {
        await ctx.mcpReq.notify({ method: `notifications/${list}/list_changed` });
    }
}

const modern = createMcpHandler(() => peer('modern', changedInListening), { legacy: 'reject' });

function changedInListening() {
    modern.notify.resourceUpdated('test://one');
    modern.notify.toolsChanged();
    modern.notify.promptsChanged();
    modern.notify.resourcesChanged();
}

const serveModern = toNodeHandler(modern);
const sessions = new Map();

listening(
    createServer(async (request, response) => {
        if (request.headers['mcp-protocol-version'] === '2026-07-28') return serveModern(request, response);
        const known = sessions.get(request.headers['mcp-session-id']);
        if (known) return known.handleRequest(request, response);
        const transport = new NodeStreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            eventStore: new Events(),
            retryInterval: RETRY,
            onsessioninitialized: id => void sessions.set(id, transport),
            onsessionclosed: id => void sessions.delete(id)
        });
        await peer('legacy', changedInSession).connect(transport);
        await transport.handleRequest(request, response);
    })
);
