// Just enough of JSON Schema 2020-12 to hold replies against api/openapi.yaml: the keywords that it
// uses. An unknown keyword fails, so that none is silently ignored.
import assert from 'node:assert/strict';

const ANNOTATIONS = new Set(['description', 'contentMediaType']);

function typeOf(value) {
    if (value === null) return 'null';
    if (Array.isArray(value)) return 'array';
    if (Number.isInteger(value)) return 'integer';
    return typeof value;
}

export class Contract {
    constructor(document) { this.document = document; }

    resolve(node) {
        while (node && node.$ref) {
            node = node.$ref.slice(2).split('/').reduce((at, key) => at[key], this.document);
        }
        return node;
    }

    // Throws with the place of the first violation.
    check(schema, value, place = '$') {
        schema = this.resolve(schema);
        for (const [keyword, wanted] of Object.entries(schema)) {
            if (ANNOTATIONS.has(keyword)) continue;
            const rule = RULES[keyword];
            assert.ok(rule, `${place}: the checker does not know "${keyword}"`);
            rule(this, wanted, value, place, schema);
        }
    }

    passes(schema, value) {
        try { this.check(schema, value); return true; } catch { return false; }
    }

    // The operation of a request, by walking the path templates; literals win.
    operation(method, pathname) {
        const parts = pathname.replace(/\/$/, '').split('/');
        let best, score = -1;
        for (const [template, item] of Object.entries(this.document.paths)) {
            const wanted = template.split('/');
            if (wanted.length !== parts.length || !item[method.toLowerCase()]) continue;
            let literals = 0;
            const fits = wanted.every((part, i) => {
                if (part.startsWith('{')) return parts[i] !== '';
                literals++;
                return part === parts[i];
            });
            if (fits && literals > score) { best = item[method.toLowerCase()]; score = literals; }
        }
        return best;
    }

    checkReply(method, pathname, reply) {
        const operation = this.operation(method, pathname);
        if (!operation) return;
        const declared = this.resolve(operation.responses[String(reply.status)] ??
            (reply.status >= 400 ? operation.responses.default : undefined));
        assert.ok(declared, `${method} ${pathname}: ${reply.status} is not described`);
        const schema = declared.content?.['application/json']?.schema;
        const type = reply.headers.get('content-type') ?? '';
        assert.ok(Object.keys(declared.content ?? {}).every((media) => media === 'application/json') ||
            Object.keys(declared.content).some((media) => type.startsWith(media)), `${method} ${pathname}: ${type} is not described`);
        if (schema && type.startsWith('application/json')) this.check(schema, reply.body, `${method} ${pathname} ${reply.status}`);
    }
}

const RULES = {
    type(_, wanted, value, place) {
        const got = typeOf(value);
        const ok = [wanted].flat().some((type) => type === got || (type === 'number' && got === 'integer'));
        assert.ok(ok, `${place}: ${got} instead of ${wanted}`);
    },
    const(_, wanted, value, place) { assert.deepEqual(value, wanted, place); },
    enum(_, wanted, value, place) { assert.ok(wanted.includes(value), `${place}: ${value} is none of ${wanted}`); },
    required(_, wanted, value, place) {
        if (typeOf(value) !== 'object') return;
        for (const key of wanted) assert.ok(key in value, `${place}: ${key} is missing`);
    },
    properties(contract, wanted, value, place) {
        if (typeOf(value) !== 'object') return;
        for (const [key, schema] of Object.entries(wanted)) {
            if (key in value) contract.check(schema, value[key], `${place}.${key}`);
        }
    },
    items(contract, wanted, value, place) {
        if (typeOf(value) === 'array') value.forEach((item, i) => contract.check(wanted, item, `${place}[${i}]`));
    },
    anyOf(contract, wanted, value, place) {
        assert.ok(wanted.some((schema) => contract.passes(schema, value)), `${place}: fits none of its forms`);
    },
    allOf(contract, wanted, value, place) { wanted.forEach((schema) => contract.check(schema, value, place)); },
    pattern(_, wanted, value, place) {
        if (typeof value === 'string') assert.match(value, new RegExp(wanted), place);
    },
    minimum(_, wanted, value, place) { if (typeof value === 'number') assert.ok(value >= wanted, place); },
    maximum(_, wanted, value, place) { if (typeof value === 'number') assert.ok(value <= wanted, place); },
    minLength(_, wanted, value, place) { if (typeof value === 'string') assert.ok(value.length >= wanted, place); },
    maxLength(_, wanted, value, place) { if (typeof value === 'string') assert.ok(value.length <= wanted, place); },
};
