#include "dtls/suite.h"

/* RFC 5289, RFC 6655, RFC 7251, RFC 5487, RFC 8442. Longer tags first, forward secrecy before plain
 * PSK: a constrained peer offers only what it can, so the order decides for capable peers alone. */
const struct suite suites[SUITE_COUNT] = {
    {0xC02B, KX_ECDHE_ECDSA, AEAD_AES128_GCM},   {0xC0AC, KX_ECDHE_ECDSA, AEAD_AES128_CCM},
    {0xC0AE, KX_ECDHE_ECDSA, AEAD_AES128_CCM_8}, {0xD001, KX_ECDHE_PSK, AEAD_AES128_GCM},
    {0xD003, KX_ECDHE_PSK, AEAD_AES128_CCM_8},   {0x00A8, KX_PSK, AEAD_AES128_GCM},
    {0xC0A4, KX_PSK, AEAD_AES128_CCM},           {0xC0A8, KX_PSK, AEAD_AES128_CCM_8},
};

const struct suite *suite_find(uint16_t id) {
    for (size_t i = 0; i < SUITE_COUNT; i++) {
        if (suites[i].id == id) {
            return &suites[i];
        }
    }
    return NULL;
}
