/* What a group of jobs leaves behind: all of it, all but those that failed, or nothing. */
#include "file.h"

#include "slipway/store/catalog.h"
#include "slipway/store/writer.h"
#include "slipway/sys/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct probe {
    struct store_job job;
    uint16_t id;
    int result; /* what run returns */
    int runs;
    bool done;
    int code;
    struct latch *latch;
};

static int probe_run(struct store_job *job, struct store *store, struct fault *fault) {
    struct probe *probe = (struct probe *)job;
    probe->runs++;
    struct product product = {.id = probe->id, .platform_id = 13, .created_ms = 1};
    (void)snprintf(product.name, sizeof product.name, "product %u", (unsigned)probe->id);
    (void)snprintf(product.slug, sizeof product.slug, "product-%u", (unsigned)probe->id);
    int code = store_product_insert(store, &product, fault);
    return code != SW_OK ? code : probe->result;
}

static void probe_done(struct store_job *job, int code, const struct fault *fault) {
    struct probe *probe = (struct probe *)job;
    (void)fault;
    assert_false(probe->done);
    probe->done = true;
    probe->code = code;
    if (probe->latch != NULL) {
        latch_signal(probe->latch);
    }
}

static struct probe probe_of(uint16_t id) {
    return (struct probe){.job = {.run = probe_run, .done = probe_done}, .id = id};
}

static void link_jobs(struct probe *probes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        probes[i].job.mail.next = i + 1 < count ? &probes[i + 1].job.mail : NULL;
    }
}

static bool has_product(struct store *store, uint16_t id) {
    struct product product;
    return store_product_get(store, id, &product, NULL) == SW_OK;
}

static void failing_job_undoes_only_itself(void **state) {
    (void)state;
    struct store *store = must_open();
    struct probe probes[4] = {probe_of(101), probe_of(102), probe_of(101), probe_of(104)};
    probes[1].result = SW_E_DENIED; /* changes its mind after it wrote */
    link_jobs(probes, 4);
    store_run_group(store, &probes[0].job, STORE_TROUBLE_NONE);
    assert_int_equal(probes[0].code, SW_OK);
    assert_int_equal(probes[1].code, SW_E_DENIED);
    assert_int_equal(probes[2].code, SW_E_EXISTS);
    assert_int_equal(probes[3].code, SW_OK);
    assert_true(has_product(store, 101));
    assert_false(has_product(store, 102));
    assert_true(has_product(store, 104));
    store_close(store);
}

static void repeatable_jobs_share_a_savepoint_until_one_fails(void **state) {
    (void)state;
    struct store *store = must_open();
    struct probe probes[200];
    for (unsigned i = 0; i < 200; i++) {
        probes[i] = probe_of((uint16_t)(200 + i));
        probes[i].job.is_repeatable = i != 70;
    }
    probes[5].result = SW_E_DENIED;
    probes[150].id = 201;
    link_jobs(probes, 200);
    store_run_group(store, &probes[0].job, STORE_TROUBLE_NONE);
    for (unsigned i = 0; i < 200; i++) {
        bool is_bad = i == 5 || i == 150;
        assert_true(probes[i].done);
        assert_int_equal(probes[i].code, i == 5 ? SW_E_DENIED : (i == 150 ? SW_E_EXISTS : SW_OK));
        assert_int_equal(has_product(store, (uint16_t)(200 + i)), !is_bad);
        assert_in_range(probes[i].runs, 1, probes[i].job.is_repeatable ? 2 : 1);
    }
    /* Two of the runs failed: up to 64 jobs each, the rest ran once. */
    assert_int_equal(probes[0].runs, 2);
    assert_int_equal(probes[63].runs, 1);
    assert_int_equal(probes[69].runs, 1);
    assert_int_equal(probes[199].runs, 1);
    store_close(store);
}

static void failed_commit_undoes_the_group_and_tells_everybody(void **state) {
    (void)state;
    struct store *store = must_open();
    struct probe probes[2] = {probe_of(101), probe_of(102)};
    link_jobs(probes, 2);
    store_run_group(store, &probes[0].job, STORE_TROUBLE_COMMIT_FAILS);
    assert_int_equal(probes[0].code, SW_E_IO);
    assert_int_equal(probes[1].code, SW_E_IO);
    assert_false(has_product(store, 101));
    /* The connection goes on. */
    struct probe next = probe_of(103);
    assert_int_equal(store_run(store, &next.job, NULL), SW_OK);
    assert_true(has_product(store, 103));
    store_close(store);
}

static void crash_is_before_or_after_the_commit(void **state) {
    (void)state;
    struct store *store = must_open();
    struct probe lost = probe_of(101);
    struct probe kept = probe_of(102);
    store_run_group(store, &lost.job, STORE_TROUBLE_CRASH_BEFORE);
    store_run_group(store, &kept.job, STORE_TROUBLE_CRASH_AFTER);
    store_close(store);
    store = must_open();
    assert_false(has_product(store, 101));
    assert_true(has_product(store, 102));
    assert_false(lost.done);
    assert_false(kept.done);
    store_close(store);
}

static void writer_commits_what_is_submitted(void **state) {
    (void)state;
    enum { COUNT = 200 };
    struct fault fault;
    struct store *store = must_open();
    struct store_writer *writer;
    static struct probe probes[COUNT];
    assert_int_equal(store_writer_start(&writer, store, COUNT, 16, &fault), SW_OK);
    for (uint16_t i = 0; i < COUNT; i++) {
        probes[i] = probe_of((uint16_t)(101 + i));
        assert_int_equal(store_writer_submit(writer, &probes[i].job), SW_OK);
    }
    struct latch latch;
    struct probe last = probe_of(1000);
    latch_init(&latch);
    last.latch = &latch;
    while (store_writer_submit(writer, &last.job) == SW_E_FULL) {
        (void)usleep(1000);
    }
    latch_wait(&latch);
    store_writer_stop(writer);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(probes[i].done);
        assert_int_equal(probes[i].code, SW_OK);
        assert_true(has_product(store, probes[i].id));
    }
    store_close(store);
}

/* Blocks the writer until it is let go. */
struct gate {
    struct store_job job;
    struct latch entered, leave;
};

static int gate_run(struct store_job *job, struct store *store, struct fault *fault) {
    struct gate *gate = (struct gate *)job;
    (void)store;
    (void)fault;
    latch_signal(&gate->entered);
    latch_wait(&gate->leave);
    return SW_OK;
}

static void full_queue_refuses(void **state) {
    (void)state;
    struct fault fault;
    struct store *store = must_open();
    struct store_writer *writer;
    assert_int_equal(store_writer_start(&writer, store, 2, 0, &fault), SW_OK);
    struct gate gate = {.job = {.run = gate_run}};
    latch_init(&gate.entered);
    latch_init(&gate.leave);
    assert_int_equal(store_writer_submit(writer, &gate.job), SW_OK);
    latch_wait(&gate.entered);
    struct probe probes[3] = {probe_of(101), probe_of(102), probe_of(103)};
    assert_int_equal(store_writer_submit(writer, &probes[0].job), SW_OK);
    assert_int_equal(store_writer_submit(writer, &probes[1].job), SW_OK);
    assert_int_equal(store_writer_submit(writer, &probes[2].job), SW_E_FULL);
    latch_signal(&gate.leave);
    store_writer_stop(writer);
    assert_true(probes[0].done && probes[1].done);
    assert_false(probes[2].done);
    store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, file_set_up, scratch_remove)
        IN_FOLDER(failing_job_undoes_only_itself),
        IN_FOLDER(repeatable_jobs_share_a_savepoint_until_one_fails),
        IN_FOLDER(failed_commit_undoes_the_group_and_tells_everybody),
        IN_FOLDER(crash_is_before_or_after_the_commit),
        IN_FOLDER(writer_commits_what_is_submitted),
        IN_FOLDER(full_queue_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
