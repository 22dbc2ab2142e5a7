/* A small world for the use cases: a database in memory, a clock that stands still until it is
 * moved, predictable entropy, a product with firmware made on the spot. */
#ifndef TEST_APP_WORLD_H
#define TEST_APP_WORLD_H

#include "slipway/app/device.h"
#include "slipway/app/event.h"
#include "slipway/app/fleet.h"
#include "slipway/app/group.h"
#include "slipway/app/product.h"
#include "slipway/app/query.h"
#include "slipway/app/release.h"
#include "slipway/app/token.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLATFORM_BORON 13

struct world {
    struct app *app;
    struct store *store;
    wall_time now;
    struct rng rng;
    struct app_notice notices[64];
    size_t notice_count;
    struct app_error error; /* of the last use case */
    struct product product;
};

/* options may be NULL; the world's clock and entropy are put in. Without a path: in memory. Makes
 * one product of the platform Boron. */
void world_open(struct world *world, const struct app_options *options);
/* Once more on the same file, as after a restart. */
void world_reopen(struct world *world, const struct app_options *options);
void world_close(struct world *world);

/* The world of a test program; its set-up without options, and its end, for cmocka. */
extern struct world world;
int world_fresh(void **state);
int world_done(void **state);

/* Each is one use case in a transaction of its own; world->error is its error. */
int world_upload(struct world *w, uint16_t version, uint16_t needs_system);
int world_upload_bytes(struct world *w, struct app_upload *upload, struct firmware *out);
int world_system(struct world *w, uint16_t system_version);
int world_release(struct world *w, const struct app_release *request,
                  struct app_release_result *out);
int world_release_default(struct world *w, uint16_t version, bool immediate);
int world_release_group(struct world *w, uint16_t version, const char *group, bool immediate);
int world_group(struct world *w, const char *name);
int world_import(struct world *w, const char *id, struct app_import_result *out);
int world_edit(struct world *w, const struct device_id *id, const struct app_device_edit *edit,
               struct device *out);
int world_flash(struct world *w, const struct app_flash *flash, struct update *out);
int world_remove(struct world *w, const struct device_id *id);
int world_hello(struct world *w, const struct app_hello *hello, struct app_plan *plan);
int world_resumed(struct world *w, const struct device_id *id, struct app_plan *plan);
int world_describe(struct world *w, const struct device_id *id, const char *json,
                   struct app_plan *plan);
/* The same with a Describe in protobuf. */
int world_described(struct world *w, const struct device_id *id, struct span bytes,
                    struct app_plan *plan);
int world_updates(struct world *w, const struct device_id *id, bool forced, bool value,
                  struct app_plan *plan);
int world_plan(struct world *w, const struct device_id *id, enum update_cause cause,
               struct app_plan *plan);
int world_move(struct world *w, int64_t id, enum update_state from, enum update_state to);
int world_ended(struct world *w, int64_t id, enum ota_failure failure, int32_t error,
                struct app_plan *plan);
/* planned -> ... -> rebooting */
void world_transfer(struct world *w, int64_t id);

/* Reads; they assert that they succeed. */
void world_device(struct world *w, const struct device_id *id, struct device *out);
void world_assets(struct world *w, const struct device *device, struct app_asset_list *out);
void world_decision(struct world *w, const struct device_id *id, struct app_decision *out);
void world_firmware(struct world *w, uint16_t version, struct firmware *out);
void world_update(struct world *w, int64_t id, struct update *out);
/* Whether an event of that name and data (NULL = any) was appended after the cursor; moves it past.
 */
bool world_has_event(struct world *w, int64_t *cursor, const char *name, const char *data);

/* Device number n: its id, and a Hello as it would say it (key, platform, protocol 3). */
struct device_id world_id(unsigned n);
const char *world_id_text(unsigned n);
struct app_hello world_hello_of(unsigned n, uint16_t version);
/* A system Describe in JSON: system part 1 and a user part with the hash of that version's image.
 */
const char *world_describe_of(struct world *w, uint16_t system_version, uint16_t version,
                              bool unmet);
/* The bytes of an application module; free(). */
struct span world_module(uint16_t version, uint16_t needs_system);

#endif
