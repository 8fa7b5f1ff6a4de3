// The conversation on the first line of the TypeScript SDK: sessions only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as t from '@modelcontextprotocol/sdk/types.js';
import { all, answers, CHANGES, talk, watchedFetch } from './talk.mjs';

const schemas = {
    'notifications/resources/updated': t.ResourceUpdatedNotificationSchema,
    'notifications/tools/list_changed': t.ToolListChangedNotificationSchema,
    'notifications/prompts/list_changed': t.PromptListChangedNotificationSchema,
    'notifications/resources/list_changed': t.ResourceListChangedNotificationSchema
};

await all(async (url, headers, version) => {
    const { watched, sent, cancelled } = watchedFetch();
    const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers }, fetch: watched });
    // This SDK offers only its newest revision by itself.
    const send = transport.send.bind(transport);
    transport.send = (message, options) =>
        send(message.method === 'initialize' ? { ...message, params: { ...message.params, protocolVersion: version } } : message, options);

    const client = new Client({ name: 'caller', version: '1.0.0' }, { capabilities: { elicitation: {}, sampling: {} } });
    client.setRequestHandler(t.ElicitRequestSchema, () => answers.name);
    client.setRequestHandler(t.CreateMessageRequestSchema, () => answers.words);
    client.setNotificationHandler(t.LoggingMessageNotificationSchema, () => {});

    await talk(client, {
        session: true,
        sent,
        cancelled,
        connect: () => client.connect(transport),
        call: (params, options) => client.callTool(params, undefined, options),
        async subscribe(uri) {
            await client.subscribeResource({ uri });
            return () => client.unsubscribeResource({ uri });
        },
        onChanges(heard) {
            const each = CHANGES.map(
                method =>
                    new Promise(resolve =>
                        client.setNotificationHandler(schemas[method], () => {
                            heard(method);
                            resolve();
                        })
                    )
            );
            return Promise.all(each);
        },
        async close() {
            await transport.terminateSession();
            await client.close();
        }
    });
});
