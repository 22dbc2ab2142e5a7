/* Rows of products, firmware, groups and releases. Functions without a word in their comment do one
 * statement and return SW_OK, SW_E_NOT_FOUND (nothing there), SW_E_EXISTS (a unique name or number
 * is taken), SW_E_CONFLICT (something else refers to it) or what failed in the world. Lists are
 * malloc'ed, the caller frees them. */
#ifndef SLIPWAY_STORE_CATALOG_H
#define SLIPWAY_STORE_CATALOG_H

#include "slipway/store/record.h"
#include "slipway/store/store.h"

/* created_ms is the time of the insertion. */
int store_product_insert(struct store *store, const struct product *product,
                         struct fault *fault) SW_NODISCARD;
int store_product_get(struct store *store, uint16_t id, struct product *out,
                      struct fault *fault) SW_NODISCARD;
/* Its release to all devices that no other rule decides for; 0 = none. */
int store_product_default(struct store *store, uint16_t id, uint16_t *version,
                          struct fault *fault) SW_NODISCARD;
int store_product_by_slug(struct store *store, const char *slug, struct product *out,
                          struct fault *fault) SW_NODISCARD;
int store_product_list(struct store *store, struct product **items, size_t *count,
                       struct fault *fault) SW_NODISCARD;
/* Name, description, settings and updated_ms. */
int store_product_update(struct store *store, const struct product *product,
                         struct fault *fault) SW_NODISCARD;
/* The id of the newest product, 0 if there is none. */
int store_product_last_id(struct store *store, int64_t *id, struct fault *fault) SW_NODISCARD;
/* The product that takes unknown devices of a platform: the only one of it, with its quarantine
 * off. 0 = none. */
int store_product_welcoming(struct store *store, uint16_t platform_id, uint16_t *id,
                            struct fault *fault) SW_NODISCARD;

/* Sets image->id. The row and its bytes, or neither. */
int store_image_insert(struct store *store, struct image_record *image, struct span bytes,
                       struct fault *fault) SW_NODISCARD;
int store_image_get(struct store *store, int64_t id, struct image_record *out,
                    struct fault *fault) SW_NODISCARD;
/* *bytes is malloc'ed. */
int store_image_load(struct store *store, int64_t id, uint8_t **bytes, size_t *size,
                     struct fault *fault) SW_NODISCARD;
/* The lowest version that satisfies a dependency. */
int store_image_find_system(struct store *store, uint16_t platform_id,
                            const struct module_dependency *need, struct image_record *out,
                            struct fault *fault) SW_NODISCARD;
/* platform_id 0 = all. */
int store_image_list_system(struct store *store, uint16_t platform_id, struct image_record **items,
                            size_t *count, struct fault *fault) SW_NODISCARD;
int store_image_delete(struct store *store, int64_t id, struct fault *fault) SW_NODISCARD;
/* How many open updates need it. */
int store_image_needed(struct store *store, int64_t id, int64_t *count,
                       struct fault *fault) SW_NODISCARD;
/* One-off files that no open update needs. */
int store_image_forget_one_offs(struct store *store, int64_t before_ms,
                                struct fault *fault) SW_NODISCARD;

/* Asset bundles: image_id is the application's. */
int store_bundle_insert(struct store *store, int64_t image_id, struct span bytes,
                        struct fault *fault) SW_NODISCARD;
/* The .zip as it was uploaded. *bytes is malloc'ed. NOT_FOUND: the application came alone. */
int store_bundle_load(struct store *store, int64_t image_id, uint8_t **bytes, size_t *size,
                      struct fault *fault) SW_NODISCARD;
/* Makes an image one of its assets; their places say in which order they are sent. It goes with
 * the application. */
int store_bundle_add(struct store *store, int64_t image_id, uint32_t place, int64_t asset_id,
                     struct fault *fault) SW_NODISCARD;
int store_bundle_assets(struct store *store, int64_t image_id, struct image_record **items,
                        size_t *count, struct fault *fault) SW_NODISCARD;
/* The application of a version that came with assets; *image_id 0 = there is none such. */
int store_bundle_of_version(struct store *store, uint16_t product_id, uint16_t version,
                            int64_t *image_id, struct fault *fault) SW_NODISCARD;

/* firmware->image.id is the image; uploaded_ms is the time. */
int store_firmware_insert(struct store *store, const struct firmware *firmware,
                          struct fault *fault) SW_NODISCARD;
int store_firmware_get(struct store *store, uint16_t product_id, uint16_t version,
                       struct firmware *out, struct fault *fault) SW_NODISCARD;
int store_firmware_list(struct store *store, uint16_t product_id, struct firmware **items,
                        size_t *count, struct fault *fault) SW_NODISCARD;
/* Title, description, mandatory, updated_ms. */
int store_firmware_update(struct store *store, const struct firmware *firmware,
                          struct fault *fault) SW_NODISCARD;
/* Together with its image. */
int store_firmware_delete(struct store *store, const struct firmware *firmware,
                          struct fault *fault) SW_NODISCARD;
int store_firmware_mark_released(struct store *store, uint16_t product_id, uint16_t version,
                                 int64_t now_ms, struct fault *fault) SW_NODISCARD;
/* Something that belongs to it was changed: its updated_ms grows. */
int store_firmware_touch(struct store *store, uint16_t product_id, uint16_t version, int64_t now_ms,
                         struct fault *fault) SW_NODISCARD;
/* Does nothing when it is marked already, or is no firmware of the product. */
int store_firmware_mark_tested(struct store *store, uint16_t product_id, uint16_t version,
                               int64_t now_ms, struct fault *fault) SW_NODISCARD;
int store_firmware_locks(struct store *store, uint16_t product_id, uint16_t version, int64_t *count,
                         struct fault *fault) SW_NODISCARD;
int store_firmware_groups(struct store *store, uint16_t product_id, uint16_t version,
                          char (**names)[GROUP_NAME_BYTES], size_t *count,
                          struct fault *fault) SW_NODISCARD;

int store_group_insert(struct store *store, const struct group *group,
                       struct fault *fault) SW_NODISCARD;
int store_group_get(struct store *store, uint16_t product_id, const char *name, struct group *out,
                    struct fault *fault) SW_NODISCARD;
int store_group_list(struct store *store, uint16_t product_id, const char *part,
                     struct group **items, size_t *count, struct fault *fault) SW_NODISCARD;
int store_group_update(struct store *store, const struct group *group,
                       struct fault *fault) SW_NODISCARD;
/* Its devices are taken out of it. */
int store_group_delete(struct store *store, int64_t id, struct fault *fault) SW_NODISCARD;

/* Targets: version 0 takes the release away. */
int store_target_default(struct store *store, uint16_t product_id, uint16_t version, bool immediate,
                         int64_t now_ms, struct fault *fault) SW_NODISCARD;
int store_target_group(struct store *store, const struct group *group, uint16_t version,
                       bool immediate, int64_t now_ms, struct fault *fault) SW_NODISCARD;
int store_release_insert(struct store *store, const struct release *release,
                         struct fault *fault) SW_NODISCARD;
/* Newest first, those with an id below before_id. version 0 = all. */
int store_release_list(struct store *store, uint16_t product_id, uint16_t version,
                       int64_t before_id, size_t max, struct release **items, size_t *count,
                       struct fault *fault) SW_NODISCARD;

#endif
