/* Mistakes in these files are told at the start, with the name of the setting: a chain that is not
 * of its key would show up as handshakes that fail without a reason. */
#include "credentials.h"

#include "slipway/crypto/secret.h"
#include "slipway/dtls/handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAX 65536

int pem_read(const char *path, char **out, struct fault *fault) {
    *out = NULL;
    if (path[0] == '\0') {
        return SW_OK;
    }
    FILE *file = fopen(path, "re");
    char *text = calloc(1, PEM_MAX);
    size_t len = file != NULL && text != NULL ? fread(text, 1, PEM_MAX - 1, file) : 0;
    int error = errno;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (len == 0) {
        pem_free(text);
        return fault_set(fault, SW_E_IO, "%s cannot be read: %s", path, strerror(error));
    }
    *out = text;
    return SW_OK;
}

void pem_free(char *text) {
    if (text != NULL) {
        crypto_wipe(text, PEM_MAX);
        free(text);
    }
}

static int open_chain(struct credentials *credentials, const struct config *config,
                      const struct crypto_key *server_key, struct fault *fault) {
    char *pem = NULL;
    if (config->dtls_certificate[0] == '\0') {
        return config->dtls_certificate_key[0] == '\0'
                   ? SW_OK
                   : fault_set(fault, SW_E_INPUT,
                               "dtls.certificate_key is set, dtls.certificate is not");
    }
    int status = pem_read(config->dtls_certificate, &credentials->chain, fault);
    status = status != SW_OK ? status : pem_read(config->dtls_certificate_key, &pem, fault);
    if (status == SW_OK && pem != NULL) {
        credentials->key = crypto_key_from_pem(span_text(pem));
        status = credentials->key != NULL
                     ? SW_OK
                     : fault_set(fault, SW_E_INPUT, "dtls.certificate_key: not a P-256 key");
    }
    pem_free(pem);
    uint8_t list[DTLS_CHAIN_MAX];
    int len = status != SW_OK
                  ? SW_OK
                  : certificate_list_from_pem(span_text(credentials->chain), list, sizeof list);
    if (len < 0) {
        status = len == SW_E_FULL
                     ? fault_set(fault, len, "dtls.certificate: more than %d bytes", DTLS_CHAIN_MAX)
                     : fault_set(fault, len, "dtls.certificate: not certificates in PEM");
    }
    const struct crypto_key *key = credentials->key != NULL ? credentials->key : server_key;
    if (status == SW_OK && key != NULL &&
        !certificate_is_of_key(span_text(credentials->chain), key)) {
        status =
            fault_set(fault, SW_E_INPUT, "dtls.certificate: its first certificate is not %s",
                      credentials->key != NULL ? "of dtls.certificate_key" : "of the server key");
    }
    return status;
}

static int open_trust(struct credentials *credentials, const struct config *config,
                      struct fault *fault) {
    char *pem = NULL;
    int status = pem_read(config->dtls_client_ca, &pem, fault);
    if (status == SW_OK && pem != NULL) {
        credentials->trust = crypto_trust_from_pem(span_text(pem));
        status = credentials->trust != NULL
                     ? SW_OK
                     : fault_set(fault, SW_E_INPUT, "dtls.client_ca: not certificates in PEM");
    }
    pem_free(pem);
    return status;
}

int credentials_open(struct credentials *credentials, const struct config *config,
                     const struct crypto_key *server_key, struct fault *fault) {
    int status = open_chain(credentials, config, server_key, fault);
    return status != SW_OK ? status : open_trust(credentials, config, fault);
}

void credentials_close(struct credentials *credentials) {
    crypto_trust_free(credentials->trust);
    crypto_key_free(credentials->key);
    pem_free(credentials->chain);
    *credentials = (struct credentials){.chain = NULL};
}
