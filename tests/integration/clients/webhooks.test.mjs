// particle-api-js makes, shows, lists and ends webhooks by both of their names, and what it made
// is told of events.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, it } from 'node:test';

import { BORON, follow, rejection, startServer, until } from './harness.mjs';

const received = [];
let answer = '';
const receiver = createServer((request, reply) => {
    let body = '';
    request.on('data', (text) => { body += text; });
    request.on('end', () => {
        received.push(new URLSearchParams(body));
        reply.end(answer);
    });
});
let server, api, product, url;
before(async () => {
    receiver.listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    url = `http://127.0.0.1:${receiver.address().port}/`;
    server = await startServer();
    api = server.api();
    const made = await server.request('POST', '/v1/products', { json: { product: { name: 'hooks', platform_id: BORON } } });
    product = made.body.product.id;
});
after(async () => {
    await server?.stop();
    receiver.closeAllConnections();
    receiver.close();
});

for (const [word, create, list, end, id] of [
    ['webhook', 'createWebhook', 'listWebhooks', 'deleteWebhook', 'hookId'],
    ['integration', 'createIntegration', 'listIntegrations', 'deleteIntegration', 'integrationId'],
]) {
    it(`${word}s of a product and of the server`, async () => {
        for (const where of [{ product }, {}]) {
            const event = `${word}/${where.product ?? 'all'}`;
            const settings = { integration_type: 'Webhook', url, requestType: 'POST' };
            const made = await api[create]({ event, url, settings, ...where });
            assert.equal(made.statusCode, 201);
            assert.equal(made.body.integration_type, 'Webhook');
            const found = (await api[list](where)).body;
            assert.deepEqual(found.map((hook) => [hook.id, hook.event, hook.url]), [[made.body.id, event, url]]);
            await api.publishEvent({ name: `${event}/x`, data: 'd', product });
            await until('the delivery', () => received.some((form) => form.get('event') === `${event}/x`));
            assert.equal((await api[end]({ [id]: made.body.id, ...where })).statusCode, 204);
            assert.deepEqual((await api[list](where)).body, []);
            assert.equal((await rejection(api[end]({ [id]: made.body.id, ...where }))).statusCode, 404);
        }
    });
}

it('answers come back by the names that the SDK gives them', async () => {
    const events = follow(await api.getEventStream({ product }));
    const hook = {
        method: 'POST',
        headers: { 'X-Sender': '{{{PARTICLE_DEVICE_ID}}}' },
        json: { v: '{{{v}}}' },
        responseTemplate: '{{#list}}{{{name}}} {{/list}}',
        responseEvent: 'got/{{{PARTICLE_EVENT_NAME}}}',
        errorResponseEvent: 'lost/{{{PARTICLE_EVENT_NAME}}}',
    };
    const made = await api.createWebhook({ event: 'ask', url, product, hook });
    const plain = await api.createWebhook({ event: 'ask', url, product });
    answer = '{"list":[{"name":"one"},{"name":"two"}]}';
    await api.publishEvent({ name: 'ask', data: '{"v":7}', product });
    assert.equal((await events.next('by its template', (event) => event.name === 'got/ask/0')).data, 'one two ');
    assert.equal((await events.next('as it is', (event) => event.name === 'hook-response/ask/0')).data, answer);
    answer = 'x'.repeat(600);
    await api.publishEvent({ name: 'ask', data: '{"v":8}', product });
    assert.equal((await events.next('the second part', (event) => event.name === 'hook-response/ask/1')).data, 'x'.repeat(88));
    answer = '';
    const one = (await server.request('GET', `/v1/products/${product}/webhooks/${plain.body.id}`)).body.webhook;
    assert.deepEqual(one.counters.map((counter) => counter.name), ['sent', 'failed', 'dropped', 'queued']);
    assert.equal(one.logs.length, 2);
    for (const { body } of [made, plain]) await api.deleteWebhook({ hookId: body.id, product });
    events.close();
});
