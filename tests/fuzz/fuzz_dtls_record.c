/* A datagram of any bytes: sorted, parsed, opened by sessions of each form. Nothing but what was
 * sealed may open; opening changes nothing when it fails. */
#include "dtls/record.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct dtls_crypto *crypto;
    if (crypto == NULL) {
        crypto = dtls_crypto_new();
    }
    struct dtls_sorted sorted;
    struct span datagram = span_of(data, size);
    dtls_sort(datagram, &sorted);
    SW_CHECK(size > 1 || sorted.kind == DTLS_KIND_NOISE);
    SW_CHECK(sorted.kind != DTLS_KIND_CID || sorted.cid.len == DTLS_CID_BYTES);
    for (unsigned i = 0; i < 6; i++) {
        static const uint16_t suites[] = {0xC0AE, 0xC0AC, 0xC02B};
        struct dtls_session session = {.suite = suites[i % 3],
                                       .epoch = 1,
                                       .cid_form = i < 3 ? DTLS_CID_DRAFT05 : DTLS_CID_NONE,
                                       .cid_in = {1, 2, 3, 4, 5, 6, 7, 8},
                                       .cid_in_len = i < 3 ? 8 : 0,
                                       .seq_in_limit = DTLS_SEQUENCE_MAX};
        struct dtls_session before = session;
        struct dtls_opened opened;
        uint8_t plain[DTLS_RECORD_MAX];
        int status = dtls_open(crypto, &session, datagram, plain, sizeof plain, &opened);
        SW_CHECK(opened.consumed <= size);
        SW_CHECK(status != SW_OK || session.seq_in_top == opened.sequence + 1);
        SW_CHECK(status != SW_E_AUTH || memcmp(&before, &session, sizeof session) == 0);
    }
    struct dtls_session stored;
    if (dtls_session_decode(datagram, &stored) == SW_OK) {
        uint8_t again[DTLS_SESSION_STORED_MAX];
        struct writer w = writer_of(again, sizeof again);
        SW_CHECK(dtls_session_encode(&stored, &w) == SW_OK);
        SW_CHECK(w.at == size && memcmp(again, data, size) == 0);
    }
    return 0;
}
