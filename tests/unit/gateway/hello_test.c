/* What a peer can cost, and what it is told, before its handshake is over. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;

static int setup(void **state) {
    (void)state;
    rig_open(&rig, &rig_small);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rig_close(&rig);
    return 0;
}

#define COUNTER(name) (gateway_counters(rig.gw)->name)

static void a_client_hello_costs_no_memory_before_its_cookie(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    uint8_t data[4096], entropy[DTLS_HANDSHAKE_ENTROPY] = {1};
    struct outbox box;
    outbox_init(&box, data, sizeof data);
    assert_int_equal(dtls_handshake_connect(&client.hs, client.endpoint, entropy, rig.now, &box),
                     SW_OK);
    for (unsigned n = 0; n < 1000; n++) {
        client.address.port = (uint16_t)(1000 + n);
        peer_datagram(&client, &rig, outbox_datagram(&box, 0));
    }
    assert_int_equal(rig_sizes(&rig).half_open, 0);
    assert_int_equal(COUNTER(hellos_cookie), 1000);
    assert_int_equal(rig.sent_count, 1000);
    peer_close(&client);
}

/* A hello that only speaks DTLS 1.0 is told so, at most eight times a second and source. */
static void alerts_are_bounded_for_each_source(void **state) {
    (void)state;
    struct peer client;
    peer_open(&client, &rig, 1);
    uint8_t data[4096], entropy[DTLS_HANDSHAKE_ENTROPY] = {1};
    struct outbox box;
    outbox_init(&box, data, sizeof data);
    assert_int_equal(dtls_handshake_connect(&client.hs, client.endpoint, entropy, rig.now, &box),
                     SW_OK);
    data[26] = 0xff; /* client_version */
    for (unsigned n = 0; n < 100; n++) {
        client.address.port = (uint16_t)(1000 + n); /* ports do not make another source */
        peer_datagram(&client, &rig, outbox_datagram(&box, 0));
    }
    assert_int_equal(rig.sent_count, 8);
    assert_int_equal(COUNTER(hellos_refused), 8);
    assert_int_equal(rig.unmet.port, 1007); /* what was not answered is not told either */
    assert_string_equal(rig.unmet_why, "client cannot speak DTLS 1.2");
    assert_int_equal(COUNTER(alerts_dropped), 92);
    for (unsigned n = 0; n < 8; n++) {
        assert_int_equal(rig.sent[n].len, 15);
        assert_memory_equal(rig.sent[n].bytes + 13, "\x02\x46", 2); /* fatal, protocol_version */
    }
    client.address.ip[15] = 200;
    peer_datagram(&client, &rig, outbox_datagram(&box, 0));
    assert_int_equal(rig.sent_count, 9); /* another source has its own */
    client.address.ip[15] = 1;
    rig.now.us += 1000000;
    peer_datagram(&client, &rig, outbox_datagram(&box, 0));
    assert_int_equal(rig.sent_count, 10);
    assert_int_equal(rig_sizes(&rig).half_open, 0);
    peer_close(&client);
}

static void half_open_handshakes_are_bounded(void **state) {
    (void)state;
    enum { COUNT = 40 };
    static struct peer clients[COUNT];
    for (unsigned n = 0; n < COUNT; n++) {
        peer_open(&clients[n], &rig, n);
        if (n < 10) { /* one source */
            clients[n].address.ip[15] = 77;
        }
        rig.now.us += 2000000; /* all those before had the time to answer */
        peer_begin(&clients[n], &rig);
        assert_true(rig_sizes(&rig).half_open <= 8);
        if (n < 10) {
            assert_true(rig_sizes(&rig).half_open <= 4);
        }
    }
    assert_int_equal(COUNTER(handshakes_started), COUNT);
    assert_int_equal(COUNTER(handshakes_evicted), COUNT - 8);
    /* The last ones are there: the oldest gave way. */
    peer_connect(&clients[COUNT - 1], &rig);
    assert_int_equal(COUNTER(handshakes_done), 1);
    for (unsigned n = 0; n < COUNT; n++) {
        peer_close(&clients[n]);
    }
    rig_pass(&rig, 200000);
    assert_int_equal(rig_sizes(&rig).half_open, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_client_hello_costs_no_memory_before_its_cookie),
        TEST(alerts_are_bounded_for_each_source),
        TEST(half_open_handshakes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
