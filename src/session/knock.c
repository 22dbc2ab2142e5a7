/* After a crash. The store knows below which number everything may have been accepted, but a device
 * that was busy is not there yet: what it says would be refused for hundreds of words. A knock asks
 * it for a word that can only have been said after the crash; what is numbered above that word was
 * never accepted, whatever the store says. */
#include "session/work.h"

#include "slipway/crypto/secret.h"

#define ID_MASK (SESSION_CHUNK_ID_FIRST - 1U)

int session_knock(struct session *session, struct dtls_crypto *crypto, struct writer *record) {
    if (!session->is_resumed && !session->is_doubtful) {
        return SW_E_STATE;
    }
    uint16_t id = (session->coap_id - 1U - session->knocked % KNOCK_IDS) & ID_MASK;
    uint8_t ping[4];
    struct writer w = writer_of(ping, sizeof ping);
    (void)coap_begin(&w, COAP_CON, COAP_EMPTY, id, span_of(NULL, 0));
    int status = dtls_seal(crypto, &session->dtls, DTLS_APPLICATION_DATA, writer_span(&w), record);
    session->knocked = (uint16_t)(session->knocked + (status == SW_OK ? 1 : 0));
    return status;
}

/* Empty, and with an id that no message had before the crash. A standard client answers a ping with
 * RST. */
static bool is_answer(const struct session *session, const struct dtls_opened *opened) {
    struct coap_message message;
    const char *why;
    return opened->type == DTLS_APPLICATION_DATA &&
           coap_decode(opened->content, &message, &why) == SW_OK &&
           (message.type == COAP_ACK || message.type == COAP_RST) && message.code == COAP_EMPTY &&
           message.id <= ID_MASK && ((session->coap_id - 1U - message.id) & ID_MASK) < KNOCK_IDS;
}

bool is_hello(const struct coap_message *message) {
    return message->code == COAP_POST && coap_path_is(message, 'h');
}

static bool opens_hello(const struct dtls_opened *opened) {
    struct coap_message message;
    const char *why;
    return opened->type == DTLS_APPLICATION_DATA &&
           coap_decode(opened->content, &message, &why) == SW_OK && is_hello(&message);
}

void knock_hello(struct session *session) {
    session->is_hello_due = true;
    session->is_hello_kept = false;
    session->is_unsaved = true;
}

int knock_listen(struct turn *t, struct span datagram, uint8_t *plain, struct dtls_opened *opened) {
    struct session *session = t->session;
    struct dtls_session open = session->dtls;
    uint64_t certain = open.seq_in_top - session->doubt;
    open.seq_in_top = certain - (session->is_hello_due ? 1 : 0);
    open.seq_in_window = UINT64_MAX;
    int status = dtls_open(t->crypto, &open, datagram, plain, DTLS_RECORD_MAX, opened);
    crypto_wipe(&open, sizeof open);
    if (status != SW_OK || opened->sequence >= session->dtls.seq_in_top) {
        return SW_E_AUTH;
    }
    if (opened->sequence < certain) {
        return session->is_hello_kept ? SW_OK : SW_E_LIMIT;
    }
    if (is_answer(session, opened)) {
        session->dtls.seq_in_top = opened->sequence + 1;
        session->dtls.seq_in_window = UINT64_MAX;
        session->dtls.seq_in_limit = session->dtls.seq_in_top; /* until that is on disk */
        session->is_doubtful = false;
        session->is_hello_due = false;
        session->doubt = 0;
        return SW_OK;
    }
    bool greets = opens_hello(opened);
    if (greets && !session->is_known && t->work == NULL) {
        return SW_E_STATE;
    }
    session->doubt = (uint16_t)(session->dtls.seq_in_top - opened->sequence - 1);
    session->is_hello_due = false;
    if (greets && session->is_known) {
        knock_hello(session);
        return SW_E_LIMIT;
    }
    return greets ? SW_OK : SW_E_REPLAY; /* again, as the one before could not be kept */
}
