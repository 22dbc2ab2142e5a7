// Certificates with an authority between: an RSA root, one on P-384 under it, and a client's and a server's.
'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { scratch } = require('./stage.js');

const file = (name, kind = 'pem') => path.join(scratch, `chain-${name}.${kind}`);
function openssl(...args) {
    const made = spawnSync('openssl', args, { encoding: 'latin1' });
    if (made.status !== 0) throw new Error(`openssl ${args[0]}: ${made.stderr}`);
}
function issue(name, issuer, subject, curve, extensions) {
    fs.writeFileSync(file(name, 'ext'), extensions);
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`, '-nodes', '-subj', subject,
        '-keyout', file(name, 'key'), '-out', file(name, 'csr'));
    openssl('x509', '-req', '-in', file(name, 'csr'), '-CA', file(issuer), '-CAkey', file(issuer, 'key'),
        '-CAcreateserial', '-days', '2', '-extfile', file(name, 'ext'), '-out', file(name));
}
function chain(name) {
    const both = file(name, 'chain');
    fs.writeFileSync(both, fs.readFileSync(file(name)) + fs.readFileSync(file('middle')));
    return { own: file(name), key: file(name, 'key'), all: both };
}

openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=root', '-days', '2', '-keyout',
    file('root', 'key'), '-out', file('root'), '-addext', 'basicConstraints=critical,CA:TRUE');
issue('middle', 'root', '/CN=middle', 'P-384', 'basicConstraints=critical,CA:TRUE\n');
issue('client', 'middle', '/CN=device-0077', 'P-256', 'extendedKeyUsage=clientAuth\n');
issue('server', 'middle', '/CN=localhost', 'P-256', 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost\n');

module.exports = { what: 'X.509, an RSA root and an authority on P-384 above', root: file('root'),
    client: chain('client'), server: chain('server'), name: 'device-0077' };
