#include "gateway_udp/server.h"

#include "gateway/gateway.h"

#include "slipway/app/fleet.h"
#include "slipway/app/product.h"
#include "slipway/app/release.h"
#include "slipway/image/image.h"
#include "slipway/store/fleet.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define IMPORT_MAX    10000 /* ids in one request, as the REST door has it */
#define SAVES         1000  /* sessions in one transaction */
#define SOCKET_BUF    (4U * 1024 * 1024)
#define READY_MS      60000
#define CONFINED_NICE 5

void device_of(uint32_t number, struct device_id *out) {
    const uint8_t id[DEVICE_ID_BYTES] = {0xe0,
                                         0x0f,
                                         0xce,
                                         0x68,
                                         0,
                                         0,
                                         0,
                                         0,
                                         (uint8_t)(number >> 24),
                                         (uint8_t)(number >> 16),
                                         (uint8_t)(number >> 8),
                                         (uint8_t)number};
    memcpy(out->b, id, sizeof id);
}

uint32_t device_ip(uint32_t number) {
    return UINT32_C(0x7f000100) + number;
}

void device_session(uint32_t number, bool is_server, struct dtls_session *out) {
    struct rng rng;
    uint8_t keys[2][20];
    unsigned in = is_server ? 0 : 1;
    rng_seed(&rng, number);
    rng_fill(&rng, keys, sizeof keys);
    *out = (struct dtls_session){.seq_out = 1,
                                 .seq_out_limit = is_server ? 1 : DTLS_SEQUENCE_MAX,
                                 .seq_in_top = 1,
                                 .seq_in_window = 1,
                                 .seq_in_limit = is_server ? 1 : DTLS_SEQUENCE_MAX,
                                 .cid_form = DTLS_CID_DRAFT05,
                                 .is_server = is_server,
                                 .suite = 0xc0ae,
                                 .epoch = 1};
    memcpy(out->key_in, keys[in], 16);
    memcpy(out->salt_in, keys[in] + 16, 4);
    memcpy(out->key_out, keys[1 - in], 16);
    memcpy(out->salt_out, keys[1 - in] + 16, 4);
    uint8_t *cid = is_server ? out->cid_in : out->cid_out;
    rng_fill(&rng, cid, DTLS_CID_BYTES);
    *(is_server ? &out->cid_in_len : &out->cid_out_len) = DTLS_CID_BYTES;
}

/* --- what is in the database beforehand --- */

struct part {
    struct server *server;
    const uint8_t *seal_key;
    uint32_t from, count;
};

static int run_product(struct app_tx *tx, void *arg) {
    struct server *server = arg;
    struct product product;
    const struct app_product_new request = {.name = "Bench", .platform_id = SERVER_PLATFORM};
    int code = app_product_create(tx, &request, &product);
    server->product = product.id;
    return code;
}

static int run_import(struct app_tx *tx, void *arg) {
    const struct part *part = arg;
    static char texts[IMPORT_MAX][DEVICE_ID_DIGITS + 1];
    static struct span spans[IMPORT_MAX];
    struct app_import_result result;
    for (uint32_t n = 0; n < part->count; n++) {
        struct device_id id;
        device_of(part->from + n, &id);
        device_id_text(&id, texts[n]);
        spans[n] = span_text(texts[n]);
    }
    int code = app_device_import(tx, part->server->product, spans, part->count, &result);
    if (code == SW_OK) {
        app_import_result_free(&result);
    }
    return code;
}

/* As the gateway itself stores a session at a clean stop. Its devices all have the same key. */
static int save_one(struct app_tx *tx, const struct part *part, uint32_t number) {
    const struct p256_point *key = crypto_key_point(part->server->key);
    uint8_t plain[SEALED_MAX], sealed[SEALED_MAX], nonce[SEAL_NONCE_BYTES];
    const struct address peer = {.ip = {[10] = 0xff, [11] = 0xff}, .port = 1};
    struct dtls_session dtls;
    struct session session;
    device_session(number, true, &dtls);
    session_init(&session, &dtls, &peer, (mono_time){.us = 0});
    device_of(number, &session.device);
    session.hello_flags = 0xf6;
    session.is_known = true;
    session.is_trusted = true;
    struct writer w = writer_of(plain, sizeof plain);
    writer_u8(&w, KEEP_FORM);
    writer_u8(&w, 0);
    writer_u8(&w, APP_PROOF_RAW_KEY);
    writer_bytes(&w, span_of(key->b, sizeof key->b));
    int code = session_encode(&session, NULL, &w);
    if (code == SW_OK) {
        code = store_key_set(tx->store, &session.device, key, true, tx->now.ms, tx->fault);
    }
    if (code != SW_OK) {
        return code;
    }
    sys_entropy(nonce, sizeof nonce);
    int len = crypto_seal(part->seal_key, nonce, span_of(dtls.cid_in, DTLS_CID_BYTES),
                          writer_span(&w), sealed, sizeof sealed);
    return len < 0 ? len
                   : app_session_save(tx, dtls.cid_in, &session.device,
                                      span_of(sealed, w.at + SEAL_OVERHEAD));
}

static int run_save(struct app_tx *tx, void *arg) {
    const struct part *part = arg;
    int code = SW_OK;
    for (uint32_t n = 0; n < part->count && code == SW_OK; n++) {
        code = save_one(tx, part, part->from + n);
    }
    return code;
}

static int run_psk(struct app_tx *tx, void *arg) {
    const struct server *server = arg;
    struct device_id id;
    device_of(SERVER_PSK_DEVICE, &id);
    return app_device_psk_set(tx, server->product, &id, span_text(SERVER_PSK));
}

static void execute(struct server *server, app_run_fn *run, void *arg) {
    struct app_error error;
    int code = app_execute(server->app, run, arg, &error);
    if (code != SW_OK) {
        (void)fprintf(stderr, "%s: %s\n", error.word, error.description);
    }
    SW_CHECK(code == SW_OK);
}

static void execute_parts(struct server *server, app_run_fn *run, const uint8_t *seal_key,
                          uint32_t count, uint32_t step) {
    for (uint32_t at = 0; at < count; at += step) {
        struct part part = {.server = server,
                            .seal_key = seal_key,
                            .from = at,
                            .count = count - at < step ? count - at : step};
        execute(server, run, &part);
    }
}

/* --- the server --- */

/* The newest thread of that name. */
static int find_thread(const char *name) {
    char path[64], text[32];
    int found = 0;
    DIR *folder = opendir("/proc/self/task");
    SW_CHECK(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int number = (int)strtol(entry->d_name, NULL, 10);
        (void)snprintf(path, sizeof path, "/proc/self/task/%d/comm", number);
        FILE *file = number > found ? fopen(path, "r") : NULL;
        if (file != NULL) {
            if (fgets(text, sizeof text, file) != NULL && strncmp(text, name, strlen(name)) == 0) {
                found = number;
            }
            (void)fclose(file);
        }
    }
    (void)closedir(folder);
    SW_CHECK(found != 0);
    return found;
}

/* A thread's own CPU clock by its number: see clock_getcpuclockid in the kernel's headers. */
int64_t server_cpu_ns(const struct server *server) {
    struct timespec t;
    clockid_t clock = (clockid_t)(~(unsigned)server->thread << 3 | 6U);
    SW_CHECK(clock_gettime(clock, &t) == 0);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void await_ready(struct server *server, uint32_t sessions) {
    const struct timespec pause = {.tv_nsec = 10000000};
    struct loop_report report = {0};
    for (unsigned n = 0; n < READY_MS / 10 && !report.is_ready; n++) {
        (void)nanosleep(&pause, NULL);
        loop_report(server->loop, &report);
    }
    SW_CHECK(report.is_ready && report.sizes.sessions == sessions);
}

/* On the writer's thread, which may be quicker than the loop's start. */
static void server_notice(void *arg, const struct app_notice *notice) {
    struct server *server = arg;
    struct loop *loop = atomic_load(&server->listener);
    if (loop != NULL) {
        loop_notice(loop, notice);
    }
}

void server_open(struct server *server, const struct server_setup *setup) {
    char path[96];
    struct fault fault = {0};
    *server = (struct server){.folder = "/tmp/bench_gateway_XXXXXX"};
    SW_CHECK(mkdtemp(server->folder) != NULL);
    sys_entropy(server->seal_key, sizeof server->seal_key);
    (void)snprintf(path, sizeof path, "%s/bench.db", server->folder);
    const struct app_options options = {.path = path,
                                        .is_threaded = true,
                                        .synchronous_normal = true,
                                        .seal_key = server->seal_key,
                                        .notice = server_notice,
                                        .notice_arg = server};
    SW_CHECK(app_open(&server->app, &options, &fault) == SW_OK);
    server->key = crypto_key_generate();
    SW_CHECK(server->key != NULL);
    struct loop_options door = {
        .host = "::",
        .app = server->app,
        .receive_buffer = SOCKET_BUF,
        .send_buffer = SOCKET_BUF,
        .without_segments = setup->without_segments,
        .gateway = {.key = server->key, .accepts_psk = true, .transfers_max = setup->transfers_max},
    };
    memcpy(door.gateway.seal_key, server->seal_key, sizeof server->seal_key);
    execute(server, run_product, server);
    execute_parts(server, run_import, NULL, setup->devices, IMPORT_MAX);
    execute(server, run_import,
            &(struct part){.server = server, .from = SERVER_PSK_DEVICE, .count = 1});
    execute(server, run_psk, server);
    execute_parts(server, run_save, door.gateway.seal_key, setup->sessions, SAVES);
    SW_CHECK(loop_open(&server->loop, &door, &fault) == SW_OK);
    atomic_store(&server->listener, server->loop);
    server->port = loop_port(server->loop);
    server->thread = find_thread("devices");
    await_ready(server, setup->sessions);
}

static void *rival_run(void *arg) {
    struct server *server = arg;
    while (!atomic_load(&server->is_closing)) {
    }
    return NULL;
}

void server_confine(struct server *server) {
    cpu_set_t last;
    CPU_ZERO(&last);
    CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &last);
    SW_CHECK(setpriority(PRIO_PROCESS, (id_t)server->thread, CONFINED_NICE) == 0);
    SW_CHECK(sched_setaffinity(server->thread, sizeof last, &last) == 0);
    SW_CHECK(pthread_create(&server->rival, NULL, rival_run, server) == 0);
    SW_CHECK(pthread_setaffinity_np(server->rival, sizeof last, &last) == 0);
    atomic_store(&server->has_rival, true);
}

void server_close(struct server *server) {
    char path[96];
    atomic_store(&server->is_closing, true);
    if (atomic_load(&server->has_rival)) {
        (void)pthread_join(server->rival, NULL);
    }
    loop_stop(server->loop);
    app_close(server->app);
    loop_free(server->loop);
    crypto_key_free(server->key);
    free(server->image);
    static const char *const names[] = {"bench.db", "bench.db-wal", "bench.db-shm",
                                        "bench.db.lock"};
    for (size_t n = 0; n < SW_COUNT(names); n++) {
        (void)snprintf(path, sizeof path, "%s/%s", server->folder, names[n]);
        (void)unlink(path);
    }
    (void)rmdir(server->folder);
}

/* --- firmware --- */

struct upload {
    struct server *server;
    uint16_t version;
};

static int run_upload(struct app_tx *tx, void *arg) {
    const struct upload *upload = arg;
    const struct app_upload request = {
        .product_id = upload->server->product,
        .version = upload->version,
        .title = "bench",
        .uploaded_by = "bench",
        .bytes = span_of(upload->server->image, upload->server->image_len)};
    struct app_file file;
    struct firmware firmware;
    int code = app_upload_check(tx, &request, &file);
    return code == SW_OK ? app_upload(tx, &request, &file, &firmware) : code;
}

static int run_release(struct app_tx *tx, void *arg) {
    const struct upload *upload = arg;
    const struct app_release request = {.product_id = upload->server->product,
                                        .version = upload->version,
                                        .product_default = APP_TRUE,
                                        .immediate = true,
                                        .by = "bench"};
    struct app_release_result result;
    return app_release(tx, &request, &result);
}

void server_release(struct server *server, uint16_t version, size_t bytes) {
    struct rng rng;
    uint8_t *body = malloc(bytes);
    SW_CHECK(body != NULL);
    rng_seed(&rng, version);
    rng_fill(&rng, body, bytes);
    const struct image_recipe recipe = {.function = MODULE_USER_PART,
                                        .index = 2,
                                        .module_version = 6,
                                        .platform_id = SERVER_PLATFORM,
                                        .product_id = SERVER_PLATFORM,
                                        .product_version = version,
                                        .body = span_of(body, bytes)};
    free(server->image);
    server->image_len = image_overhead(&recipe) + bytes;
    server->image = malloc(server->image_len);
    SW_CHECK(server->image != NULL);
    SW_CHECK(image_write_module(&recipe, server->image, server->image_len) ==
             (int)server->image_len);
    free(body);
    struct upload upload = {.server = server, .version = version};
    execute(server, run_upload, &upload);
    execute(server, run_release, &upload);
}
