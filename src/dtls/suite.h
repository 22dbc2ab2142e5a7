/* The cipher suites that this engine speaks. All of them hash with SHA-256 and encrypt with
 * AES-128. */
#ifndef DTLS_SUITE_H
#define DTLS_SUITE_H

#include "slipway/crypto/worker.h"

enum key_exchange { KX_ECDHE_ECDSA, KX_PSK, KX_ECDHE_PSK };

struct suite {
    uint16_t id; /* IANA */
    enum key_exchange exchange;
    enum aead aead;
};

#define SUITE_COUNT 8
/* In the order of a server's preference. */
extern const struct suite suites[SUITE_COUNT];

#define SUITE_DEVICE_OS          0xC0AE
#define SUITE_RENEGOTIATION_SCSV 0x00FF /* RFC 5746 section 3.3 */

const struct suite *suite_find(uint16_t id); /* NULL if it is not one of ours */

#endif
