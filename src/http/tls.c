/* A handshake borrows certificate and key for a while that nobody measures, so pairs that were
 * replaced stay until the end: a few kilobytes each time that somebody renews a certificate. */
#include "http/tls.h"

#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 8 /* certificates */

struct pair {
    struct pair *older;
    gnutls_pcert_st certs[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
};

static _Atomic(struct pair *) current;

static void pair_free(struct pair *pair) {
    for (unsigned i = 0; i < pair->count; i++) {
        gnutls_pcert_deinit(&pair->certs[i]);
    }
    if (pair->key != NULL) {
        gnutls_privkey_deinit(pair->key);
    }
    free(pair);
}

static gnutls_datum_t datum_of(const char *text) {
    /* gnutls reads it only. */
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)text,
                            .size = (unsigned)strlen(text)};
}

/* gnutls compares them when it takes them together. */
static int check_fit(const gnutls_datum_t *cert, const gnutls_datum_t *key, struct fault *fault) {
    gnutls_certificate_credentials_t both;
    int rc = gnutls_certificate_allocate_credentials(&both);
    if (rc != GNUTLS_E_SUCCESS) {
        return fault_set(fault, SW_E_MEMORY, "http: %s", gnutls_strerror(rc));
    }
    rc = gnutls_certificate_set_x509_key_mem(both, cert, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(both);
    return rc >= 0 ? SW_OK
                   : fault_set(fault, SW_E_INPUT,
                               "http: the certificate and its key cannot be used: %s",
                               gnutls_strerror(rc));
}

static int pair_read(struct pair *pair, const gnutls_datum_t *cert, const gnutls_datum_t *key,
                     struct fault *fault) {
    unsigned count = CHAIN_MAX;
    int rc = gnutls_pcert_list_import_x509_raw(pair->certs, &count, cert, GNUTLS_X509_FMT_PEM, 0);
    if (rc >= 0) {
        pair->count = count;
        rc = gnutls_privkey_init(&pair->key);
    }
    if (rc >= 0) {
        rc = gnutls_privkey_import_x509_raw(pair->key, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    }
    return rc >= 0 ? SW_OK
                   : fault_set(fault, SW_E_INPUT, "http: the certificate cannot be read: %s",
                               gnutls_strerror(rc));
}

int tls_set(const char *cert_pem, const char *key_pem, struct fault *fault) {
    const gnutls_datum_t cert = datum_of(cert_pem);
    const gnutls_datum_t key = datum_of(key_pem);
    int code = check_fit(&cert, &key, fault);
    if (code != SW_OK) {
        return code;
    }
    struct pair *pair = calloc(1, sizeof *pair);
    if (pair == NULL) {
        return fault_set(fault, SW_E_MEMORY, "http: out of memory");
    }
    code = pair_read(pair, &cert, &key, fault);
    if (code != SW_OK) {
        pair_free(pair);
        return code;
    }
    pair->older = atomic_load(&current);
    atomic_store(&current, pair);
    return SW_OK;
}

int tls_choose(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
               const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
               gnutls_pcert_st **certs, unsigned *cert_count, gnutls_privkey_t *key) {
    (void)session;
    (void)names;
    (void)name_count;
    (void)algorithms;
    (void)algorithm_count;
    struct pair *pair = atomic_load(&current);
    if (pair == NULL) {
        return GNUTLS_E_INSUFFICIENT_CREDENTIALS;
    }
    *certs = pair->certs;
    *cert_count = pair->count;
    *key = pair->key;
    return GNUTLS_E_SUCCESS;
}

void tls_close(void) {
    struct pair *pair = atomic_exchange(&current, NULL);
    while (pair != NULL) {
        struct pair *older = pair->older;
        pair_free(pair);
        pair = older;
    }
}
