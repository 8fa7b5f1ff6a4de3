// The conversation on the second line of the TypeScript SDK: both eras.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { all, answers, CHANGES, talk, watchedFetch } from './talk.mjs';

await all(async (url, headers, version) => {
    const modern = version === '2026-07-28';
    const { watched, sent, cancelled } = watchedFetch();
    const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers }, fetch: watched });
    const client = new Client(
        { name: 'caller', version: '1.0.0' },
        {
            capabilities: { elicitation: {}, sampling: {} },
            ...(modern ? { versionNegotiation: { mode: { pin: version } } } : { supportedProtocolVersions: [version] })
        }
    );
    client.setRequestHandler('elicitation/create', () => answers.name);
    client.setRequestHandler('sampling/createMessage', () => answers.words);
    client.setNotificationHandler('notifications/message', () => {});

    await talk(client, {
        session: !modern,
        sent,
        cancelled,
        connect: () => client.connect(transport),
        call: (params, options) => client.callTool(params, options),
        async subscribe(uri) {
            if (modern) {
                const all = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };
                const subscription = await client.listen({ ...all, resourceSubscriptions: [uri] });
                return () => subscription.close();
            }
            await client.subscribeResource({ uri });
            return () => client.unsubscribeResource({ uri });
        },
        onChanges(heard) {
            const each = CHANGES.map(
                method =>
                    new Promise(resolve =>
                        client.setNotificationHandler(method, () => {
                            heard(method);
                            resolve();
                        })
                    )
            );
            return Promise.all(each);
        },
        async close() {
            if (!modern) await transport.terminateSession();
            await client.close();
        }
    });
});
