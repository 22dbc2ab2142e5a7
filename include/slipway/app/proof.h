/* How devices prove who they are: raw public keys that are bound to their ids, pre-shared keys that
 * operators set, certificates of configured authorities.
 *
 * The name in a PSK identity or certificate tells the device by one rule: what stands before its
 * first '.', or all of it, is the device's id as 24 hexadecimal digits. */
#ifndef SLIPWAY_APP_PROOF_H
#define SLIPWAY_APP_PROOF_H

#include "slipway/app/app.h"

/* Stored with sessions: the numbers stay. */
enum app_proof_kind { APP_PROOF_RAW_KEY = 1, APP_PROOF_PSK = 2, APP_PROOF_CERTIFICATE = 3 };

#define APP_PSK_STAMP_BYTES 12
struct app_proof {
    uint8_t kind; /* enum app_proof_kind */
    union {
        struct p256_point key; /* RAW_KEY */
        struct {
            struct device_id device;            /* whose name it is */
            uint8_t stamp[APP_PSK_STAMP_BYTES]; /* PSK: of the key, see struct app_psk */
        } named;                                /* PSK, CERTIFICATE */
    } u;
};

/* SW_E_INPUT when the name tells no device. */
int app_proof_device(struct span name, struct device_id *out) SW_NODISCARD;

#define APP_PSK_MIN 16
#define APP_PSK_MAX 64
struct app_psk {
    uint8_t len; /* 0: nobody has that identity */
    uint8_t key[APP_PSK_MAX];
    struct device_id device;
    uint8_t stamp[APP_PSK_STAMP_BYTES]; /* differs from that of every other key ever set */
};
/* The key behind a PSK identity. Takes the same steps whether there is one or not, so that their
 * time does not tell identities from each other. For a reader. Wipe *out. */
int app_psk_find(struct app_tx *tx, struct span identity, struct app_psk *out) SW_NODISCARD;

/* Sets or replaces it, and ends the device's sessions. SW_E_RANGE outside MIN..MAX;
 * SW_E_NOT_FOUND: the product has no such device. */
int app_device_psk_set(struct app_tx *tx, uint16_t product_id, const struct device_id *id,
                       struct span key) SW_NODISCARD;
/* SW_E_NOT_FOUND also when the device has none. */
int app_device_psk_remove(struct app_tx *tx, uint16_t product_id,
                          const struct device_id *id) SW_NODISCARD;

/* Whether the proof is that device's; an unbound raw key is bound, and a certificate noted, where
 * the policy allows. */
enum app_proof_verdict {
    APP_PROOF_OWN,
    APP_PROOF_OTHER,  /* the device has another one, or this is another device's */
    APP_PROOF_UNBOUND /* policy "strict", and nothing is registered */
};
int app_proof_check(struct app_tx *tx, const struct device_id *id, const struct app_proof *proof,
                    enum app_proof_verdict *out) SW_NODISCARD;
/* The same without binding anything: of a session that was checked before. */
int app_proof_check_again(struct app_tx *tx, const struct device_id *id,
                          const struct app_proof *proof, enum app_proof_verdict *out) SW_NODISCARD;

#endif
