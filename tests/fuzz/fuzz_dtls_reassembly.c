/* Fragments of any shape. The input is a list of: seq(1) len(2) offset(2) count(1); a message's
 * bytes are a function of its number and their place, so that what comes out can be checked. */
#include "dtls/reassembly.h"
#include "fuzz.h"

static uint8_t byte_of(uint16_t seq, size_t place) {
    return (uint8_t)(seq * 37 + place * 11);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct reassembly r;
    struct reader in = reader_of(span_of(data, size));
    reassembly_init(&r, 0);
    while (reader_left(&in) >= 6) {
        uint8_t bytes[256];
        struct fragment fragment = {.type = 11};
        fragment.message_seq = (uint16_t)(reader_u8(&in) % 24);
        fragment.message_len = reader_u16(&in) % 5000;
        fragment.offset = reader_u16(&in) % (fragment.message_len + 1);
        size_t len = reader_u8(&in);
        if (len > fragment.message_len - fragment.offset) {
            len = fragment.message_len - fragment.offset;
        }
        for (size_t i = 0; i < len; i++) {
            bytes[i] = byte_of(fragment.message_seq, fragment.offset + i);
        }
        fragment.bytes = span_of(bytes, len);
        (void)reassembly_add(&r, &fragment);
        uint8_t type;
        struct span body;
        while (r.next < 60000 && reassembly_peek(&r, &type, &body)) {
            SW_CHECK(type == 11);
            for (size_t i = 0; i < body.len; i++) {
                SW_CHECK(body.data[i] == byte_of(r.next, i));
            }
            reassembly_taken(&r);
        }
        size_t used = 0;
        for (size_t i = 0; i < REASSEMBLY_SLOTS; i++) {
            if (r.slots[i].is_used) {
                used += r.slots[i].len + (r.slots[i].len + 7U) / 8;
            }
        }
        SW_CHECK(used == r.used && used <= REASSEMBLY_BYTES);
    }
    return 0;
}
