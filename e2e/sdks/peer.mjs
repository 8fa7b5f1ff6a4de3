// What the TypeScript servers do, whichever SDK carries it. Each returns what it answers; `means` is the way to the client.
import { readFileSync } from 'node:fs';

export const content = JSON.parse(readFileSync(new URL('./content.json', import.meta.url), 'utf8'));

export const capabilities = {
    tools: { listChanged: true },
    prompts: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    completions: {},
    logging: {}
};

const text = text => ({ content: [{ type: 'text', text }] });

const tools = {
    echo: ({ text: said }) => text(said),
    sum: ({ a, b }) => ({ ...text(String(a + b)), structuredContent: { sum: a + b } }),
    picture: () => ({ content: [{ type: 'image', data: content.dot, mimeType: 'image/png' }] }),
    fail: () => ({ ...text('this tool fails'), isError: true }),
    async slow(_, means) {
        for (const progress of [1, 2]) {
            if (means.progressToken !== undefined) {
                const params = { progressToken: means.progressToken, progress, total: 2, message: `step ${progress}` };
                await means.notify({ method: 'notifications/progress', params });
            }
        }
        if (means.logs) {
            await means.notify({ method: 'notifications/message', params: { level: 'info', logger: 'peer', data: 'half way' } });
        }
        return text('done');
    },
    ask: (_, means) => means.ask(content.question, answer => text(`${answer.action} ${answer.content?.name}`)),
    sample: (_, means) => means.sample(content.sampling, answer => text(`the model said ${[answer.content].flat()[0].text}`)),
    async touch(_, means) {
        await means.changed();
        return text('touched');
    },
    async poll(_, means) {
        means.letGo?.();
        await new Promise(resolve => setTimeout(resolve, 200));
        return text('after a break');
    },
    wait: (_, means) => new Promise((_, reject) => means.signal.addEventListener('abort', () => reject(new Error('cancelled'))))
};

// An unknown tool is refused as each SDK refuses wrong parameters.
export function call(params, means, unknown) {
    const tool = Object.hasOwn(tools, params.name) ? tools[params.name] : unknown(`Unknown tool: ${params.name}`);
    return tool(params.arguments ?? {}, means);
}

export function read(uri, unknown) {
    if (!/^test:\/\/(one|two|item\/\d+)$/.test(uri)) unknown(`Unknown resource: ${uri}`);
    return { contents: [{ uri, mimeType: 'text/plain', text: `the text of ${uri}` }] };
}

export const prompt = ({ arguments: args }) => ({
    description: 'A greeting',
    messages: [{ role: 'user', content: { type: 'text', text: `Greet ${args.who}` } }]
});

export const complete = ({ argument }) => {
    const values = ['Ada', 'Alan', 'Grace'].filter(name => name.startsWith(argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
};

// The events of streams, so that a client that was let go, or lost its connection, gets what it has missed.
export class Events {
    #events = [];

    async storeEvent(stream, message) {
        const id = `${stream}_${this.#events.length}`;
        this.#events.push({ id, stream, message });
        return id;
    }

    async replayEventsAfter(last, { send }) {
        const at = this.#events.findIndex(event => event.id === last);
        const { stream } = this.#events[at];
        for (const event of this.#events.slice(at + 1)) {
            // An event without a message only says from where to resume.
            if (event.stream === stream && event.message.jsonrpc) await send(event.id, event.message);
        }
        return stream;
    }
}

// How soon a client that was let go comes back, in milliseconds.
export const RETRY = 50;

export function listening(server) {
    server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}/mcp` })));
}
