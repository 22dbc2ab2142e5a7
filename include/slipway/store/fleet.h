/* Rows of devices and of what belongs to one: memberships, keys, quarantine, descriptions, stored
 * sessions. Conventions as in store/catalog.h. */
#ifndef SLIPWAY_STORE_FLEET_H
#define SLIPWAY_STORE_FLEET_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

/* SW_E_EXISTS: it is a device already, perhaps of another product. */
int store_device_insert(struct store *store, const struct device_id *id, uint16_t product_id,
                        uint16_t platform_id, int64_t now_ms, struct fault *fault) SW_NODISCARD;
int store_device_get(struct store *store, const struct device_id *id, struct device *out,
                     struct fault *fault) SW_NODISCARD;
int store_device_by_num(struct store *store, int64_t num, struct device *out,
                        struct fault *fault) SW_NODISCARD;
int store_device_by_name(struct store *store, const char *name, struct device *out,
                         struct fault *fault) SW_NODISCARD;
/* By serial number, IMEI or ICCID. */
int store_device_by_label(struct store *store, const char *label, struct device *out,
                          struct fault *fault) SW_NODISCARD;
/* The operator's half of a row. */
int store_device_save_wishes(struct store *store, const struct device *device, int64_t now_ms,
                             struct fault *fault) SW_NODISCARD;
/* What the device told: the other half. */
int store_device_save_told(struct store *store, const struct device *device,
                           struct fault *fault) SW_NODISCARD;
int store_device_delete(struct store *store, int64_t num, struct fault *fault) SW_NODISCARD;
int store_device_all_offline(struct store *store, struct fault *fault) SW_NODISCARD;
int store_device_online(struct store *store, uint16_t product_id, struct device_id **items,
                        size_t *count, struct fault *fault) SW_NODISCARD;

/* The prefixes of event names that a device asked for: at most so many of each, what is more is
 * ignored. */
int store_subscription_put(struct store *store, int64_t num, const char *prefix, uint32_t max,
                           struct fault *fault) SW_NODISCARD;
int store_subscription_clear(struct store *store, int64_t num, struct fault *fault) SW_NODISCARD;
/* Devices that are online and asked for an event of that name, of one product or (0) of all; at
 * most max of them. *ids is malloc'ed. */
int store_subscribers(struct store *store, uint16_t product_id, const char *name, uint32_t max,
                      struct device_id **ids, size_t *count, struct fault *fault) SW_NODISCARD;
/* The same of one device: itself, or nobody. */
int store_subscriber(struct store *store, const struct device_id *device, const char *name,
                     struct device_id **ids, size_t *count, struct fault *fault) SW_NODISCARD;

enum store_device_order {
    STORE_DEVICES_BY_ID,
    STORE_DEVICES_BY_NAME,
    STORE_DEVICES_BY_VERSION,
    STORE_DEVICES_BY_HANDSHAKE
};
struct store_device_filter {
    uint16_t product_id; /* 0 = all: then only newest handshake first, and no other filter */
    const char *id_part, *name_part, *serial_part; /* lower case (hex: upper-case id is folded) */
    const int64_t *groups; /* NULL = any; with group_count 0 nothing matches */
    size_t group_count;
    uint64_t group_devices;   /* members of these groups, added up, */
    uint64_t product_devices; /* and of the product: they decide how a page is found */
    enum store_device_order order;
    bool ascending;
    const struct device_id *after; /* BY_ID ascending only */
    uint32_t skip, max;
};
/* The devices have what lists show of them: see DEVICE_LISTED; the rest is zero. */
int store_device_list(struct store *store, const struct store_device_filter *filter,
                      struct device **items, size_t *count, struct fault *fault) SW_NODISCARD;
int store_device_count(struct store *store, const struct store_device_filter *filter,
                       uint64_t *count, struct fault *fault) SW_NODISCARD;
/* The devices of a product, counted by what the rules ask of them. */
struct store_kind {
    uint32_t device_count;
    uint16_t running_version, locked_version;
    bool development, is_denied;
    int64_t set_id;
};
typedef void store_kind_fn(void *arg, const struct store_kind *kind);
int store_census_each(struct store *store, uint16_t product_id, store_kind_fn *each, void *arg,
                      struct fault *fault) SW_NODISCARD;
/* Which set has which group, for all of a product, in no order. */
struct store_set_member {
    int64_t set_id, group_id;
};
int store_set_members(struct store *store, uint16_t product_id, struct store_set_member **items,
                      size_t *count, struct fault *fault) SW_NODISCARD;

/* *out is the store's, until the next call for this store or the end of the view. */
int store_group_set_get(struct store *store, int64_t id, const struct group_set **out,
                        struct fault *fault) SW_NODISCARD;
/* The set of these groups, in any order and with repetitions; made if it is new. */
int store_group_set_need(struct store *store, const int64_t *groups, size_t count, int64_t *id,
                         struct fault *fault) SW_NODISCARD;
int store_device_save_set(struct store *store, int64_t num, int64_t set_id, int64_t updated_ms,
                          struct fault *fault) SW_NODISCARD;

int store_key_get(struct store *store, const struct device_id *id, struct p256_point *out,
                  struct fault *fault) SW_NODISCARD;
int store_key_set(struct store *store, const struct device_id *id, const struct p256_point *key,
                  bool is_first_use, int64_t now_ms, struct fault *fault) SW_NODISCARD;
int store_key_delete(struct store *store, const struct device_id *id,
                     struct fault *fault) SW_NODISCARD;

/* What a device proves itself with besides a raw key: a pre-shared key, sealed by the caller; or a
 * certificate, of which only is kept that it was shown. */
#define STORE_SEALED_PSK_BYTES 93
int store_psk_get(struct store *store, const struct device_id *id,
                  uint8_t sealed[STORE_SEALED_PSK_BYTES], struct fault *fault) SW_NODISCARD;
int store_psk_set(struct store *store, const struct device_id *id,
                  const uint8_t sealed[STORE_SEALED_PSK_BYTES], int64_t now_ms,
                  struct fault *fault) SW_NODISCARD;
int store_psk_delete(struct store *store, const struct device_id *id,
                     struct fault *fault) SW_NODISCARD;
/* SW_OK also when it is known already. */
int store_certificate_seen(struct store *store, const struct device_id *id, int64_t now_ms,
                           struct fault *fault) SW_NODISCARD;
/* Whether the device has any of these. */
int store_proof_has(struct store *store, const struct device_id *id, bool *has,
                    struct fault *fault) SW_NODISCARD;
int store_proof_delete_all(struct store *store, const struct device_id *id,
                           struct fault *fault) SW_NODISCARD;

/* Inserts, or renews what is there (first_ms and is_denied stay). last_ms is the time. */
int store_quarantine_put(struct store *store, const struct quarantine *row,
                         struct fault *fault) SW_NODISCARD;
int store_quarantine_get(struct store *store, const struct device_id *id, struct quarantine *out,
                         struct fault *fault) SW_NODISCARD;
/* Those that name the product, or none and are of the platform; the last seen first. */
struct store_quarantine_filter {
    uint16_t product_id, platform_id;
    const char *id_part; /* in lower case; NULL = any */
    uint32_t max, skip;
};
/* total: how many fit, on this page or not. */
int store_quarantine_list(struct store *store, const struct store_quarantine_filter *filter,
                          struct quarantine **items, size_t *count, int64_t *total,
                          struct fault *fault) SW_NODISCARD;
int store_quarantine_delete(struct store *store, const struct device_id *id,
                            struct fault *fault) SW_NODISCARD;
int store_quarantine_deny(struct store *store, const struct device_id *id, uint16_t product_id,
                          struct fault *fault) SW_NODISCARD;
int store_quarantine_count(struct store *store, int64_t *count, struct fault *fault) SW_NODISCARD;
/* The oldest one that is not denied, else the oldest. */
int store_quarantine_evict(struct store *store, struct fault *fault) SW_NODISCARD;

int store_describe_put(struct store *store, int64_t num, unsigned kind, unsigned content_format,
                       struct span bytes, int64_t now_ms, struct fault *fault) SW_NODISCARD;
/* *bytes is malloc'ed. */
int store_describe_get(struct store *store, int64_t num, unsigned kind, unsigned *content_format,
                       uint8_t **bytes, size_t *len, struct fault *fault) SW_NODISCARD;

#define STORE_CID_BYTES 8
int store_session_put(struct store *store, const uint8_t cid[STORE_CID_BYTES],
                      const struct device_id *device, struct span sealed, int64_t now_ms,
                      struct fault *fault) SW_NODISCARD;
int store_session_delete(struct store *store, const uint8_t cid[STORE_CID_BYTES],
                         struct fault *fault) SW_NODISCARD;
int store_session_delete_device(struct store *store, const struct device_id *device,
                                struct fault *fault) SW_NODISCARD;
typedef bool store_session_fn(void *arg, const uint8_t cid[STORE_CID_BYTES],
                              const struct device_id *device, struct span sealed);
int store_session_each(struct store *store, store_session_fn *each, void *arg,
                       struct fault *fault) SW_NODISCARD;

#endif
