#include "slipway/app/once.h"

#include "slipway/crypto/secret.h"

#include <stdlib.h>

#define ONCE_LIFETIME_MS (INT64_C(24) * 3600 * 1000)

static int conflict(struct app_tx *tx, const char *sentence) {
    return app_fail(tx, SW_E_CONFLICT, "idempotency_conflict", "Idempotency-Key", "%s", sentence);
}

int app_once_claim(struct app_tx *tx, const struct once_key *key, struct once_row *out) {
    int code = store_once_expire(tx->store, tx->now.ms - ONCE_LIFETIME_MS, tx->fault);
    if (code == SW_OK) {
        code = store_once_claim(tx->store, key, tx->now.ms, out, tx->fault);
    }
    if (code != SW_E_EXISTS) {
        return code;
    }
    if (!crypto_equal(out->fingerprint.b, key->fingerprint.b, sizeof out->fingerprint.b)) {
        code = conflict(tx, "Idempotency-Key: it was used for another request.");
    } else if (out->status == 0) {
        code = conflict(tx, "Idempotency-Key: the first request has no answer yet; it is under "
                            "way, or the server stopped meanwhile: look before you ask anew.");
    } else if (out->body == NULL && out->status != 204) {
        code = conflict(tx, "Idempotency-Key: it was done; the answer held a secret, which is not "
                            "kept.");
    } else {
        return app_fail(tx, SW_E_EXISTS, "already_done", "Idempotency-Key", "It was done.");
    }
    free(out->body);
    out->body = NULL;
    return code;
}

int app_once_answer(struct app_tx *tx, const struct once_key *key,
                    const struct once_answer *answer) {
    return store_once_answer(tx->store, key, answer, tx->fault);
}

int app_once_forget(struct app_tx *tx, const struct once_key *key) {
    return store_once_forget(tx->store, key, tx->fault);
}
