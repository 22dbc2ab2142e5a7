// The description as others read it: a validator that is not ours holds it against the schema of
// OpenAPI 3.1. That it says what the server does is held by integration/http.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, it } from 'node:test';

import { Validator } from '@seriousme/openapi-schema-validator';

import { startServer } from './harness.mjs';

let server;
before(async () => { server = await startServer(); });
after(() => server?.stop());

const complaints = async (document) => {
    const { valid, errors } = await new Validator().validate(document);
    return valid ? [] : [errors].flat();
};

it('is OpenAPI 3.1, as a file and as it is served', async () => {
    const file = readFileSync(new URL('../../../api/openapi.yaml', import.meta.url), 'utf8');
    const served = await (await fetch(`${server.url}/v1/openapi.json`)).json();
    assert.match(served.openapi, /^3\.1\./);
    assert.deepEqual(await complaints(file), []);
    assert.deepEqual(await complaints(structuredClone(served)), []);
});

it('is really looked at', async () => {
    const served = await (await fetch(`${server.url}/v1/openapi.json`)).json();
    const wrong = [
        (d) => { delete d.info; },
        (d) => { d.paths['/v1/products'].get.responses = {}; },
        (d) => { d.paths['/v1/products'].get.parameters = [{ name: 'x', in: 'nowhere' }]; },
    ];
    for (const spoil of wrong) {
        const document = structuredClone(served);
        spoil(document);
        assert.notEqual((await complaints(document)).length, 0, String(spoil));
    }
});
