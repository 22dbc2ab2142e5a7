// Botan, in a program of ours.
'use strict';
const {
    program, pem, identity, psk, word, hex, pskSuites, certificateSuites, ourServer, ourClient,
} = require('../stage.js');
const { established, inbound, outbound, device, silent } = require('../runs.js');
const { hello } = require('../slipwayd.js');

const botan = program('dtls_botan');
const client = (suite, message, ...args) => [botan, 'client', 'PORT', suite, message, ...args];
const server = (suite, ...args) => [botan, 'server', 'PORT', suite, '-', ...args];
const certified = (name) => ['x509', pem(name), pem(`${name}.key`), pem('authority')];
const shared = ['psk', identity, hex(psk)];
const answer = new RegExp(`received ${hex(word)}`);
const suites = [...pskSuites, 'D001', 'D003'];

for (const suite of suites) {
    inbound('Botan', 'PSK', suite, ourServer.psk, [client(suite, hex(word), ...shared)],
        { answer, expect: established(suite, 'psk', identity) });
    outbound('Botan', 'PSK', suite, server(suite, ...shared), ourClient.psk,
        { told: /alert close_notify/, expect: established(suite, 'psk') });
}
for (const suite of certificateSuites) {
    inbound('Botan', 'X.509 both ways', suite, ourServer.x509, [client(suite, hex(word), ...certified('client'))],
        { answer, expect: established(suite, 'x509', 'device-0001') });
    outbound('Botan', 'X.509 both ways', suite, server(suite, ...certified('server')), ourClient.x509,
        { expect: established(suite, 'x509', 'localhost') });
}
inbound('Botan', 'PSK over a bad path', 'D003', ourServer.psk, [client('D003', hex(word), ...shared)],
    { path: { seed: 9 }, answer, expect: established('D003', 'psk', identity) });
outbound('Botan', 'PSK over a bad path', 'D003', server('D003', ...shared), ourClient.psk,
    { path: { seed: 10 }, expect: established('D003', 'psk') });

for (const suite of suites) {
    device('Botan', 'PSK', suite, (daemon) => daemon.device(),
        (d) => client(suite, hello(d.id).toString('hex'), 'psk', d.id, d.psk), silent);
}
for (const suite of certificateSuites) {
    device('Botan', 'X.509 both ways', suite, (daemon) => daemon.device(),
        (d) => client(suite, hello(d.id).toString('hex'), 'x509', d.cert, d.key, pem('authority')), silent);
}
