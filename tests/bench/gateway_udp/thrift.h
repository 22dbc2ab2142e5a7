/* Clients for next to nothing, so that one processor can be more of them than a server on another
 * can serve: with the private key 1 in everything that is theirs. Their key share and their public
 * key are then the curve's base point, a shared secret is the server's own share, and a signature
 * is an addition; nor do they verify the server's. What the server is sent, and has to do, is what
 * any other client makes it do. The process of the load links these in the place of crypto's own.
 */
#ifndef BENCH_GATEWAY_UDP_THRIFT_H
#define BENCH_GATEWAY_UDP_THRIFT_H

#include "slipway/crypto/key.h"

/* From here on, in this process. */
void thrift_begin(void);
/* The key of every client; NULL before thrift_begin. */
const struct crypto_key *thrift_key(void);

#endif
