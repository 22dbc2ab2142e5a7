/* How long the log of events is, in time and in number, and that what is in it can be resumed. */
#include "world.h"

#include "slipway/app/event.h"
#include "slipway/app/hook.h"
#include "slipway/crypto/secret.h"

static const uint8_t key[SEAL_KEY_BYTES] = {9};

struct bag {
    struct app_publish publish;
    struct app_event_query query;
    struct event_list list;
    uint32_t pruned;
    struct app_hook_edit edit;
    struct app_hook hook;
    uint16_t product_id;
};

static int run_publish(struct app_tx *tx, void *arg) {
    const struct bag *bag = arg;
    return app_event_publish(tx, &bag->publish);
}

static int run_list(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_event_list(tx, &bag->query, &bag->list);
}

static int run_prune(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_event_prune(tx, &bag->pruned);
}

static int run_hook(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_hook_create(tx, bag->product_id, &bag->edit, &bag->hook);
}

static int run_hook_get(struct app_tx *tx, void *arg) {
    struct bag *bag = arg;
    return app_hook_get(tx, bag->product_id, bag->hook.row.uid, &bag->hook);
}

static void publish(struct world *w, int count) {
    struct bag bag = {.publish = {.product_id = w->product.id,
                                  .name = "e",
                                  .data = span_text("d"),
                                  .user = "u",
                                  .ttl_s = 60}};
    for (int i = 0; i < count; i++) {
        assert_int_equal(app_execute(w->app, run_publish, &bag, &w->error), SW_OK);
    }
}

static size_t events(struct world *w, int64_t after, int64_t *first) {
    struct bag bag = {.query = {.after_id = after, .product_id = w->product.id, .max = 1000}};
    assert_int_equal(app_read(w->app, w->store, run_list, &bag, &w->error), SW_OK);
    size_t count = bag.list.count;
    *first = count > 0 ? bag.list.items[0].id : 0;
    free(bag.list.items);
    return count;
}

static uint32_t prune(struct world *w) {
    struct bag bag = {.pruned = 0};
    assert_int_equal(app_execute(w->app, run_prune, &bag, &w->error), SW_OK);
    return bag.pruned;
}

static void the_number_is_bounded(void **state) {
    (void)state;
    const struct app_options options = {.events_max = 20};
    struct world w;
    int64_t first = 0;
    world_open(&w, &options);
    publish(&w, 15);
    assert_int_equal(prune(&w), 0);
    publish(&w, 40);
    assert_int_equal(prune(&w), 35);
    assert_int_equal(events(&w, 0, &first), 20);
    assert_int_equal(first, 36); /* the newest stay */
    /* A client that comes back after what is gone gets what there is. */
    assert_int_equal(events(&w, 3, &first), 20);
    publish(&w, 1);
    assert_int_equal(events(&w, 55, &first), 1);
    assert_int_equal(first, 56); /* an id is never used again */
    world_close(&w);
}

static void the_age_is_bounded(void **state) {
    (void)state;
    const struct app_options options = {.events_age_ms = 10000};
    struct world w;
    int64_t first = 0;
    world_open(&w, &options);
    publish(&w, 5);
    w.now.ms += 6000;
    publish(&w, 7);
    assert_int_equal(prune(&w), 0);
    w.now.ms += 4001;
    assert_int_equal(prune(&w), 5);
    assert_int_equal(events(&w, 0, &first), 7);
    assert_int_equal(first, 6);
    w.now.ms += 6000;
    assert_int_equal(prune(&w), 7);
    publish(&w, 1);
    assert_int_equal(events(&w, 0, &first), 1);
    assert_int_equal(first, 13);
    world_close(&w);
}

/* What waits for a receiver that is down goes with the event: the queue is no second log. */
static void an_event_that_is_gone_waits_for_no_webhook(void **state) {
    (void)state;
    const struct app_options options = {.events_max = 5, .seal_key = key};
    struct world w;
    world_open(&w, &options);
    struct bag bag = {.product_id = w.product.id, .edit = {.event = "e", .url = "http://h/"}};
    assert_int_equal(app_execute(w.app, run_hook, &bag, &w.error), SW_OK);
    publish(&w, 12);
    assert_int_equal(app_read(w.app, w.store, run_hook_get, &bag, &w.error), SW_OK);
    assert_int_equal(bag.hook.row.queued, 12);
    assert_int_equal(prune(&w), 7);
    assert_int_equal(app_read(w.app, w.store, run_hook_get, &bag, &w.error), SW_OK);
    assert_int_equal(bag.hook.row.queued, 5);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_is_bounded),
        cmocka_unit_test(the_age_is_bounded),
        cmocka_unit_test(an_event_that_is_gone_waits_for_no_webhook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
