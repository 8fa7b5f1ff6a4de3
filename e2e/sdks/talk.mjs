// The conversation of the TypeScript clients: each step's outcome is one line. `client` is of either SDK; `way` is what differs.
const PATIENCE = 20_000;

export async function talk(client, way) {
    const said = [];
    const step = async (name, doing) => {
        let outcome;
        try {
            outcome = { result: await doing() };
        } catch (error) {
            outcome = { error: { code: error.code, message: String(error.message) } };
        }
        console.log(JSON.stringify({ step: name, ...outcome }));
    };
    const call = (name, args = {}, options) => way.call({ name, arguments: args }, options);

    await step('connect', async () => {
        await way.connect();
        return { server: client.getServerVersion(), capabilities: client.getServerCapabilities() };
    });
    if (way.session) {
        await step('ping', () => client.ping());
        await step('log level', () => client.setLoggingLevel('debug'));
    }
    await step('tools', () => client.listTools());
    await step('prompts', () => client.listPrompts());
    await step('resources', () => client.listResources());
    await step('templates', () => client.listResourceTemplates());
    await step('text', () => call('echo', { text: 'hello, \u00e9\u{1F600}' }));
    await step('structured', () => call('sum', { a: 1, b: 2.5 }));
    await step('image', () => call('picture'));
    await step('tool error', () => call('fail'));
    await step('unknown tool', () => call('nowhere'));
    await step('progress', async () => {
        const result = await call('slow', {}, { onprogress: progress => said.push(progress) });
        return { result, said };
    });
    await step('resource', () => client.readResource({ uri: 'test://one' }));
    await step('templated resource', () => client.readResource({ uri: 'test://item/7' }));
    await step('unknown resource', () => client.readResource({ uri: 'test://nowhere' }));
    await step('prompt', () => client.getPrompt({ name: 'greet', arguments: { who: 'Ada' } }));
    await step('completion', () =>
        client.complete({ ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'who', value: 'A' } })
    );
    await step('elicitation', () => call('ask'));
    await step('sampling', () => call('sample'));
    await step('coming back', () => call('poll'));
    await step('changes', async () => {
        const heard = [];
        const all = way.onChanges(method => heard.push(method));
        const stop = await way.subscribe('test://one');
        await call('touch');
        await Promise.race([all, new Promise((_, reject) => setTimeout(() => reject(new Error(`only ${heard}`)), PATIENCE))]);
        await stop();
        return heard.sort();
    });
    await step('cancellation', async () => {
        const abort = new AbortController();
        const waiting = call('wait', {}, { signal: abort.signal });
        waiting.catch(() => {});
        await way.sent('wait');
        abort.abort('enough');
        // It is told to the server behind the call's back, and must not be overtaken by what comes next.
        if (way.session) await way.cancelled;
        return waiting;
    });
    await step('still there', () => call('echo', { text: 'bye' }));
    await step('close', () => way.close());
}

// The four notices of `touch`; the promise is for when all were heard.
export const CHANGES = [
    'notifications/resources/updated',
    'notifications/tools/list_changed',
    'notifications/prompts/list_changed',
    'notifications/resources/list_changed'
];

// A fetch that knows which tools were asked for, so that a call is cancelled only when it is under way.
export function watchedFetch() {
    const waiting = new Map();
    let told;
    const cancelled = new Promise(resolve => (told = resolve));
    const watched = (url, init) => {
        const doing = fetch(url, init);
        const body = typeof init?.body === 'string' ? JSON.parse(init.body) : {};
        if (body.method === 'notifications/cancelled') doing.finally(told).catch(() => {});
        if (body.method === 'tools/call') waiting.get(body.params.name)?.();
        return doing;
    };
    const sent = tool => new Promise(resolve => waiting.set(tool, () => setTimeout(resolve, 200)));
    return { watched, sent, cancelled };
}

// The arguments are conversations to hold one after the other: [[URL, token, revision], ...]. Each begins with a line.
export async function all(converse) {
    for (const [url, token, version] of JSON.parse(process.argv[2])) {
        console.log(JSON.stringify({ url, version }));
        await converse(new URL(url), { Authorization: `Bearer ${token}` }, version);
    }
}

export const answers = {
    name: { action: 'accept', content: { name: 'Ada' } },
    words: { role: 'assistant', model: 'none', content: { type: 'text', text: 'hello' } }
};
