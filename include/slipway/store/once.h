/* Requests that carry a key of their client's, so that repeating one does nothing twice. */
#ifndef SLIPWAY_STORE_ONCE_H
#define SLIPWAY_STORE_ONCE_H

#include "slipway/crypto/hash.h"
#include "slipway/store/store.h"

struct once_key {
    int64_t user_id;
    const char *key;           /* 1..255 bytes */
    struct sha256 fingerprint; /* of what is asked */
};

#define ONCE_HEADER_BYTES 192 /* with its NUL */

struct once_answer {
    int status;
    struct span body;            /* data NULL = it is not kept */
    const char *location, *etag; /* of its head; NULL = it had none */
};

struct once_row {
    struct sha256 fingerprint;
    int status;    /* 0 = not answered yet */
    uint8_t *body; /* malloc'ed; NULL = not kept */
    size_t body_len;
    char location[ONCE_HEADER_BYTES], etag[ONCE_HEADER_BYTES]; /* "" = none */
};

/* SW_OK: it is new, and now claimed; SW_E_EXISTS: *out is what is known. */
int store_once_claim(struct store *store, const struct once_key *key, int64_t now_ms,
                     struct once_row *out, struct fault *fault) SW_NODISCARD;
/* The answer to a claimed one. */
int store_once_answer(struct store *store, const struct once_key *key,
                      const struct once_answer *answer, struct fault *fault) SW_NODISCARD;
/* It changed nothing: the key is free again. */
int store_once_forget(struct store *store, const struct once_key *key,
                      struct fault *fault) SW_NODISCARD;
int store_once_expire(struct store *store, int64_t before_ms, struct fault *fault) SW_NODISCARD;

#endif
