/* The codec, held against every worked example of the device protocol. */
#include "slipway/coap/message.h"
#include "slipway/util/hex.h"
#include "slipway/util/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXAMPLE_OPTIONS 5

struct example {
    const char *hex;
    uint8_t type, code;
    uint16_t id;
    int token; /* -1 = none */
    struct {
        uint16_t number; /* 0 = end */
        bool is_uint;
        uint32_t uint;
        const char *hex; /* else */
    } options[EXAMPLE_OPTIONS];
    const char *payload; /* hexadecimal, NULL = none */
};

#define HEX_PENDING "7061727469636c652f6465766963652f757064617465732f70656e64696e67"
#define HEX_ENABLED "7061727469636c652f6465766963652f757064617465732f656e61626c6564"
#define HEX_SHA     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define START_HEAD  "410212347ab153e406f1000186a0"
#define START_SHA   START_HEAD "4d13" HEX_SHA "420200"
#define SHA_OPTIONS                                                                                \
    {COAP_URI_PATH, false, 0, "53"}, {COAP_FILE_SIZE, false, 0, "000186a0"},                       \
        {COAP_FILE_SHA256, false, 0, HEX_SHA}, {                                                   \
        COAP_CHUNK_SIZE, true, 512, NULL                                                           \
    }

static const struct example examples[] = {
    {"60000001", COAP_ACK, 0, 1, -1, {{0}}, NULL},
    {"4101010355b174", COAP_CON, COAP_GET, 0x0103, 0x55, {{11, false, 0, "74"}}, NULL},
    {"6145010355ff6553f100", COAP_ACK, COAP_CONTENT, 0x0103, 0x55, {{0}}, "6553f100"},
    {"4000012c", COAP_CON, 0, 300, -1, {{0}}, NULL},
    {"6000012c", COAP_ACK, 0, 300, -1, {{0}}, NULL},
    {"4102010254b164112a3101ff0a",
     COAP_CON,
     COAP_POST,
     0x0102,
     0x54,
     {{11, false, 0, "64"}, {12, true, 42, NULL}, {15, false, 0, "01"}},
     "0a"},
    {"4102010254b164112a3101c10eff0a",
     COAP_CON,
     COAP_POST,
     0x0102,
     0x54,
     {{11, false, 0, "64"}, {12, true, 42, NULL}, {15, false, 0, "01"}, {27, true, 0x0e, NULL}},
     "0a"},
    {"4101200231b1644101",
     COAP_CON,
     COAP_GET,
     0x2002,
     0x31,
     {{11, false, 0, "64"}, {15, false, 0, "01"}},
     NULL},
    {"4101200332b16441018116",
     COAP_CON,
     COAP_GET,
     0x2003,
     0x32,
     {{11, false, 0, "64"}, {15, false, 0, "01"}, {23, true, 0x16, NULL}},
     NULL},
    {"40010105b165087061727469636c65",
     COAP_CON,
     COAP_GET,
     0x0105,
     -1,
     {{11, false, 0, "65"}, {11, false, 0, "7061727469636c65"}},
     NULL},
    {"40020104b1450d12" HEX_ENABLED "ff74727565",
     COAP_CON,
     COAP_POST,
     0x0104,
     -1,
     {{11, false, 0, "45"}, {11, false, 0, HEX_ENABLED}},
     "74727565"},
    {"40022001b1450d12" HEX_PENDING "ff74727565",
     COAP_CON,
     COAP_POST,
     0x2001,
     -1,
     {{11, false, 0, "45"}, {11, false, 0, HEX_PENDING}},
     "74727565"},
    {"40022001b1450d05737061726b2f6465766963652f7265736574ff7265626f6f74",
     COAP_CON,
     COAP_POST,
     0x2001,
     -1,
     {{11, false, 0, "45"}, {11, false, 0, "737061726b2f6465766963652f7265736574"}},
     "7265626f6f74"},
    {"40020201b178ff030546", COAP_CON, COAP_POST, 0x0201, -1, {{11, false, 0, "78"}}, "030546"},
    {"4103201033b16b4101",
     COAP_CON,
     COAP_PUT,
     0x2010,
     0x33,
     {{11, false, 0, "6b"}, {15, false, 0, "01"}},
     NULL},
    {"4103201033b1734101",
     COAP_CON,
     COAP_PUT,
     0x2010,
     0x33,
     {{11, false, 0, "73"}, {15, false, 0, "01"}},
     NULL},
    {START_SHA, COAP_CON, COAP_POST, 0x1234, 0x7a, {SHA_OPTIONS}, NULL},
    {START_SHA "40",
     COAP_CON,
     COAP_POST,
     0x1234,
     0x7a,
     {SHA_OPTIONS, {COAP_DISCARD_DATA, true, 0, NULL}},
     NULL},
    {START_SHA "c109",
     COAP_CON,
     COAP_POST,
     0x1234,
     0x7a,
     {SHA_OPTIONS, {COAP_MODULE_FUNCTION, true, 9, NULL}},
     NULL},
    {START_HEAD "820200",
     COAP_CON,
     COAP_POST,
     0x1234,
     0x7a,
     {{11, false, 0, "53"},
      {COAP_FILE_SIZE, true, 100000, NULL},
      {COAP_CHUNK_SIZE, true, 512, NULL}},
     NULL},
    {"414100097ae206f8010040",
     COAP_CON,
     COAP_CREATED,
     9,
     0x7a,
     {{COAP_WINDOW_SIZE, true, 256, NULL}, {COAP_FILE_SIZE, true, 0, NULL}},
     NULL},
    {"414100097ae206f8010042c800",
     COAP_CON,
     COAP_CREATED,
     9,
     0x7a,
     {{COAP_WINDOW_SIZE, true, 256, NULL}, {COAP_FILE_SIZE, true, 51200, NULL}},
     NULL},
    {"50021235b143e106e901ffaabb",
     COAP_NON,
     COAP_POST,
     0x1235,
     -1,
     {{11, false, 0, "43"}, {COAP_CHUNK_INDEX, true, 1, NULL}},
     "aabb"},
    {"50021235b143e206e9012cffaabb",
     COAP_NON,
     COAP_POST,
     0x1235,
     -1,
     {{11, false, 0, "43"}, {COAP_CHUNK_INDEX, true, 300, NULL}},
     "aabb"},
    {"5002000ab141e106e902",
     COAP_NON,
     COAP_POST,
     10,
     -1,
     {{11, false, 0, "41"}, {COAP_CHUNK_INDEX, true, 2, NULL}},
     NULL},
    {"5002000ab141e006e9ff06000000",
     COAP_NON,
     COAP_POST,
     10,
     -1,
     {{11, false, 0, "41"}, {COAP_CHUNK_INDEX, true, 0, NULL}},
     "06000000"},
    {"410213007bb146", COAP_CON, COAP_POST, 0x1300, 0x7b, {{11, false, 0, "46"}}, NULL},
    {"410213007bb146e00701",
     COAP_CON,
     COAP_POST,
     0x1300,
     0x7b,
     {{11, false, 0, "46"}, {COAP_CANCEL_UPDATE, true, 0, NULL}},
     NULL},
    {"410213007bb146e006fd40",
     COAP_CON,
     COAP_POST,
     0x1300,
     0x7b,
     {{11, false, 0, "46"},
      {COAP_DISCARD_DATA, true, 0, NULL},
      {COAP_CANCEL_UPDATE, true, 0, NULL}},
     NULL},
};

static struct span bytes_of(const char *hex, uint8_t *out) {
    size_t len = strlen(hex) / 2;
    assert_int_equal(hex_decode(hex, strlen(hex), out, len), SW_OK);
    return span_of(out, len);
}

static void every_example_is_written_exactly(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *e = &examples[i];
        uint8_t expected_bytes[128], bytes[128], value[64];
        struct span expected = bytes_of(e->hex, expected_bytes);
        struct writer w = writer_of(bytes, sizeof bytes);
        uint8_t token = (uint8_t)e->token;
        struct coap_writer c =
            coap_begin(&w, e->type, e->code, e->id, span_of(&token, e->token < 0 ? 0 : 1));
        for (size_t o = 0; o < EXAMPLE_OPTIONS && e->options[o].number != 0; o++) {
            if (e->options[o].is_uint) {
                coap_put_uint(&c, e->options[o].number, e->options[o].uint);
            } else {
                coap_put(&c, e->options[o].number, bytes_of(e->options[o].hex, value));
            }
        }
        if (e->payload != NULL) {
            coap_put_payload(&c, bytes_of(e->payload, value));
        }
        assert_int_equal(writer_status(&w), SW_OK);
        assert_int_equal(w.at, expected.len);
        assert_memory_equal(bytes, expected.data, expected.len);
    }
}

static void every_example_is_read_back(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        const struct example *e = &examples[i];
        uint8_t bytes[128], value[64];
        struct coap_message m;
        const char *why;
        assert_int_equal(coap_decode(bytes_of(e->hex, bytes), &m, &why), SW_OK);
        assert_null(why);
        assert_int_equal(m.type, e->type);
        assert_int_equal(m.code, e->code);
        assert_int_equal(m.id, e->id);
        assert_int_equal(m.token.len, e->token < 0 ? 0 : 1);
        if (e->token >= 0) {
            assert_int_equal(m.token.data[0], e->token);
        }
        size_t count = 0;
        for (; count < EXAMPLE_OPTIONS && e->options[count].number != 0; count++) {
            assert_true(count < m.option_count);
            assert_int_equal(m.options[count].number, e->options[count].number);
            if (e->options[count].is_uint) {
                uint32_t uint;
                assert_true(coap_option_uint(&m, e->options[count].number, &uint));
                assert_int_equal(uint, e->options[count].uint);
            } else {
                assert_true(
                    span_equal(m.options[count].value, bytes_of(e->options[count].hex, value)));
            }
        }
        assert_int_equal(m.option_count, count);
        struct span payload = e->payload == NULL ? span_of(NULL, 0) : bytes_of(e->payload, value);
        assert_true(span_equal(m.payload, payload));
    }
}

static void malformed_messages_are_refused(void **state) {
    (void)state;
    static const char *bad[] = {
        "",                 /* nothing */
        "40",               /* half a header */
        "400200",           /* three quarters */
        "00020001",         /* version 0 */
        "80020001",         /* version 2 */
        "49020001",         /* token of 9 bytes */
        "4f020001",         /* reserved token length */
        "42020001aa",       /* token cut short */
        "40000001ff",       /* empty message with a marker */
        "4000000101",       /* empty message with an option */
        "4100000155",       /* empty message with a token */
        "40020001ff",       /* marker without payload */
        "40020001b5aa",     /* option value cut short */
        "40020001d0",       /* extended delta cut short */
        "40020001e000",     /* the same, two bytes */
        "400200010d",       /* extended length cut short */
        "40020001f0",       /* delta 15 without being the marker */
        "400200010f",       /* length 15 */
        "40020001e0fef3",   /* option number 65536 */
        "40020001e0fef210", /* the same, by the next option */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t bytes[32];
        struct coap_message m;
        const char *why = NULL;
        assert_int_equal(coap_decode(bytes_of(bad[i], bytes), &m, &why), SW_E_INPUT);
        assert_non_null(why);
    }
}

static void options_are_bounded(void **state) {
    (void)state;
    uint8_t bytes[4 + COAP_OPTIONS_MAX + 1] = {0x40, 2, 0, 1};
    struct coap_message m;
    const char *why;
    assert_int_equal(coap_decode(span_of(bytes, 4 + COAP_OPTIONS_MAX), &m, &why), SW_OK);
    assert_int_equal(m.option_count, COAP_OPTIONS_MAX);
    assert_int_equal(coap_decode(span_of(bytes, sizeof bytes), &m, &why), SW_E_FULL);
}

static void options_are_found_by_number_and_place(void **state) {
    (void)state;
    uint8_t bytes[64];
    struct coap_message m;
    const char *why;
    struct span value;
    uint32_t uint;
    assert_int_equal(coap_decode(bytes_of("40020001b1450161450102030405", bytes), &m, &why), SW_OK);
    assert_true(coap_path_is(&m, 'E'));
    assert_false(coap_path_is(&m, 'e'));
    assert_true(coap_option_at(&m, COAP_URI_PATH, 1, &value));
    assert_true(span_is_text(value, "a"));
    assert_false(coap_option_at(&m, COAP_URI_PATH, 2, &value));
    assert_false(coap_option_uint(&m, COAP_URI_QUERY, &uint)); /* longer than four bytes */
    assert_false(coap_option_uint(&m, COAP_MAX_AGE, &uint));   /* absent */
}

static void long_options_survive_the_round_trip(void **state) {
    (void)state;
    static uint8_t value[1200], bytes[1400];
    memset(value, 'v', sizeof value);
    static const size_t lens[] = {0, 12, 13, 268, 269, 270, 1200};
    static const uint16_t numbers[] = {1, 12, 13, 268, 269, 281, 2049, 65535};
    for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            struct writer w = writer_of(bytes, sizeof bytes);
            struct coap_writer c = coap_begin(&w, COAP_CON, COAP_GET, 7, span_of(NULL, 0));
            coap_put(&c, numbers[n], span_of(value, lens[l]));
            struct coap_message m;
            const char *why;
            assert_int_equal(coap_decode(writer_span(&w), &m, &why), SW_OK);
            assert_int_equal(m.option_count, 1);
            assert_int_equal(m.options[0].number, numbers[n]);
            assert_int_equal(m.options[0].value.len, lens[l]);
        }
    }
}

static void hostile_bytes_never_read_past_their_end(void **state) {
    (void)state;
    struct rng rng;
    rng_seed(&rng, 20);
    for (int i = 0; i < 200000; i++) {
        uint8_t bytes[48];
        size_t len = rng_below(&rng, sizeof bytes + 1);
        rng_fill(&rng, bytes, len);
        if (len > 0 && i % 4 != 0) {
            bytes[0] = (uint8_t)(0x40 | (bytes[0] & 0x33));
        }
        struct coap_message m;
        const char *why;
        if (coap_decode(span_of(bytes, len), &m, &why) == SW_OK) {
            for (unsigned o = 0; o < m.option_count; o++) {
                struct span v = m.options[o].value;
                assert_true(v.data >= bytes && v.data + v.len <= bytes + len);
            }
            assert_true(m.payload.len == 0 || m.payload.data + m.payload.len == bytes + len);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_is_written_exactly),
        cmocka_unit_test(every_example_is_read_back),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(options_are_bounded),
        cmocka_unit_test(options_are_found_by_number_and_place),
        cmocka_unit_test(long_options_survive_the_round_trip),
        cmocka_unit_test(hostile_bytes_never_read_past_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
