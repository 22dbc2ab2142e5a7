/* What may touch secrets: comparison that takes the same time whatever differs, and wiping that
 * the compiler cannot remove. */
#ifndef SLIPWAY_CRYPTO_SECRET_H
#define SLIPWAY_CRYPTO_SECRET_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

/* Time depends on len only. */
bool crypto_equal(const void *a, const void *b, size_t len);
void crypto_wipe(void *secret, size_t len);

/* Zeroed memory for long-lived objects that hold secrets; NULL when there is none. It comes from
 * libcrypto's allocator and is wiped when it is freed. */
void *crypto_alloc(size_t len);
void crypto_free(void *memory, size_t len); /* accepts NULL */

/* Seals small secrets for storage with AES-256-GCM under a 32-byte key. `nonce` is 12 bytes that
 * are never used twice with one key; `context` is authenticated, not stored. The output is
 * nonce || ciphertext || tag (plain.len + SEAL_OVERHEAD bytes). SW_OK, SW_E_FULL, SW_E_RANGE above
 * 2 GiB, SW_E_CRYPTO if libcrypto fails. */
#define SEAL_KEY_BYTES   32
#define SEAL_NONCE_BYTES 12
#define SEAL_OVERHEAD    28
int crypto_seal(const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[SEAL_NONCE_BYTES],
                struct span context, struct span plain, uint8_t *out, size_t cap) SW_NODISCARD;
/* Writes sealed.len - SEAL_OVERHEAD bytes. SW_OK; SW_E_AUTH if it was sealed with another key or
 * context, or changed since, and out is then wiped; SW_E_INPUT if it is too short to be sealed;
 * SW_E_FULL; SW_E_CRYPTO. */
int crypto_unseal(const uint8_t key[SEAL_KEY_BYTES], struct span context, struct span sealed,
                  uint8_t *out, size_t cap) SW_NODISCARD;

/* scrypt (RFC 7914) with N=16384, r=8, p=1; out 32 bytes. Slow on purpose: 50-100 ms. SW_E_CRYPTO:
 * libcrypto has no memory for it (16 MiB). */
int crypto_scrypt(struct span password, struct span salt, uint8_t out[32]) SW_NODISCARD;

#endif
