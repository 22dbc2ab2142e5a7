/* Makes the database that bench_http measures on: one product with a fleet in 20 groups, 10 of them
 * with a release, 1.9 groups to a device, 2 % of the devices locked and 1 % for development. The
 * same number of devices gives the same database. */
#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/util/rng.h"

#include "store/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRODUCT = 101, PLATFORM = 32, GROUPS = 20, VERSIONS = 30 };

#define NOW_MS INT64_C(1795000000000)

static struct store *store;
static struct rng rng;
static int64_t groups[GROUPS];
static int64_t *sets; /* by the bits of the groups */

static void must(int code, const struct fault *fault) {
    if (code != SW_OK) {
        (void)fprintf(stderr, "bench_http_fleet: %s\n", fault->text);
        exit(EXIT_FAILURE);
    }
}

static void make_catalog(void) {
    struct fault fault = {.code = SW_OK};
    struct product product = {.id = PRODUCT,
                              .platform_id = PLATFORM,
                              .slug = "fleet",
                              .name = "Fleet",
                              .created_ms = NOW_MS};
    must(store_product_insert(store, &product, &fault), &fault);
    for (unsigned version = 1; version <= VERSIONS; version++) {
        struct firmware firmware = {.product_id = PRODUCT,
                                    .version = (uint16_t)version,
                                    .uploaded_by = "bench",
                                    .uploaded_ms = NOW_MS,
                                    .image = {.kind = IMAGE_KIND_PRODUCT,
                                              .platform_id = PLATFORM,
                                              .function = MODULE_USER_PART,
                                              .index = 1,
                                              .product_version = (uint16_t)version,
                                              .size = 5,
                                              .created_ms = NOW_MS}};
        (void)snprintf(firmware.uid, sizeof firmware.uid, "%024u", version);
        (void)snprintf(firmware.title, sizeof firmware.title, "version %u", version);
        must(store_image_insert(store, &firmware.image, span_text("bench"), &fault), &fault);
        must(store_firmware_insert(store, &firmware, &fault), &fault);
    }
    must(store_target_default(store, PRODUCT, 20, false, NOW_MS, &fault), &fault);
    for (unsigned i = 0; i < GROUPS; i++) {
        struct group group = {.product_id = PRODUCT, .created_ms = NOW_MS};
        (void)snprintf(group.name, sizeof group.name, "group-%02u", i);
        must(store_group_insert(store, &group, &fault), &fault);
        must(store_group_get(store, PRODUCT, group.name, &group, &fault), &fault);
        groups[i] = group.id;
        if (i % 2 == 0) {
            must(store_target_group(store, &group, (uint16_t)(11 + i / 2), false, NOW_MS, &fault),
                 &fault);
        }
    }
}

/* One group, two or three: 1.9 in the mean. */
static int64_t some_set(void) {
    uint64_t chance = rng_below(&rng, 10);
    int wanted = chance < 3 ? 1 : chance < 8 ? 2 : 3;
    int64_t ids[3];
    uint32_t bits = 0;
    for (int count = 0; count < wanted;) {
        uint64_t group = rng_below(&rng, GROUPS);
        if ((bits & UINT32_C(1) << group) == 0) {
            bits |= UINT32_C(1) << group;
            ids[count++] = groups[group];
        }
    }
    if (sets[bits] == 0) {
        struct fault fault = {.code = SW_OK};
        must(store_group_set_need(store, ids, (size_t)wanted, &sets[bits], &fault), &fault);
    }
    return sets[bits];
}

static void make_devices(uint32_t count) {
    sqlite3_stmt *q = NULL;
    struct fault fault = {.code = SW_E_IO, .text = "the devices' statement is wrong"};
    must(sqlite3_prepare_v2(
             store->db,
             "INSERT INTO device (id, product_id, platform_id, name, serial_number, development, "
             "locked_version, running_version, hello_product_id, system_version, address, "
             "handshake_ms, heard_ms, hello_ms, app_hash, group_set, created_ms, updated_ms) "
             "VALUES (:id, 101, 32, :name, :serial, :development, :locked, :version, 101, 5302, "
             ":address, :at, :at, :at, :hash, :set, :now, :now)",
             -1, &q, NULL) == SQLITE_OK
             ? SW_OK
             : SW_E_IO,
         &fault);
    for (uint32_t i = 0; i < count; i++) {
        struct device_id id = {{0xe0, 0x0f, 0xce, 0x68}};
        uint8_t hash[SHA256_BYTES];
        char name[32];
        char serial[32];
        char address[32];
        /* Looked for by its number in the benchmark: the high digits spread, the low ones count. */
        for (int k = 0; k < 4; k++) {
            id.b[4 + k] = (uint8_t)((i * UINT32_C(2654435761)) >> (24 - 8 * k));
            id.b[8 + k] = (uint8_t)(i >> (24 - 8 * k));
        }
        rng_fill(&rng, hash, sizeof hash);
        (void)snprintf(name, sizeof name, "device-%06" PRIu64, rng_below(&rng, 1000000));
        (void)snprintf(serial, sizeof serial, "P046AF%09" PRIu32, i);
        (void)snprintf(address, sizeof address, "10.%u.%u.%u", (unsigned)(i >> 16 & 255),
                       (unsigned)(i >> 8 & 255), (unsigned)(i & 255));
        stmt_end(q);
        bind_blob(q, ":id", id.b, sizeof id.b);
        bind_text(q, ":name", name);
        bind_text(q, ":serial", serial);
        bind_int(q, ":development", rng_below(&rng, 100) == 0);
        if (rng_below(&rng, 50) == 0) {
            bind_int(q, ":locked", rng_between(&rng, 1, VERSIONS));
        }
        bind_int(q, ":version", rng_below(&rng, 10) < 8 ? 20 : rng_between(&rng, 10, VERSIONS));
        bind_text(q, ":address", address);
        bind_int(q, ":at", NOW_MS - rng_between(&rng, 0, INT64_C(30) * 24 * 3600 * 1000));
        bind_blob(q, ":hash", hash, sizeof hash);
        bind_int(q, ":set", some_set());
        bind_int(q, ":now", NOW_MS);
        must(stmt_run_one(store, q, &fault), &fault);
    }
    (void)sqlite3_finalize(q);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        (void)fputs("usage: bench_http_fleet FILE DEVICES\n", stderr);
        return EXIT_FAILURE;
    }
    struct fault fault = {.code = SW_OK};
    struct store_options options = {
        .path = argv[1], .synchronous_normal = true, .cache_bytes = 1U << 30};
    rng_seed(&rng, 1);
    sets = calloc(UINT32_C(1) << GROUPS, sizeof *sets);
    if (sets == NULL) {
        return EXIT_FAILURE;
    }
    must(store_open(&store, &options, &fault), &fault);
    must(store_exec(store, "BEGIN", &fault), &fault);
    make_catalog();
    make_devices((uint32_t)strtoul(argv[2], NULL, 10));
    must(store_exec(store, "COMMIT", &fault), &fault);
    must(store_exec(store, "PRAGMA wal_checkpoint(TRUNCATE)", &fault), &fault);
    store_close(store);
    free(sets);
    return EXIT_SUCCESS;
}
