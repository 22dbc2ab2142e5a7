#include "world.h"

#include "slipway/image/image.h"
#include "slipway/util/hex.h"

#define SYSTEM_VERSION 5000

static wall_time world_now(void *arg) {
    return ((struct world *)arg)->now;
}

static void world_entropy(void *arg, void *out, size_t len) {
    rng_fill(&((struct world *)arg)->rng, out, len);
}

static void world_notice(void *arg, const struct app_notice *notice) {
    struct world *w = (struct world *)arg;
    if (w->notice_count < sizeof w->notices / sizeof w->notices[0]) {
        w->notices[w->notice_count++] = *notice;
    }
}

void world_reopen(struct world *w, const struct app_options *options) {
    struct app_options all = {.path = ":memory:"};
    if (options != NULL) {
        all = *options;
        all.path = options->path != NULL ? options->path : ":memory:";
    }
    all.now = world_now;
    all.entropy = world_entropy;
    all.world_arg = w;
    all.notice = world_notice;
    all.notice_arg = w;
    struct fault fault = {.code = SW_OK};
    if (app_open(&w->app, &all, &fault) != SW_OK) {
        fail_msg("%s", fault.text);
    }
    assert_int_equal(app_reader_open(w->app, &w->store, &fault), SW_OK);
}

static int run_product(struct app_tx *tx, void *arg) {
    struct world *w = (struct world *)arg;
    struct app_product_new request = {
        .name = "Test product", .platform_id = PLATFORM_BORON, .quarantine = true};
    return app_product_create(tx, &request, &w->product);
}

void world_open(struct world *w, const struct app_options *options) {
    memset(w, 0, sizeof *w);
    w->now.ms = 1700000000000;
    rng_seed(&w->rng, 7);
    world_reopen(w, options);
    assert_int_equal(app_execute(w->app, run_product, w, &w->error), SW_OK);
}

void world_close(struct world *w) {
    app_reader_close(w->app, w->store);
    app_close(w->app);
    w->app = NULL;
}

struct world world;

int world_fresh(void **state) {
    (void)state;
    world_open(&world, NULL);
    return 0;
}

int world_done(void **state) {
    (void)state;
    world_close(&world);
    return 0;
}

/* One bag of arguments for all the wrappers below. */
struct bag {
    const void *in;
    const void *in2;
    void *out;
    int64_t number;
    int64_t number2;
    uint16_t product;
};

static int run(struct world *w, app_run_fn *fn, struct bag *bag) {
    bag->product = w->product.id;
    return app_execute(w->app, fn, bag, &w->error);
}

static int read_now(struct world *w, app_run_fn *fn, struct bag *bag) {
    bag->product = w->product.id;
    return app_read(w->app, w->store, fn, bag, &w->error);
}

/* --- files --- */

struct span world_module(uint16_t version, uint16_t needs_system) {
    static const uint8_t body[600] = {1, 2, 3};
    struct image_recipe recipe = {.platform_id = PLATFORM_BORON,
                                  .function = MODULE_USER_PART,
                                  .index = 1,
                                  .module_version = 6,
                                  .product_id = PLATFORM_BORON,
                                  .product_version = version,
                                  .body = span_of(body, sizeof body)};
    if (needs_system != 0) {
        recipe.dependencies[0] = (struct module_dependency){
            .function = MODULE_SYSTEM_PART, .index = 1, .version = needs_system};
    }
    size_t cap = sizeof body + image_overhead(&recipe);
    uint8_t *bytes = malloc(cap);
    assert_non_null(bytes);
    int len = image_write_module(&recipe, bytes, cap);
    assert_true(len > 0);
    return span_of(bytes, (size_t)len);
}

static void free_span(struct span bytes) {
    free((void *)(uintptr_t)bytes.data);
}

struct upload_bag {
    struct app_upload *upload;
    struct app_file file;
    struct firmware *out;
};

static int run_upload_check(struct app_tx *tx, void *arg) {
    struct upload_bag *bag = (struct upload_bag *)arg;
    return app_upload_check(tx, bag->upload, &bag->file);
}

static int run_upload(struct app_tx *tx, void *arg) {
    struct upload_bag *bag = (struct upload_bag *)arg;
    return app_upload(tx, bag->upload, &bag->file, bag->out);
}

int world_upload_bytes(struct world *w, struct app_upload *upload, struct firmware *out) {
    upload->product_id = w->product.id;
    struct upload_bag bag = {.upload = upload, .out = out};
    int code = app_read(w->app, w->store, run_upload_check, &bag, &w->error);
    if (code == SW_OK) {
        code = app_execute(w->app, run_upload, &bag, &w->error);
    }
    app_file_close(&bag.file);
    return code;
}

int world_upload(struct world *w, uint16_t version, uint16_t needs_system) {
    struct firmware firmware;
    struct app_upload upload = {.version = version,
                                .title = "a title",
                                .file_name = "/tmp/some/app.bin",
                                .bytes = world_module(version, needs_system),
                                .uploaded_by = "tester"};
    int code = world_upload_bytes(w, &upload, &firmware);
    free_span(upload.bytes);
    return code;
}

static int run_system(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    struct image_record image;
    struct app_system_upload upload = {.name = "9.9.9", .bytes = *(const struct span *)bag->in};
    return app_system_upload(tx, &upload, &image);
}

int world_system(struct world *w, uint16_t system_version) {
    static const uint8_t body[900] = {9};
    uint8_t bytes[4096];
    struct image_recipe recipe = {.platform_id = PLATFORM_BORON,
                                  .function = MODULE_SYSTEM_PART,
                                  .index = 1,
                                  .module_version = system_version,
                                  .body = span_of(body, sizeof body)};
    int len = image_write_module(&recipe, bytes, sizeof bytes);
    assert_true(len > 0);
    struct span file = span_of(bytes, (size_t)len);
    struct bag bag = {.in = &file};
    return run(w, run_system, &bag);
}

/* --- operators --- */

static int run_release(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    struct app_release request = *(const struct app_release *)bag->in;
    request.product_id = bag->product;
    return app_release(tx, &request, (struct app_release_result *)bag->out);
}

int world_release(struct world *w, const struct app_release *request,
                  struct app_release_result *out) {
    struct app_release_result ignored;
    struct bag bag = {.in = request, .out = out != NULL ? out : &ignored};
    return run(w, run_release, &bag);
}

int world_release_default(struct world *w, uint16_t version, bool immediate) {
    struct app_release request = {
        .version = version, .product_default = APP_TRUE, .immediate = immediate, .by = "tester"};
    return world_release(w, &request, NULL);
}

int world_release_group(struct world *w, uint16_t version, const char *group, bool immediate) {
    struct app_release request = {.version = version,
                                  .has_groups = true,
                                  .groups = &group,
                                  .group_count = 1,
                                  .immediate = immediate,
                                  .by = "tester"};
    return world_release(w, &request, NULL);
}

static int run_group(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    struct group group;
    struct app_group_edit fields = {.name = (const char *)bag->in};
    return app_group_create(tx, bag->product, &fields, &group);
}

int world_group(struct world *w, const char *name) {
    struct bag bag = {.in = name};
    return run(w, run_group, &bag);
}

static int run_import(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    struct span text = span_text((const char *)bag->in);
    return app_device_import(tx, bag->product, &text, 1, (struct app_import_result *)bag->out);
}

int world_import(struct world *w, const char *id, struct app_import_result *out) {
    struct app_import_result result;
    struct bag bag = {.in = id, .out = out != NULL ? out : &result};
    int code = run(w, run_import, &bag);
    if (code == SW_OK && out == NULL) {
        app_import_result_free(&result);
    }
    return code;
}

static int run_edit(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_edit(tx, bag->product, (const struct device_id *)bag->in,
                           (const struct app_device_edit *)bag->in2, (struct device *)bag->out);
}

int world_edit(struct world *w, const struct device_id *id, const struct app_device_edit *edit,
               struct device *out) {
    struct device ignored;
    struct bag bag = {.in = id, .in2 = edit, .out = out != NULL ? out : &ignored};
    return run(w, run_edit, &bag);
}

static int run_flash(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_flash(tx, (const struct app_flash *)bag->in, (struct update *)bag->out);
}

int world_flash(struct world *w, const struct app_flash *flash, struct update *out) {
    struct bag bag = {.in = flash, .out = out};
    return run(w, run_flash, &bag);
}

static int run_remove(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_remove(tx, bag->product, (const struct device_id *)bag->in);
}

int world_remove(struct world *w, const struct device_id *id) {
    struct bag bag = {.in = id};
    return run(w, run_remove, &bag);
}

/* --- devices --- */

struct device_id world_id(unsigned n) {
    struct device_id id = {.b = {0xE0, 0x0F, 0xCE, 0x68}};
    id.b[10] = (uint8_t)(n >> 8);
    id.b[11] = (uint8_t)n;
    return id;
}

const char *world_id_text(unsigned n) {
    static char text[DEVICE_ID_DIGITS + 1];
    struct device_id id = world_id(n);
    device_id_text(&id, text);
    return text;
}

struct app_hello world_hello_of(unsigned n, uint16_t version) {
    struct app_hello hello = {.id = world_id(n),
                              .product_id = PLATFORM_BORON,
                              .product_version = version == 0 ? VERSION_NONE : version,
                              .flags = 0xF6,
                              .platform_id = PLATFORM_BORON,
                              .system_version = SYSTEM_VERSION,
                              .message_max = 1152,
                              .binary_max = 1536000,
                              .chunk_bytes = 512,
                              .address = "192.0.2.1"};
    hello.proof.kind = APP_PROOF_RAW_KEY;
    hello.proof.u.key.b[0] = 4;
    hello.proof.u.key.b[1] = (uint8_t)n;
    return hello;
}

const char *world_describe_of(struct world *w, uint16_t system_version, uint16_t version,
                              bool unmet) {
    static char json[1024];
    char hash[2 * SHA256_BYTES + 1];
    struct firmware firmware;
    memset(&firmware, 0, sizeof firmware);
    if (version != 0) {
        world_firmware(w, version, &firmware);
    }
    hex_encode(span_of(firmware.image.module_hash.b, SHA256_BYTES), hash, sizeof hash);
    (void)snprintf(json, sizeof json,
                   "{\"p\":13,\"m\":[{\"s\":671744,\"l\":\"m\",\"vc\":30,\"vv\":30,\"f\":\"s\","
                   "\"n\":\"1\",\"v\":%u,\"d\":[]},{\"s\":262144,\"l\":\"m\",\"vc\":30,\"vv\":%u,"
                   "\"u\":\"%s\",\"f\":\"u\",\"n\":\"1\",\"v\":6,\"d\":[]}]}",
                   (unsigned)system_version, unmet ? 26U : 30U, hash);
    return json;
}

static int run_hello(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_hello(tx, (const struct app_hello *)bag->in, (struct app_plan *)bag->out);
}

int world_hello(struct world *w, const struct app_hello *hello, struct app_plan *plan) {
    struct bag bag = {.in = hello, .out = plan};
    return run(w, run_hello, &bag);
}

static int run_resumed(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_resumed(tx, (const struct device_id *)bag->in, NULL, "192.0.2.9", false,
                              (struct app_plan *)bag->out);
}

int world_resumed(struct world *w, const struct device_id *id, struct app_plan *plan) {
    struct bag bag = {.in = id, .out = plan};
    return run(w, run_resumed, &bag);
}

static int run_describe(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_describe(tx, (const struct device_id *)bag->in, 1, 0xFFFF,
                               span_text((const char *)bag->in2), (struct app_plan *)bag->out);
}

int world_describe(struct world *w, const struct device_id *id, const char *json,
                   struct app_plan *plan) {
    struct bag bag = {.in = id, .in2 = json, .out = plan};
    return run(w, run_describe, &bag);
}

static int run_described(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_describe(tx, (const struct device_id *)bag->in, 1, 42,
                               *(const struct span *)bag->in2, (struct app_plan *)bag->out);
}

int world_described(struct world *w, const struct device_id *id, struct span bytes,
                    struct app_plan *plan) {
    struct bag bag = {.in = id, .in2 = &bytes, .out = plan};
    return run(w, run_described, &bag);
}

static int run_updates(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_updates(tx, (const struct device_id *)bag->in, bag->number != 0,
                              bag->number2 != 0, (struct app_plan *)bag->out);
}

int world_updates(struct world *w, const struct device_id *id, bool forced, bool value,
                  struct app_plan *plan) {
    struct bag bag = {.in = id, .number = forced, .number2 = value, .out = plan};
    return run(w, run_updates, &bag);
}

static int run_plan(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_plan(tx, (const struct device_id *)bag->in, (enum update_cause)bag->number,
                           (struct app_plan *)bag->out);
}

int world_plan(struct world *w, const struct device_id *id, enum update_cause cause,
               struct app_plan *plan) {
    struct bag bag = {.in = id, .number = cause, .out = plan};
    return run(w, run_plan, &bag);
}

static int run_move(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_update_move(tx, (const struct app_move *)bag->in);
}

int world_move(struct world *w, int64_t id, enum update_state from, enum update_state to) {
    struct app_move move = {.update_id = id, .from = from, .to = to};
    struct bag bag = {.in = &move};
    return run(w, run_move, &bag);
}

void world_transfer(struct world *w, int64_t id) {
    for (int state = UPDATE_PLANNED; state != UPDATE_REBOOTING;) {
        int next = state == UPDATE_PLANNED ? UPDATE_OFFERED : state + 1;
        assert_int_equal(world_move(w, id, (enum update_state)state, (enum update_state)next),
                         SW_OK);
        state = next;
    }
}

static int run_ended(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_update_ended(tx, *(const int64_t *)bag->in, (enum ota_failure)bag->number,
                            (int32_t)bag->number2, 100, (struct app_plan *)bag->out);
}

int world_ended(struct world *w, int64_t id, enum ota_failure failure, int32_t error,
                struct app_plan *plan) {
    struct bag bag = {.in = &id, .number = failure, .number2 = error, .out = plan};
    return run(w, run_ended, &bag);
}

/* --- reads --- */

static int run_device(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_get(tx, 0, (const struct device_id *)bag->in, (struct device *)bag->out);
}

void world_device(struct world *w, const struct device_id *id, struct device *out) {
    struct bag bag = {.in = id, .out = out};
    assert_int_equal(read_now(w, run_device, &bag), SW_OK);
}

static int run_assets(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_device_assets(tx, (const struct device *)bag->in, (struct app_asset_list *)bag->out);
}

void world_assets(struct world *w, const struct device *device, struct app_asset_list *out) {
    struct bag bag = {.in = device, .out = out};
    assert_int_equal(read_now(w, run_assets, &bag), SW_OK);
}

static int run_decision(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_decision(tx, (const struct device_id *)bag->in, (struct app_decision *)bag->out);
}

void world_decision(struct world *w, const struct device_id *id, struct app_decision *out) {
    struct bag bag = {.in = id, .out = out};
    assert_int_equal(read_now(w, run_decision, &bag), SW_OK);
}

static int run_firmware(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_firmware_get(tx, bag->product, bag->number, (struct firmware *)bag->out);
}

void world_firmware(struct world *w, uint16_t version, struct firmware *out) {
    struct bag bag = {.number = version, .out = out};
    assert_int_equal(read_now(w, run_firmware, &bag), SW_OK);
}

static int run_update(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    return app_update_get(tx, bag->number, (struct update *)bag->out);
}

void world_update(struct world *w, int64_t id, struct update *out) {
    struct bag bag = {.number = id, .out = out};
    assert_int_equal(read_now(w, run_update, &bag), SW_OK);
}

static int run_events(struct app_tx *tx, void *arg) {
    struct bag *bag = (struct bag *)arg;
    struct app_event_query query = {.after_id = bag->number, .max = 1000};
    return app_event_list(tx, &query, (struct event_list *)bag->out);
}

bool world_has_event(struct world *w, int64_t *cursor, const char *name, const char *data) {
    struct event_list list;
    struct bag bag = {.number = *cursor, .out = &list};
    assert_int_equal(read_now(w, run_events, &bag), SW_OK);
    bool found = false;
    for (size_t i = 0; i < list.count && !found; i++) {
        if (strcmp(list.items[i].name, name) == 0 &&
            (data == NULL || strcmp(list.items[i].data, data) == 0)) {
            *cursor = list.items[i].id;
            found = true;
        }
    }
    free(list.items);
    return found;
}
