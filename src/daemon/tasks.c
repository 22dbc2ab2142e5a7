#include "tasks.h"

#include "administrator.h"

#include "slipway/gateway/core.h"
#include "slipway/util/hex.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define DCT_ADDRESS  192
#define DCT_PORT     (DCT_ADDRESS + 66)
#define DCT_NAME_MAX 63

int dct_encode(const struct p256_point *key, const char *host, uint8_t out[DCT_BYTES]) {
    struct in_addr v4;
    size_t len = strlen(host);
    memset(out, 0xff, DCT_BYTES);
    p256_spki_encode(key, out);
    if (inet_pton(AF_INET, host, &v4) == 1) {
        if (v4.s_addr == 0 || v4.s_addr == UINT32_MAX) {
            return SW_E_RANGE;
        }
        out[DCT_ADDRESS] = 0;
        out[DCT_ADDRESS + 1] = 4;
        memcpy(out + DCT_ADDRESS + 2, &v4, 4);
    } else {
        if (len == 0 || len > DCT_NAME_MAX) {
            return SW_E_RANGE;
        }
        for (size_t n = 0; n < len; n++) {
            if (host[n] <= ' ' || host[n] > '~') {
                return SW_E_RANGE;
            }
        }
        out[DCT_ADDRESS] = 1;
        out[DCT_ADDRESS + 1] = (uint8_t)len;
        memcpy(out + DCT_ADDRESS + 2, host, len);
    }
    out[DCT_PORT] = GATEWAY_PORT >> 8;
    out[DCT_PORT + 1] = GATEWAY_PORT & 0xff;
    return SW_OK;
}

static int task_failed(const struct fault *fault) {
    (void)fprintf(stderr, "slipwayd: %s\n", fault->text);
    return EXIT_FAILURE;
}

int task_key(const struct options *options) {
    struct folder folder;
    struct crypto_key *key = NULL;
    struct fault fault = {0};
    char text[512];
    uint8_t spki[P256_SPKI_BYTES], dct[DCT_BYTES];
    folder_name(&folder, options->data);
    if (folder_server_key(&folder, &key, &fault) != SW_OK) {
        return task_failed(&fault);
    }
    const struct p256_point *point = crypto_key_point(key);
    int status = SW_OK;
    if (options->dct != NULL) {
        status = dct_encode(point, options->dct, dct);
        if (status == SW_OK && fwrite(dct, 1, sizeof dct, stdout) != sizeof dct) {
            status = SW_E_IO;
        }
    } else if (options->spki) {
        p256_spki_encode(point, spki);
        hex_encode(span_of(spki, sizeof spki), text, sizeof text);
        (void)puts(text);
    } else {
        status = p256_point_to_pem(point, text, sizeof text);
        (void)fputs(status < 0 ? "" : text, stdout);
    }
    crypto_key_free(key);
    if (status < 0) {
        (void)fault_set(&fault, status,
                        "%s cannot be a device's server: an IPv4 address or a name of up to %d "
                        "characters",
                        options->dct == NULL ? "this key" : options->dct, DCT_NAME_MAX);
        return task_failed(&fault);
    }
    return EXIT_SUCCESS;
}

int task_token(const struct options *options) {
    struct folder folder;
    struct fault fault = {0};
    struct config config;
    char token[TOKEN_DIGITS + 1];
    folder_name(&folder, options->data);
    if (options_config(options, &config, &fault) != SW_OK ||
        administrator_token(&folder, &config, token, &fault) != SW_OK) {
        return task_failed(&fault);
    }
    (void)puts(token);
    crypto_wipe(token, sizeof token);
    return EXIT_SUCCESS;
}
