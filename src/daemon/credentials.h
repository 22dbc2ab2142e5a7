/* PEM files of the settings: those of the REST door, and what standard DTLS clients are met with
 * besides the server's raw key. */
#ifndef SLIPWAY_DAEMON_CREDENTIALS_H
#define SLIPWAY_DAEMON_CREDENTIALS_H

#include "config.h"

#include "slipway/crypto/certificate.h"
#include "slipway/crypto/key.h"

/* The file's text, heap, with a NUL; *out stays NULL for an empty path. Wipe and free it with
 * pem_free. */
int pem_read(const char *path, char **out, struct fault *fault) SW_NODISCARD;
void pem_free(char *text); /* accepts NULL */

struct credentials {
    char *chain;                /* PEM; NULL = no certificate of ours */
    struct crypto_key *key;     /* of the chain's first; NULL = the server's */
    struct crypto_trust *trust; /* NULL = certificates of devices are not taken */
};
/* server_key: what the chain's key is compared with where none is set; NULL = with none. On error
 * what was opened stays for credentials_close. */
int credentials_open(struct credentials *credentials, const struct config *config,
                     const struct crypto_key *server_key, struct fault *fault) SW_NODISCARD;
void credentials_close(struct credentials *credentials); /* accepts zeroes */

#endif
