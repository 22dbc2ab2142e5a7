/* Rows of vitals. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_VITALS_H
#define SLIPWAY_STORE_VITALS_H

#include "slipway/store/store.h"

#define VITALS_BYTES_MAX 1024

struct vitals {
    int64_t id;
    int64_t at_ms;
    int64_t session_s; /* age of the session then */
    size_t len;
    uint8_t bytes[VITALS_BYTES_MAX]; /* as the device sent them */
};

/* Appends; of the device's rows the newest max stay. */
int store_vitals_append(struct store *store, int64_t device_num, const struct vitals *row,
                        uint32_t max, struct fault *fault) SW_NODISCARD;
/* start <= at_ms < end, oldest first. */
int store_vitals_list(struct store *store, int64_t device_num, int64_t start_ms, int64_t end_ms,
                      struct vitals **items, size_t *count, struct fault *fault) SW_NODISCARD;
/* The newest one; SW_E_NOT_FOUND. */
int store_vitals_last(struct store *store, int64_t device_num, struct vitals *out,
                      struct fault *fault) SW_NODISCARD;
/* Of the oldest `look` rows, drops those beyond the newest max and those from before that time. */
int store_vitals_prune(struct store *store, uint64_t max, int64_t before_ms, uint32_t look,
                       struct fault *fault) SW_NODISCARD;

#endif
