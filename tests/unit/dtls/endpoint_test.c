/* What a server says to ClientHellos before it keeps anything. */
#include "dtls/endpoint.h"
#include "dtls/record.h"
#include "slipway/util/check.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct crypto_key *key;
static struct dtls_endpoint *endpoint;
static struct address peer;
static uint8_t data[2000];
static struct outbox box;
static const char *why;

static void rotate(uint8_t value) {
    uint8_t secret[DTLS_COOKIE_SECRET] = {value};
    dtls_endpoint_rotate_cookie(endpoint, secret);
}

static int set_up(void **state) {
    (void)state;
    key = crypto_key_generate();
    struct dtls_endpoint_config config = {.is_server = true, .key = key};
    endpoint = dtls_endpoint_new(&config);
    peer = (struct address){.ip = {[10] = 0xff, [11] = 0xff, [12] = 10}, .port = 4000};
    rotate(1);
    return endpoint == NULL;
}

static int tear_down(void **state) {
    (void)state;
    dtls_endpoint_free(endpoint);
    crypto_key_free(key);
    return 0;
}

struct hello_shape {
    uint16_t version;
    uint8_t session_id_len;
    struct span cookie;
    struct span suites;
    struct span extensions;
    uint16_t message_seq;
    uint32_t fragment_offset;
    bool is_cut; /* claims a longer message */
};

static const uint8_t device_suites[] = {0xc0, 0xae, 0x00, 0xff};
static const uint8_t device_extensions[] = {0, 13, 0,  4, 0,  2, 4, 3, 0,  10, 0,   4, 0,
                                            2, 0,  23, 0, 11, 0, 2, 1, 0,  0,  254, 0, 1,
                                            0, 0,  19, 0, 2,  1, 2, 0, 20, 0,  2,   1, 2};

static struct hello_shape device_shape(void) {
    return (struct hello_shape){.version = DTLS_VERSION_12,
                                .suites = span_of(device_suites, sizeof device_suites),
                                .extensions = span_of(device_extensions, sizeof device_extensions)};
}

static struct span hello_bytes(const struct hello_shape *shape) {
    static uint8_t bytes[1500];
    uint8_t body[1400] = {0};
    struct writer w = writer_of(body, sizeof body);
    writer_u16(&w, shape->version);
    for (uint8_t i = 0; i < RANDOM_BYTES; i++) {
        writer_u8(&w, i);
    }
    writer_u8(&w, shape->session_id_len);
    writer_zeroes(&w, shape->session_id_len);
    writer_u8(&w, (uint8_t)shape->cookie.len);
    writer_bytes(&w, shape->cookie);
    writer_u16(&w, (uint16_t)shape->suites.len);
    writer_bytes(&w, shape->suites);
    writer_u16(&w, 0x0100);
    if (shape->extensions.len > 0) {
        writer_u16(&w, (uint16_t)shape->extensions.len);
        writer_bytes(&w, shape->extensions);
    }
    struct writer out = writer_of(bytes, sizeof bytes);
    record_header(&out, DTLS_HANDSHAKE, DTLS_VERSION_12, 5, 12 + w.at);
    writer_u8(&out, MESSAGE_CLIENT_HELLO);
    writer_u24(&out, (uint32_t)w.at + (shape->is_cut ? 1 : 0) + shape->fragment_offset);
    writer_u16(&out, shape->message_seq);
    writer_u24(&out, shape->fragment_offset);
    writer_u24(&out, (uint32_t)w.at);
    writer_bytes(&out, writer_span(&w));
    return writer_span(&out);
}

static enum dtls_hello ask(struct span datagram) {
    outbox_init(&box, data, sizeof data);
    why = "not set";
    return dtls_server_hello(endpoint, &peer, datagram, &box, &why);
}

static enum dtls_hello ask_shape(const struct hello_shape *shape) {
    return ask(hello_bytes(shape));
}

/* The cookie of the answer, copied out of the outbox. */
static struct span cookie_of_reply(void) {
    static uint8_t cookie[COOKIE_BYTES];
    assert_int_equal(box.count, 1);
    struct span reply = outbox_datagram(&box, 0);
    assert_int_equal(reply.len, 60);
    assert_int_equal(reply.data[RECORD_HEADER_BYTES], MESSAGE_HELLO_VERIFY_REQUEST);
    memcpy(cookie, reply.data + reply.len - COOKIE_BYTES, COOKIE_BYTES);
    return span_of(cookie, COOKIE_BYTES);
}

static void a_cookie_proves_the_address_and_the_hello(void **state) {
    (void)state;
    struct hello_shape shape = device_shape();
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    assert_int_equal(outbox_datagram(&box, 0).data[10], 5); /* the hello's record number */
    shape.cookie = cookie_of_reply();
    shape.message_seq = 1;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_ACCEPT);
    assert_int_equal(box.count, 0);
    assert_null(why);
    peer.port++;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    peer.port--;
    peer.ip[15] ^= 1;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    peer.ip[15] ^= 1;
    shape.session_id_len = 1;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    shape.session_id_len = 0;
    uint8_t extensions[sizeof device_extensions];
    memcpy(extensions, device_extensions, sizeof extensions);
    extensions[7] = 1;
    shape.extensions = span_of(extensions, sizeof extensions - 5);
    assert_int_equal(ask_shape(&shape) == DTLS_HELLO_ACCEPT, false);
    shape = device_shape();
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    shape.cookie = cookie_of_reply();
    for (size_t i = 0; i < COOKIE_BYTES; i++) {
        uint8_t wrong[COOKIE_BYTES];
        memcpy(wrong, shape.cookie.data, sizeof wrong);
        wrong[i] ^= 1;
        struct hello_shape changed = shape;
        changed.cookie = span_of(wrong, sizeof wrong);
        assert_int_equal(ask_shape(&changed), DTLS_HELLO_REPLY);
        changed.cookie = span_of(wrong, i);
        assert_int_equal(ask_shape(&changed), DTLS_HELLO_REPLY);
    }
}

static void a_cookie_outlives_one_rotation(void **state) {
    (void)state;
    struct hello_shape shape = device_shape();
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    shape.cookie = cookie_of_reply();
    rotate(2);
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_ACCEPT);
    rotate(3);
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
}

static void expect_alert(uint8_t alert) {
    assert_int_equal(box.count, 1);
    struct span reply = outbox_datagram(&box, 0);
    assert_int_equal(reply.len, RECORD_HEADER_BYTES + ALERT_BYTES);
    assert_int_equal(reply.data[0], DTLS_ALERT);
    assert_int_equal(reply.data[13], ALERT_FATAL);
    assert_int_equal(reply.data[14], alert);
    assert_non_null(why);
}

static void old_versions_are_refused(void **state) {
    (void)state;
    struct hello_shape shape = device_shape();
    static const uint16_t old[] = {0xfeff, 0xfefe, 0x0303, 0x0100};
    for (size_t i = 0; i < 4; i++) {
        shape.version = old[i];
        assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
        expect_alert(ALERT_PROTOCOL_VERSION);
    }
    shape.version = 0xfefc; /* a newer client speaks 1.2 as well */
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    (void)cookie_of_reply();
}

static bool is_taken_for_device_os(const struct hello_shape *shape) {
    struct hello_datagram in;
    struct choice choice;
    uint8_t alert = 0;
    assert_int_equal(hello_datagram_parse(hello_bytes(shape), &in, &why), SW_OK);
    return endpoint_choose(endpoint, &in.hello, &choice, &alert, &why) == SW_OK &&
           choice.is_device_os;
}

/* Without connection ids the rest of the hello tells Device OS 3.0; whoever differs in one point
 * gets the Certificate message that the RFCs promise. */
static void device_os_3_0_is_told_by_its_whole_hello(void **state) {
    (void)state;
    static const uint8_t own[] = {0, 13, 0, 10, 0, 8, 4, 3, 4, 1,  3, 3, 3, 1, 0, 10, 0, 4, 0, 2,
                                  0, 23, 0, 11, 0, 2, 1, 0, 0, 19, 0, 2, 1, 2, 0, 20, 0, 2, 1, 2};
    enum { LEN = sizeof own };
    uint8_t changed[LEN + 8];
    struct hello_shape shape = device_shape();
    shape.extensions = span_of(own, LEN);
    assert_true(is_taken_for_device_os(&shape));
    static const uint8_t suite_lists[][6] = {
        {0xc0, 0xae}, {0xc0, 0xae, 0xc0, 0xac}, {0xc0, 0xae, 0, 0xff, 0xc0, 0x2b}};
    static const size_t suite_lens[] = {2, 4, 6};
    for (size_t i = 0; i < 3; i++) {
        shape.suites = span_of(suite_lists[i], suite_lens[i]);
        assert_false(is_taken_for_device_os(&shape));
    }
    shape = device_shape();
    shape.extensions = span_of(own, LEN);
    shape.session_id_len = 32;
    assert_false(is_taken_for_device_os(&shape));
    shape.session_id_len = 0;
    /* Extended master secret, renegotiation, RFC 9146. */
    static const struct {
        size_t len;
        uint8_t bytes[5];
    } more[] = {{4, {0, 23, 0, 0}}, {5, {0xff, 1, 0, 1, 0}}, {5, {0, 54, 0, 1, 0}}};
    for (size_t i = 0; i < 3; i++) {
        memcpy(changed, own, LEN);
        memcpy(changed + LEN, more[i].bytes, more[i].len);
        shape.extensions = span_of(changed, LEN + more[i].len);
        assert_false(is_taken_for_device_os(&shape));
    }
    /* No SHA-224; X.509 instead of raw keys, either way. */
    static const struct {
        size_t at;
        uint8_t value;
    } bytes[] = {{10, 6}, {LEN - 1, 0}, {LEN - 7, 0}};
    for (size_t i = 0; i < 3; i++) {
        memcpy(changed, own, LEN);
        assert_int_not_equal(changed[bytes[i].at], bytes[i].value);
        changed[bytes[i].at] = bytes[i].value;
        shape.extensions = span_of(changed, LEN);
        assert_false(is_taken_for_device_os(&shape));
    }
}

/* RFC 9146 section 3: an id that we have no room for is not taken, and the client goes without. */
static void ids_that_are_too_long_are_declined(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, DTLS_CID_BYTES_MAX, DTLS_CID_BYTES_MAX + 1, 32, 254};
    static const uint8_t raw_both_ways[] = {0, 19, 0, 2, 1, 2, 0, 20, 0, 2, 1, 2};
    for (size_t i = 0; i < SW_COUNT(lengths); i++) {
        uint8_t extensions[300];
        struct writer w = writer_of(extensions, sizeof extensions);
        writer_bytes(&w, span_of(raw_both_ways, sizeof raw_both_ways));
        writer_u16(&w, EXTENSION_CID);
        writer_u16(&w, (uint16_t)(1 + lengths[i]));
        writer_u8(&w, (uint8_t)lengths[i]);
        writer_zeroes(&w, lengths[i]);
        struct hello_shape shape = device_shape();
        shape.extensions = writer_span(&w);
        struct span datagram = hello_bytes(&shape);
        size_t headers = RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES;
        struct client_hello hello;
        struct choice choice;
        uint8_t alert;
        struct span body = span_of(datagram.data + headers, datagram.len - headers);
        assert_int_equal(client_hello_parse(body, &hello, &why), SW_OK);
        assert_int_equal(endpoint_choose(endpoint, &hello, &choice, &alert, &why), SW_OK);
        bool fits = lengths[i] <= DTLS_CID_BYTES_MAX;
        assert_int_equal(choice.cid_form, fits ? DTLS_CID_RFC9146 : DTLS_CID_NONE);
        assert_int_equal(choice.cid.len, fits ? lengths[i] : 0);
        assert_int_equal(ask(datagram), DTLS_HELLO_REPLY);
        assert_null(why);
    }
}

static void nothing_in_common_is_told(void **state) {
    (void)state;
    static const uint8_t foreign_suites[] = {0x13, 0x01, 0xc0, 0xa8, 0x00, 0x2f};
    struct hello_shape shape = device_shape();
    shape.suites = span_of(foreign_suites, sizeof foreign_suites);
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    expect_alert(ALERT_HANDSHAKE_FAILURE);
    shape = device_shape();
    shape.extensions = span_of(device_extensions + 8, sizeof device_extensions - 8 - 12);
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    expect_alert(ALERT_HANDSHAKE_FAILURE); /* X.509, which nobody configured */
}

static void malformed_hellos_are_dropped(void **state) {
    (void)state;
    struct hello_shape shape = device_shape();
    struct span good = hello_bytes(&shape);
    for (size_t cut = 0; cut < good.len; cut++) {
        assert_int_equal(ask(span_of(good.data, cut)), DTLS_HELLO_DROP);
        assert_int_equal(box.count, 0);
        assert_non_null(why);
    }
    shape.is_cut = true;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_DROP);
    shape.is_cut = false;
    shape.fragment_offset = 1;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_DROP);
    /* Numbers that would run over while we answer, or that no client gets to. */
    shape = device_shape();
    static const uint16_t far[] = {9, 0x7fff, 0xfffe, 0xffff};
    for (size_t i = 0; i < 4; i++) {
        shape.message_seq = far[i];
        assert_int_equal(ask_shape(&shape), DTLS_HELLO_DROP);
    }
    uint8_t late[300];
    shape = device_shape();
    struct span hello = hello_bytes(&shape);
    memcpy(late, hello.data, hello.len);
    late[5] = 0xff;
    assert_int_equal(ask(span_of(late, hello.len)), DTLS_HELLO_DROP);
    shape = device_shape();
    shape.session_id_len = 33;
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_DROP);
    shape = device_shape();
    shape.suites = span_of(device_suites, 3);
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_DROP);
    shape = device_shape();
    uint8_t twice[sizeof device_extensions + 5];
    memcpy(twice, device_extensions, sizeof device_extensions);
    memcpy(twice + sizeof device_extensions, "\0\376\0\1\0", 5);
    shape.extensions = span_of(twice, sizeof twice);
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_DROP);
    assert_string_equal(why, "extension given twice");
}

/* Any change of a hello is dropped, answered, or refused; never accepted without its own cookie. */
static void changed_hellos_never_pass_with_the_cookie_of_another(void **state) {
    (void)state;
    struct hello_shape shape = device_shape();
    assert_int_equal(ask_shape(&shape), DTLS_HELLO_REPLY);
    shape.cookie = cookie_of_reply();
    struct span good = hello_bytes(&shape);
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t changed[300];
        memcpy(changed, good.data, good.len);
        /* Behind the headers, whose numbers no cookie covers. */
        size_t at = RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES;
        at += rng_below(&rng, good.len - at);
        uint8_t to = (uint8_t)rng_next(&rng);
        if (to == changed[at]) {
            continue;
        }
        changed[at] = to;
        assert_int_not_equal(ask(span_of(changed, good.len)), DTLS_HELLO_ACCEPT);
    }
    assert_int_equal(ask(good), DTLS_HELLO_ACCEPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cookie_proves_the_address_and_the_hello, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cookie_outlives_one_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_versions_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(device_os_3_0_is_told_by_its_whole_hello, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ids_that_are_too_long_are_declined, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_in_common_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_hellos_are_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changed_hellos_never_pass_with_the_cookie_of_another,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
