#include "dtls/window.h"

bool window_is_new(const struct dtls_session *session, uint64_t sequence) {
    if (sequence >= session->seq_in_top) {
        return true;
    }
    uint64_t age = session->seq_in_top - 1 - sequence;
    return age < WINDOW_BITS && (session->seq_in_window >> age & 1) == 0;
}

void window_mark(struct dtls_session *session, uint64_t sequence) {
    if (sequence >= session->seq_in_top) {
        uint64_t shift = sequence + 1 - session->seq_in_top;
        session->seq_in_window = shift < WINDOW_BITS ? session->seq_in_window << shift : 0;
        session->seq_in_window |= 1;
        session->seq_in_top = sequence + 1;
    } else {
        session->seq_in_window |= UINT64_C(1) << (session->seq_in_top - 1 - sequence);
    }
}
