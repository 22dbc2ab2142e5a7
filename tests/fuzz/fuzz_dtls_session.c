/* An honest pair of sessions and a network that does what the input says: send, deliver, repeat,
 * spoil, drop, store and restore. No record opens twice, none that was not sent, none changed, and
 * a restored side never uses a number again. */
#include "fuzz.h"
#include "slipway/dtls/session.h"

#include <string.h>

#define SENT_MAX 64

static struct dtls_crypto *crypto;

struct sent {
    uint8_t bytes[160];
    size_t len;
    bool was_opened;
};

static void restore(struct dtls_session *session) {
    uint8_t stored[DTLS_SESSION_STORED_MAX];
    struct writer w = writer_of(stored, sizeof stored);
    SW_CHECK(dtls_session_encode(session, &w) == SW_OK);
    SW_CHECK(dtls_session_decode(writer_span(&w), session) == SW_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct sent sent[SENT_MAX];
    if (crypto == NULL) {
        crypto = dtls_crypto_new();
    }
    if (size < 2) {
        return 0;
    }
    struct dtls_session a = {.suite = data[0] % 2 == 0 ? 0xC0AE : 0xC02B,
                             .epoch = 1,
                             .key_out = {1},
                             .salt_out = {2},
                             .cid_form = data[1] % 3 == 0   ? DTLS_CID_NONE
                                         : data[1] % 3 == 1 ? DTLS_CID_RFC9146
                                                            : DTLS_CID_DRAFT05,
                             .seq_out_limit = 200,
                             .seq_in_limit = 200};
    a.cid_out_len = a.cid_form == DTLS_CID_NONE ? 0 : 8;
    struct dtls_session b = a;
    memcpy(b.key_in, a.key_out, sizeof b.key_in);
    memcpy(b.salt_in, a.salt_out, sizeof b.salt_in);
    b.cid_in_len = a.cid_out_len;
    b.cid_out_len = 0;
    size_t count = 0;
    uint64_t last_sequence = 0;
    for (size_t i = 2; i + 1 < size; i += 2) {
        uint8_t plain[DTLS_RECORD_MAX];
        struct dtls_opened opened;
        size_t which = count == 0 ? 0 : data[i + 1] % count;
        switch (data[i] % 5) {
        case 0:
            if (count < SENT_MAX) {
                struct writer w = writer_of(sent[count].bytes, sizeof sent[count].bytes);
                uint8_t content[2] = {data[i + 1], (uint8_t)count};
                int status = dtls_seal(crypto, &a, 23, span_of(content, 2), &w);
                SW_CHECK(status == SW_OK || status == SW_E_LIMIT);
                SW_CHECK(status != SW_OK || a.seq_out > last_sequence);
                last_sequence = a.seq_out;
                sent[count].len = w.at;
                sent[count].was_opened = false;
                count += status == SW_OK;
            }
            break;
        case 1:
            if (count > 0) {
                int status = dtls_open(crypto, &b, span_of(sent[which].bytes, sent[which].len),
                                       plain, sizeof plain, &opened);
                SW_CHECK(status != SW_OK || (!sent[which].was_opened && plain[1] == which));
                SW_CHECK(status == SW_OK || sent[which].was_opened || status == SW_E_REPLAY);
                sent[which].was_opened = sent[which].was_opened || status == SW_OK;
            }
            break;
        case 2:
            if (count > 0 && sent[which].len > 0) {
                struct sent spoilt = sent[which];
                spoilt.bytes[data[i] % spoilt.len] ^= (uint8_t)(1 + data[i + 1] % 255);
                int status = dtls_open(crypto, &b, span_of(spoilt.bytes, spoilt.len), plain,
                                       sizeof plain, &opened);
                /* 25 and 253 stand for each other: the one byte that is not authenticated. */
                SW_CHECK(status != SW_OK || spoilt.bytes[0] == DTLS_CID_MOVED);
                sent[which].was_opened = sent[which].was_opened || status == SW_OK;
            }
            break;
        case 3:
            restore(&a);
            break;
        case 4:
            restore(&b);
            break;
        }
    }
    return 0;
}
