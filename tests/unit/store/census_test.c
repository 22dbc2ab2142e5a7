/* The counts that triggers keep are what counting gives, whatever happened before; and what readers
 * keep in memory is what the tables hold. */
#include "file.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/util/rng.h"

#include "store/cache.h"
#include "store/migrate.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNTED                                                                                    \
    "SELECT product_id, running_version, coalesce(group_set, 0), coalesce(locked_version, 0), "    \
    "development, denied, count(*) FROM device GROUP BY 1, 2, 3, 4, 5, 6"
#define KEPT                                                                                       \
    "SELECT product_id, running_version, group_set, locked_version, development, denied, "         \
    "device_count FROM census"

static void assert_counts_are_true(struct store *store) {
    static const char *const differences[] = {
        "SELECT count(*) FROM (" COUNTED " EXCEPT " KEPT ")",
        "SELECT count(*) FROM (" KEPT " EXCEPT " COUNTED ")",
        "SELECT count(*) FROM product p WHERE device_count <> "
        "(SELECT count(*) FROM device d WHERE d.product_id = p.id)",
        "SELECT count(*) FROM group_set s WHERE device_count <> "
        "(SELECT count(*) FROM device d WHERE d.group_set = s.id)",
        "SELECT count(*) FROM device_group g WHERE device_count <> "
        "(SELECT count(*) FROM device d JOIN group_set_member m ON m.set_id = d.group_set "
        "WHERE m.group_id = g.id)",
        /* The one that is found by its groups has them, others have them and their own number. */
        "SELECT count(*) FROM group_set s WHERE members NOT IN (SELECT text FROM "
        "(SELECT coalesce(group_concat(group_id), '') AS text FROM (SELECT group_id FROM "
        "group_set_member WHERE set_id = s.id ORDER BY group_id)) "
        "UNION ALL SELECT text || '#' || s.id FROM "
        "(SELECT coalesce(group_concat(group_id), '') AS text FROM (SELECT group_id FROM "
        "group_set_member WHERE set_id = s.id ORDER BY group_id)))",
        "SELECT count(*) FROM group_set WHERE device_count = 0",
        "SELECT count(*) FROM pragma_foreign_key_check",
    };
    for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++) {
        int64_t wrong = value_of(store, differences[i]);
        if (wrong != 0) {
            fail_msg("%" PRId64 " from: %s", wrong, differences[i]);
        }
    }
}

/* --- random histories --- */

enum { DEVICES = 60, GROUPS = 5 };

struct world {
    struct store *store;
    struct rng rng;
    int64_t groups[GROUPS]; /* 0 = deleted */
    uint32_t serial;
};

static struct device_id id_of(uint64_t number) {
    struct device_id id = {{0xe0}};
    id.b[11] = (uint8_t)number;
    return id;
}

static void make_group(struct world *world, size_t index) {
    struct group group = {.product_id = 101, .created_ms = 1};
    (void)snprintf(group.name, sizeof group.name, "g%u", world->serial++);
    assert_int_equal(store_group_insert(world->store, &group, NULL), SW_OK);
    assert_int_equal(store_group_get(world->store, 101, group.name, &group, NULL), SW_OK);
    world->groups[index] = group.id;
}

static void change_group(struct world *world) {
    size_t index = rng_below(&world->rng, GROUPS);
    if (world->groups[index] == 0) {
        make_group(world, index);
    } else if (rng_below(&world->rng, 4) == 0) {
        assert_int_equal(store_group_delete(world->store, world->groups[index], NULL), SW_OK);
        world->groups[index] = 0;
    }
}

static void put_in_groups(struct world *world, const struct device *device) {
    int64_t ids[GROUPS + 2];
    size_t count = 0;
    for (size_t i = 0; i < GROUPS + 2; i++) {
        int64_t id = world->groups[rng_below(&world->rng, GROUPS)];
        if (id != 0 && rng_below(&world->rng, 2) == 0) {
            ids[count++] = id;
        }
    }
    int64_t set_id;
    assert_int_equal(store_group_set_need(world->store, ids, count, &set_id, NULL), SW_OK);
    assert_int_equal(store_device_save_set(world->store, device->num, set_id, 1, NULL), SW_OK);
    const struct group_set *set;
    assert_int_equal(store_group_set_get(world->store, set_id, &set, NULL), SW_OK);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < set->count; k++) {
            found = found || set->groups[k].id == ids[i];
        }
        assert_true(found);
    }
}

static void change_device(struct world *world) {
    struct device_id id = id_of(rng_below(&world->rng, DEVICES));
    struct device device;
    int code = store_device_get(world->store, &id, &device, NULL);
    if (code == SW_E_NOT_FOUND) {
        assert_int_equal(store_device_insert(world->store, &id, 101, 12, 1, NULL), SW_OK);
        return;
    }
    assert_int_equal(code, SW_OK);
    switch (rng_below(&world->rng, 5)) {
    case 0:
        device.running_version = (uint16_t)rng_below(&world->rng, 3);
        assert_int_equal(store_device_save_told(world->store, &device, NULL), SW_OK);
        break;
    case 1:
        device.locked_version = (uint16_t)rng_below(&world->rng, 2);
        device.development = rng_below(&world->rng, 4) == 0;
        device.is_denied = rng_below(&world->rng, 4) == 0;
        assert_int_equal(store_device_save_wishes(world->store, &device, 2, NULL), SW_OK);
        break;
    case 2:
        assert_int_equal(store_device_delete(world->store, device.num, NULL), SW_OK);
        break;
    default:
        put_in_groups(world, &device);
        break;
    }
}

static void make_product(struct store *store) {
    struct product product = {.id = 101, .platform_id = 12, .slug = "p", .name = "P"};
    assert_int_equal(store_product_insert(store, &product, NULL), SW_OK);
}

static void census_is_what_counting_gives(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fault fault;
        struct store_options options = {.path = ":memory:"};
        struct world world = {.serial = 0};
        rng_seed(&world.rng, seed);
        assert_int_equal(store_open(&world.store, &options, &fault), SW_OK);
        make_product(world.store);
        for (size_t i = 0; i < GROUPS; i++) {
            make_group(&world, i);
        }
        for (int step = 0; step < 600; step++) {
            if (rng_below(&world.rng, 25) == 0) {
                change_group(&world);
            } else {
                change_device(&world);
            }
            if (step % 20 == 0) {
                assert_counts_are_true(world.store);
            }
        }
        assert_counts_are_true(world.store);
        store_close(world.store);
    }
}

static void set_is_the_same_in_any_order(void **state) {
    (void)state;
    struct fault fault;
    struct store_options options = {.path = ":memory:"};
    struct world world = {.serial = 0};
    assert_int_equal(store_open(&world.store, &options, &fault), SW_OK);
    make_product(world.store);
    for (size_t i = 0; i < GROUPS; i++) {
        make_group(&world, i);
    }
    int64_t *g = world.groups;
    int64_t a;
    int64_t b;
    int64_t none;
    int64_t up[] = {g[0], g[2], g[4]};
    int64_t down[] = {g[4], g[2], g[0], g[2]};
    assert_int_equal(store_group_set_need(world.store, up, 3, &a, NULL), SW_OK);
    assert_int_equal(store_group_set_need(world.store, down, 4, &b, NULL), SW_OK);
    assert_int_equal(a, b);
    assert_int_equal(store_group_set_need(world.store, NULL, 0, &none, NULL), SW_OK);
    assert_int_equal(none, 0);
    store_close(world.store);
}

/* --- an older file --- */

static void upgrade_keeps_every_membership(void **state) {
    (void)state;
    struct fault fault;
    struct store *old = calloc(1, sizeof *old);
    assert_non_null(old);
    assert_int_equal(sqlite3_open(db_path, &old->db), SQLITE_OK);
    assert_int_equal(store_migrate(old, db_path, store_migrations, 5, 1, &fault), SW_OK);
    must_exec(old, "PRAGMA foreign_keys = ON;"
                   "INSERT INTO product (id, slug, name, platform_id, created_ms, updated_ms) "
                   "VALUES (101, 'p', 'P', 12, 1, 1);"
                   "INSERT INTO device_group (id, product_id, name, created_ms, updated_ms) "
                   "VALUES (3, 101, 'three', 1, 1), (17, 101, 'seventeen', 1, 1), "
                   "(5, 101, 'empty', 1, 1);"
                   "INSERT INTO device (num, id, product_id, running_version, created_ms, "
                   "updated_ms) VALUES (1, zeroblob(12), 101, 4, 1, 1), "
                   "(2, x'010000000000000000000000', 101, 4, 1, 1), "
                   "(3, x'020000000000000000000000', 101, 5, 1, 1);"
                   "INSERT INTO membership VALUES (1, 17), (1, 3), (2, 3), (3, 3), (3, 17)");
    store_close(old);

    struct store *store;
    struct store_options options = {.path = db_path};
    assert_int_equal(store_open(&store, &options, &fault), SW_OK);
    assert_counts_are_true(store);
    assert_int_equal(value_of(store, "SELECT count(*) FROM group_set"), 2);
    assert_int_equal(value_of(store, "SELECT device_count FROM device_group WHERE id = 3"), 3);
    assert_int_equal(value_of(store, "SELECT device_count FROM device_group WHERE id = 17"), 2);
    struct device device;
    const struct group_set *set;
    assert_int_equal(store_device_by_num(store, 1, &device, NULL), SW_OK);
    assert_int_equal(store_group_set_get(store, device.group_set, &set, NULL), SW_OK);
    assert_int_equal(set->count, 2);
    assert_string_equal(set->groups[0].name, "seventeen");
    assert_string_equal(set->groups[1].name, "three");
    store_close(store);
}

/* --- what readers keep --- */

static void reader_sees_changes_of_what_it_keeps(void **state) {
    (void)state;
    struct fault fault;
    struct store *writer;
    struct store *reader;
    struct store_options options = {.path = db_path};
    assert_int_equal(store_open(&writer, &options, &fault), SW_OK);
    options.is_reader = true;
    assert_int_equal(store_open(&reader, &options, &fault), SW_OK);
    struct world world = {.store = writer};
    make_product(writer);
    make_group(&world, 0);
    struct store_user user = {
        .user = {.name = "bot", .is_api = true, .product_id = 101, .scopes = "a"}};
    assert_int_equal(store_user_insert(writer, &user, NULL), SW_OK);
    struct store_token token = {.token = {.user_id = user.user.id}, .hash = {{7}}};
    assert_int_equal(store_token_insert(writer, &token, NULL), SW_OK);
    int64_t set_id;
    assert_int_equal(store_group_set_need(writer, world.groups, 1, &set_id, NULL), SW_OK);

    for (int round = 0; round < 4; round++) {
        struct product product;
        struct store_token seen;
        struct user owner;
        const struct group_set *set;
        for (int again = 0; again < 2; again++) { /* from the tables, then from memory */
            assert_int_equal(store_view_begin(reader, NULL), SW_OK);
            assert_int_equal(store_product_get(reader, 101, &product, NULL), SW_OK);
            assert_string_equal(product.name, round < 1 ? "P" : "Q");
            assert_int_equal(store_product_by_slug(reader, "p", &product, NULL), SW_OK);
            assert_string_equal(product.name, round < 1 ? "P" : "Q");
            assert_int_equal(store_group_set_get(reader, set_id, &set, NULL), SW_OK);
            assert_int_equal(set->count, 1);
            assert_string_equal(set->groups[0].name, round < 2 ? "g0" : "renamed");
            assert_int_equal(store_token_owner(reader, &token.hash, &seen, &owner, NULL),
                             round < 3 ? SW_OK : SW_E_NOT_FOUND);
            if (round < 3) {
                assert_string_equal(owner.scopes, round < 2 ? "a" : "b");
            }
            store_view_end(reader);
        }
        if (round == 0) {
            must_exec(writer, "UPDATE product SET name = 'Q'");
        } else if (round == 1) {
            must_exec(writer, "UPDATE device_group SET name = 'renamed'");
            must_exec(writer, "UPDATE user SET scopes = 'b'");
        } else if (round == 2) {
            assert_int_equal(store_token_delete(writer, &token, NULL), SW_OK);
        }
    }
    const struct group_set *set;
    assert_int_equal(store_group_delete(writer, world.groups[0], NULL), SW_OK);
    assert_int_equal(store_view_begin(reader, NULL), SW_OK);
    assert_int_equal(store_group_set_get(reader, set_id, &set, NULL), SW_OK);
    assert_int_equal(set->count, 0);
    store_view_end(reader);
    store_close(reader);
    store_close(writer);
}

/* How many of a group's devices a page of it has, found by walking the product. */
static size_t members_on_page(struct store *reader, const int64_t *groups, size_t count) {
    struct store_device_filter filter = {.product_id = 101,
                                         .groups = groups,
                                         .group_count = count,
                                         .group_devices = DEVICES,
                                         .product_devices = DEVICES,
                                         .ascending = true,
                                         .max = DEVICES};
    struct device *items = NULL;
    size_t found = 0;
    assert_int_equal(store_view_begin(reader, NULL), SW_OK);
    assert_int_equal(store_device_list(reader, &filter, &items, &found, NULL), SW_OK);
    store_view_end(reader);
    free(items);
    return found;
}

/* A reader keeps which sets hold a group: new ones are found, and those that lost it are not. */
static void reader_finds_devices_in_new_sets(void **state) {
    (void)state;
    struct fault fault;
    struct store *reader;
    struct world world = {.serial = 0};
    struct store_options options = {.path = db_path};
    assert_int_equal(store_open(&world.store, &options, &fault), SW_OK);
    options.is_reader = true;
    assert_int_equal(store_open(&reader, &options, &fault), SW_OK);
    make_product(world.store);
    for (size_t i = 0; i < GROUPS; i++) {
        make_group(&world, i);
    }
    assert_int_equal(members_on_page(reader, world.groups, 1), 0);
    for (unsigned bits = 1; bits < 1U << GROUPS; bits++) {
        struct device_id id = id_of(bits);
        struct device device;
        int64_t ids[GROUPS];
        int64_t set_id;
        size_t count = 0;
        for (size_t i = 0; i < GROUPS; i++) {
            if ((bits & 1U << i) != 0) {
                ids[count++] = world.groups[i];
            }
        }
        assert_int_equal(store_device_insert(world.store, &id, 101, 32, 1, NULL), SW_OK);
        assert_int_equal(store_device_get(world.store, &id, &device, NULL), SW_OK);
        assert_int_equal(store_group_set_need(world.store, ids, count, &set_id, NULL), SW_OK);
        assert_int_equal(store_device_save_set(world.store, device.num, set_id, 1, NULL), SW_OK);
        assert_int_equal(members_on_page(reader, world.groups, 1), (bits + 1) / 2);
    }
    assert_int_equal(members_on_page(reader, world.groups + 1, 1), 1U << (GROUPS - 1));
    assert_int_equal(members_on_page(reader, world.groups, 2), 3U << (GROUPS - 2));
    assert_int_equal(store_group_delete(world.store, world.groups[0], NULL), SW_OK);
    assert_int_equal(members_on_page(reader, world.groups, 1), 0);
    assert_int_equal(members_on_page(reader, world.groups, 2), 1U << (GROUPS - 1));
    store_close(reader);
    store_close(world.store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(census_is_what_counting_gives),
        cmocka_unit_test(set_is_the_same_in_any_order),
        cmocka_unit_test_setup_teardown(upgrade_keeps_every_membership, file_set_up,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(reader_sees_changes_of_what_it_keeps, file_set_up,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(reader_finds_devices_in_new_sets, file_set_up,
                                        scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
