// libcoap's client and server, as Debian builds them: with each of its TLS libraries.
'use strict';
const fs = require('fs');
const path = require('path');
const { pem, scratch, identity, psk, ourServer, ourClient, bothKeys } = require('../stage.js');
const { inbound, outbound, device, silent } = require('../runs.js');
const { helloPayload } = require('../slipwayd.js');

const suite = 'first in common';
const proofs = {
    PSK: { ours: 'psk', proof: 'psk', client: ['-u', identity, '-k', psk], server: ['-k', psk, '-h', identity] },
    'X.509 both ways': {
        ours: 'x509', proof: 'x509', client: ['-c', pem('client'), '-j', pem('client.key'), '-R', pem('authority')],
        server: ['-c', pem('server'), '-j', pem('server.key'), '-R', pem('authority')],
    },
    'raw public keys': {
        ours: 'raw', proof: 'raw', client: ['-M', bothKeys('client')], server: ['-M', bothKeys('server')],
    },
};
const names = { psk: ['name=device-12', ''], x509: ['name=device-0001', 'name=localhost'], raw: ['', ''] };
const ofDevice = {
    PSK: (d) => ['-u', d.id, '-k', d.text],
    'X.509 both ways': (d) => ['-c', d.cert, '-j', d.key, '-R', pem('authority')],
    'raw public keys': (d) => ['-M', d.both],
};

function post(library, d, args) {
    const file = path.join(scratch, `${d.id}.hello`);
    fs.writeFileSync(file, helloPayload(d.id));
    return [`coap-client-${library}`, '-m', 'post', '-B', '15', '-f', file, ...args, 'coaps://127.0.0.1:PORT/h'];
}

for (const library of ['openssl', 'gnutls']) {
    const [client, server] = [`libcoap client (${library})`, `libcoap server (${library})`];
    const whats = Object.keys(proofs).filter((what) => library === 'gnutls' || what !== 'raw public keys');
    for (const what of whats) {
        const { ours, proof, ...args } = proofs[what];
        const get = [`coap-client-${library}`, '-v', '5', '-m', 'get', '-B', '15', ...args.client,
            'coaps://127.0.0.1:PORT/x'];
        const serve = [`coap-server-${library}`, '-v', '7', '-A', '127.0.0.1', '-p', 'BELOW', ...args.server];
        const expect = names[ours].map((name) => new RegExp(`proof=${proof} ${name}`));
        inbound(client, what, suite, [...ourServer[ours], '--coap'], [get], { answer: /slipway/, expect: expect[0] });
        outbound(server, what, suite, serve, [...ourClient[ours], '--coap'],
            { text: 'time', answer: /content [^]/, expect: expect[1] });
        // The paths on which the client's last flight arrives: with GnuTLS it would not repeat it.
        inbound(client, `${what} over a bad path`, suite, [...ourServer[ours], '--coap'], [get],
            { path: { seed: 5 }, answer: /slipway/, expect: expect[0] });
        device(client, what, suite, (daemon) => ours === 'raw' ? daemon.plainDevice() : daemon.device(),
            (d) => post(library, d, ofDevice[what](d)), silent);
        device(client, `${what} over a bad path`, suite,
            (daemon) => ours === 'raw' ? daemon.plainDevice() : daemon.device(),
            (d) => post(library, d, ofDevice[what](d)), { ...silent, path: { seed: 5 } });
    }
}
