/* The certificate of the REST door, which can be changed while it serves: connections that are open
 * keep the one that they began with. libmicrohttpd asks for it with a callback that has no room for
 * an argument, so there is one for the process. */
#ifndef SLIPWAY_HTTP_TLS_H
#define SLIPWAY_HTTP_TLS_H

#include <gnutls/abstract.h>

#include "slipway/util/error.h"

/* Takes the place of the one before if the two fit each other; else that one stays. PEM texts: the
 * certificate with its chain, and the key. SW_E_INPUT: the fault says what is wrong with them. One
 * thread at a time. */
int tls_set(const char *cert_pem, const char *key_pem, struct fault *fault) SW_NODISCARD;
/* A gnutls_certificate_retrieve_function2. Any thread. */
int tls_choose(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
               const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
               gnutls_pcert_st **certs, unsigned *cert_count, gnutls_privkey_t *key);
/* After the last connection. */
void tls_close(void);

#endif
