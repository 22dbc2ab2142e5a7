// mbedTLS: its own ssl_client2 and ssl_server2, and a program of ours for what only a device says.
'use strict';
const fs = require('fs');
const path = require('path');
const { program, pem, identity, psk, hex, pskSuites, certificateSuites, ourServer, ourClient } = require('../stage.js');
const chain = require('../chain.js');
const { established, inbound, outbound, device } = require('../runs.js');
const { survives, line, ping } = require('../survives.js');
const { hello } = require('../slipwayd.js');

const foreign = path.join(__dirname, '../../../../build/foreign');
const [why, itsVersion] = ['mbedtls.why', 'mbedtls/version'].map((name) => {
    const file = path.join(foreign, name);
    return fs.existsSync(file) ? fs.readFileSync(file, 'latin1').trim() : null;
});
const [client, server, own] = ['mbedTLS ssl_client2', 'mbedTLS ssl_server2', 'mbedTLS'];
const skipped = why || 'scripts/foreign has not been run';
const names = {
    C0AE: 'TLS-ECDHE-ECDSA-WITH-AES-128-CCM-8', C0AC: 'TLS-ECDHE-ECDSA-WITH-AES-128-CCM',
    C02B: 'TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256', C0A8: 'TLS-PSK-WITH-AES-128-CCM-8',
    C0A4: 'TLS-PSK-WITH-AES-128-CCM', '00A8': 'TLS-PSK-WITH-AES-128-GCM-SHA256',
};
const anySuite = (name, ...args) => [path.join(foreign, 'mbedtls/bin', name), 'dtls=1', 'server_addr=127.0.0.1',
    'server_port=PORT', ...args];
const its = (name, suite, ...args) => anySuite(name, `force_ciphersuite=${names[suite]}`, ...args);
const withPsk = [`psk=${hex(psk)}`, `psk_identity=${identity}`];
const certified = (cert, key) => [`crt_file=${cert}`, `key_file=${key}`, `ca_file=${pem('authority')}`,
    'auth_mode=required'];
const withCertificate = (name) => certified(pem(name), pem(`${name}.key`));
const credentials = {
    psk: { what: 'PSK', client: withPsk, server: withPsk, name: identity, suites: pskSuites },
    x509: {
        what: 'X.509 both ways', client: withCertificate('client'), server: withCertificate('server'),
        name: 'device-0001', suites: certificateSuites,
    },
};
// What it sends comes back; how long our id is.
const cid = (value) => ['cid=1', `cid_val=${value}`];
const heard = /bytes read[^]*GET/;
const heardWithId = /Peer CID \(length 8 Bytes\)[^]*bytes read[^]*GET/;
const withId = (suite, proof, name = '') => new RegExp(`${established(suite, proof, name).source}\\S* cid=54`);
const withoutId = (suite, proof, name = '') => new RegExp(`${established(suite, proof, name).source}\\S* cid=0`);
const bytes = (count) => Array.from({ length: count }, (_, i) => hex([i])).join('');

const clientCase = (what, suite, kind, args, more) => inbound(client, what, suite, ourServer[kind],
    [its('ssl_client2', suite, ...credentials[kind].client, ...args)],
    { answer: heard, expect: established(suite, kind, credentials[kind].name), skipped, ...more });
const serverCase = (what, suite, kind, args, more) => outbound(server, what, suite,
    its('ssl_server2', suite, ...credentials[kind].server, ...args), ourClient[kind],
    { answer: /content HTTP/, expect: established(suite, kind), skipped, ...more });
const withOurId = (kind) => ({ client: [...ourClient[kind], '--cid', '54'] });

for (const [kind, { what, name, suites }] of Object.entries(credentials)) {
    for (const suite of suites) {
        clientCase(what, suite, kind, [], { expect: withoutId(suite, kind, name) });
        clientCase(`${what}, connection ids (RFC 9146)`, suite, kind, cid('beef'),
            { answer: heardWithId, expect: withId(suite, kind, name) });
        serverCase(what, suite, kind, [], { expect: withoutId(suite, kind) });
        serverCase(`${what}, connection ids (RFC 9146)`, suite, kind, cid('beef'),
            { ...withOurId(kind), expect: withId(suite, kind) });
    }
}
for (const length of [0, 1, 8, 16]) {
    clientCase(`PSK, records to it with an id of ${length} bytes`, 'C0A8', 'psk', cid(bytes(length)),
        { answer: heardWithId, expect: withId('C0A8', 'psk', identity) });
    serverCase(`PSK, records to it with an id of ${length} bytes`, 'C0A8', 'psk', cid(bytes(length)),
        { ...withOurId('psk'), expect: withId('C0A8', 'psk') });
}
clientCase('PSK, an id of 20 bytes is declined', 'C0A8', 'psk', cid(bytes(20)),
    { expect: withoutId('C0A8', 'psk', identity) });
serverCase('refused: an id of 20 bytes', 'C0A8', 'psk', cid(bytes(20)),
    { ...withOurId('psk'), answer: /failed connection id too long/, expect: /failed/ });
serverCase('PSK, connection ids not taken', 'C0A8', 'psk', [],
    { ...withOurId('psk'), expect: withoutId('C0A8', 'psk') });
// Its address changes twice; old and forged records from elsewhere are not followed.
for (const [suite, kind] of [['C0A8', 'psk'], ['C02B', 'x509']]) {
    clientCase('found by its connection id at other addresses', suite, kind, [...cid('beef'), 'exchanges=5'],
        { path: { moves: [3, 5] }, answer: /(bytes read[^]*){5}/, expect: withId(suite, kind) });
}
clientCase('its context saved and restored in mid-session', 'C02B', 'x509',
    [...cid('beef'), 'exchanges=2', 'serialize=2'],
    { answer: /Deserializing[^]*bytes read/, expect: withId('C02B', 'x509') });
clientCase('resumption by session id, with connection ids', 'C0AE', 'x509',
    [...cid('beef'), 'reconnect=1', 'tickets=0', 'skip_close_notify=1'],
    { server: [...ourServer.x509, '--resume'], answer: /Reconnecting[^]*bytes read/,
        expect: /name=device-0001 cid=54 resumed=1/ });
serverCase('resumption by session id, with connection ids', 'C0AE', 'x509', cid('beef'),
    { client: [...ourClient.x509, '--cid', '54', '--again'], answer: /(content[^]*){2}/, expect: /cid=54 resumed=1/ });
clientCase('everything arrives twice, with connection ids', 'C0A8', 'psk', [...cid('beef'), 'exchanges=3'],
    { path: { doubles: true }, answer: /(bytes read[^]*){3}/,
        expect: /established([^]*content GET){3}(?![^]*content)/ });
inbound(client, 'X.509, every suite offered', 'C02B', ourServer.x509,
    [anySuite('ssl_client2', ...withCertificate('client'), ...cid('beef'))],
    { answer: heardWithId, expect: withId('C02B', 'x509', 'device-0001'), skipped });
inbound(client, chain.what, 'C02B', [...ourServer.x509, '--trust', chain.root],
    [its('ssl_client2', 'C02B', ...certified(chain.client.all, chain.client.key))],
    { answer: heard, expect: established('C02B', 'x509', chain.name), skipped });
outbound(server, chain.what, 'C02B', its('ssl_server2', 'C02B', ...certified(chain.server.all, chain.server.key)),
    [...ourClient.x509, '--trust', chain.root],
    { answer: /content HTTP/, expect: established('C02B', 'x509', 'localhost'), skipped });
serverCase('refused: renegotiation, and the session goes on', 'C0AE', 'x509',
    ['renegotiation=1', 'renegotiate=1', 'exchanges=2'], { told: /renegotiation\.\.\. ok[^]*closed gracefully/ });
clientCase('starts anew from the same port', 'C0AE', 'x509', ['reconnect_hard=1'],
    { answer: /Restarting[^]*bytes read/, expect: /(established[^]*){2}/ });
clientCase('refused: renegotiation', 'C0AE', 'x509', ['renegotiation=1', 'renegotiate=1'],
    { answer: /mbedtls_ssl_renegotiate returned -27392/, expect: established('C0AE', 'x509') });
clientCase('X.509, without the extended master secret', 'C0AE', 'x509', ['extended_ms=0']);
serverCase('X.509, without the extended master secret', 'C0AE', 'x509', ['extended_ms=0']);
clientCase('X.509, a record to a datagram', 'C0AE', 'x509', ['dgram_packing=0']);
clientCase('X.509, datagrams of 508 bytes', 'C0AE', 'x509', ['mtu=508'],
    { server: [...ourServer.x509, '--mtu', '508'] });
serverCase('X.509, datagrams of 508 bytes', 'C0AE', 'x509', ['mtu=508'],
    { client: [...ourClient.x509, '--mtu', '508'] });
clientCase('X.509, wants fragments of 512 bytes', 'C0AE', 'x509', ['max_frag_len=512']);
clientCase('X.509, prefers other groups', 'C0AE', 'x509', ['groups=secp521r1,x25519,secp384r1,secp256r1']);
clientCase('X.509, offers ALPN', 'C0AE', 'x509', ['alpn=coap,http/1.1']);
clientCase('X.509, a message of 1,200 bytes', 'C0AE', 'x509', ['request_size=1200'],
    { answer: /Read from server: 1200 bytes/ });
clientCase('refused: only a group that we lack', 'C0AE', 'x509', ['groups=x25519'],
    { refused: /refused no cipher suite and credential in common/ });
clientCase('refused: wrong PSK', 'C0A8', 'psk', [], {
    clients: [its('ssl_client2', 'C0A8', 'psk=00112233', `psk_identity=${identity}`)],
    refused: /failed the PSKs differ/,
});
for (const seed of [11, 12]) {
    const patient = 'hs_timeout=500-4000';
    clientCase(`X.509, connection ids, over a bad path (${seed})`, 'C0AE', 'x509', [...cid('beef'), patient],
        { path: { seed }, answer: heardWithId, expect: withId('C0AE', 'x509', 'device-0001') });
    serverCase(`X.509, connection ids, over a bad path (${seed})`, 'C0AE', 'x509', [...cid('beef'), patient],
        { ...withOurId('x509'), path: { seed }, expect: withId('C0AE', 'x509') });
}

const mbed = program('dtls_mbed');
const says = (d) => [line(hello(d.says || d.id))];
const answer = /received 60001234/;
const deviceCase = (what, suite, id, more) => device(own, what, suite, (daemon) => daemon.device(),
    (d) => [mbed, 'PORT', suite, id, ...(pskSuites.includes(suite) ? ['psk', d.id, d.psk]
        : ['x509', d.cert, d.key, pem('authority')])], { says, answer, skipped, ...more });
for (const [kind, { what, suites }] of Object.entries(credentials)) {
    for (const suite of suites) {
        deviceCase(`${what}, connection ids (RFC 9146)`, suite, 'beef',
            { answer: /established \S+ cid=8[^]*received 60001234/ });
    }
    deviceCase(`${what}, found by its connection id at other addresses`, suites[0], '', {
        path: { moves: [2, 4], straggler: 3 }, says: (d) => [...says(d), ...[1, 2, 3].map((id) => line(ping(id)))],
        // And then what it has not acknowledged, repeated: to where its newest record was from.
        answer: /received 60001234[^]*received 60005003[^]*received 4002/,
    });
    deviceCase(`${what}, an id of 20 bytes is declined`, suites[0], bytes(20),
        { answer: /established \S+ cid=0[^]*received 60001234/ });
}
deviceCase('PSK, connection ids, over a bad path', 'C0A8', 'beef', { path: { seed: 13 } });

for (const [how, signal] of [['a restart', 'SIGTERM'], ['kill -9', 'SIGKILL']]) {
    deviceCase(`the session outlives ${how}`, 'C0A8', '-', { run: survives, signal });
    deviceCase(`the session outlives ${how} and a new address, by its connection id`, 'C0AE', 'beef',
        { run: survives, signal, moves: true });
}

module.exports = { itsVersion };
