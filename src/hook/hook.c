/* The queue is in the database; this thread only knows what it is sending at the moment. It looks
 * for hooks that may be tried, sends the oldest event of each over curl's multi interface, and
 * writes down what became of it before it takes the next of that hook. Neither devices nor clients
 * ever wait for it: the one thing that it shares with them is the writer's queue. */
#include "slipway/hook/hook.h"

#include "slipway/sys/clock.h"
#include "slipway/sys/log.h"
#include "slipway/sys/thread.h"

#include "hook/range.h"
#include "hook/render.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARALLEL_MAX      64
#define ANSWER_READ_MAX   65536 /* bytes of an answer; a longer one is broken off */
#define ANSWER_GROWS      4096
#define CONNECT_SHARE     2     /* of the time for a request, one half to connect */
#define LOOK_AGAIN_MS     60000 /* at the latest: the wall clock may jump */
#define STORE_BUSY_MS     200
#define STATUS_TIMEOUT    408
#define STATUS_TOO_MANY   429
#define STATUS_SERVER_ERR 500

enum slot_state { SLOT_FREE, SLOT_SENDING, SLOT_ENDED };

struct slot {
    enum slot_state state;
    CURL *easy;
    struct rendered request;
    const struct ranges *deny, *allow;
    bool is_denied;
    char *answer;
    size_t received, answer_cap;
    struct retold retold;
    struct app_hook_outcome outcome;
    char uid[UID_DIGITS + 1];
};

struct hook_sender {
    struct app *app;
    struct store *reader;
    CURLM *multi;
    struct thread thread;
    atomic_bool is_ending;
    struct hook_config config;
    struct ranges deny, allow;
    struct slot slots[PARALLEL_MAX];
};

static size_t take_answer(char *data, size_t size, size_t count, void *arg) {
    struct slot *slot = arg;
    size_t len = size * count;
    size_t at = slot->received;
    slot->received += len;
    if (slot->received > ANSWER_READ_MAX) {
        return 0;
    }
    if (slot->received > slot->answer_cap) {
        size_t cap = slot->received + ANSWER_GROWS;
        char *larger = realloc(slot->answer, cap);
        if (larger == NULL) {
            return 0;
        }
        slot->answer = larger;
        slot->answer_cap = cap;
    }
    memcpy(slot->answer + at, data, len);
    return len;
}

/* Names are looked up by now, so that none can lead to where webhooks may not go. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address) {
    struct slot *slot = arg;
    (void)purpose;
    if (ranges_have(slot->deny, &address->addr) && !ranges_have(slot->allow, &address->addr)) {
        slot->is_denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* --- one request --- */

static int slot_setup(const struct hook_sender *sender, struct slot *slot, const char *method) {
    const struct rendered *r = &slot->request;
    CURL *easy = slot->easy;
    int64_t limit_ms = sender->config.timeout_ms;
    CURLcode bad = CURLE_OK;
#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set = curl_easy_setopt(easy, option, value);                                      \
        bad = bad != CURLE_OK ? bad : set;                                                         \
    } while (0)
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)limit_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(limit_ms / CONNECT_SHARE));
    SET(CURLOPT_USERAGENT, "slipwayd/" SLIPWAY_VERSION);
    SET(CURLOPT_HTTPHEADER, r->headers);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_PROXY, ""); /* the environment's would connect to what is denied here */
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, slot);
    SET(CURLOPT_WRITEFUNCTION, take_answer);
    SET(CURLOPT_WRITEDATA, slot);
    SET(CURLOPT_PRIVATE, slot);
    if (r->body != NULL) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        SET(CURLOPT_POSTFIELDS, r->body);
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    if (r->user != NULL) {
        SET(CURLOPT_USERNAME, r->user);
        SET(CURLOPT_PASSWORD, r->password != NULL ? r->password : "");
    }
    if (r->accepts_any_certificate) {
        SET(CURLOPT_SSL_VERIFYPEER, 0L);
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
#undef SET
    return bad == CURLE_OK ? SW_OK : SW_E_IO;
}

static void slot_end(struct hook_sender *sender, struct slot *slot) {
    if (slot->easy != NULL) {
        (void)curl_multi_remove_handle(sender->multi, slot->easy);
        curl_easy_cleanup(slot->easy);
        slot->easy = NULL;
    }
    rendered_close(&slot->request);
    free(slot->answer);
    slot->answer = NULL;
    slot->state = SLOT_ENDED;
}

static void slot_failed(struct slot *slot, bool is_final, const char *reason) {
    slot->outcome.is_sent = false;
    slot->outcome.is_final = is_final;
    (void)snprintf(slot->outcome.reason, sizeof slot->outcome.reason, "%s", reason);
}

static void slot_start(struct hook_sender *sender, struct slot *slot,
                       const struct app_hook_job *job) {
    *slot = (struct slot){
        .state = SLOT_SENDING,
        .deny = &sender->deny,
        .allow = &sender->allow,
        .outcome = {.hook_id = job->hook.row.id, .delivery_id = job->delivery.id},
    };
    memcpy(slot->uid, job->hook.row.uid, sizeof slot->uid);
    int code = render(job, &slot->request);
    slot->easy = code == SW_OK ? curl_easy_init() : NULL;
    if (slot->easy == NULL || slot_setup(sender, slot, job->hook.row.method) != SW_OK ||
        curl_multi_add_handle(sender->multi, slot->easy) != CURLM_OK) {
        slot_failed(slot, code == SW_E_INPUT, "the request cannot be made");
        slot_end(sender, slot);
    }
}

/* What is told of an answer. It was delivered, whatever can be made of what came back. */
static void slot_retell(const struct hook_sender *sender, struct slot *slot) {
    struct app_hook_outcome *outcome = &slot->outcome;
    size_t max = sender->config.answer_max;
    struct span answer = span_of(slot->answer, slot->received);
    bool is_short = slot->received <= (max < ANSWER_READ_MAX ? max : ANSWER_READ_MAX);
    int code = retell(&slot->request, outcome->is_sent && is_short ? answer : span_of(NULL, 0),
                      &slot->retold);
    outcome->topic = slot->retold.topic;
    outcome->error_topic = slot->retold.error_topic;
    outcome->answer = slot->retold.answer;
    outcome->answer_len = slot->retold.answer_len;
    if (outcome->is_sent && max > 0 && (!is_short || outcome->answer_len > max)) {
        outcome->answer = NULL;
        (void)snprintf(outcome->reason, sizeof outcome->reason,
                       "the answer is longer than %zu bytes", max);
    } else if (outcome->is_sent && code != SW_OK) {
        (void)snprintf(outcome->reason, sizeof outcome->reason,
                       "the answer does not fit the template");
    }
}

/* What became of it: an answer counts by its status, even one that is too long to be read. */
static void slot_done(struct hook_sender *sender, struct slot *slot, CURLcode result) {
    long status = 0;
    char reason[REASON_BYTES];
    (void)curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &status);
    bool is_answered =
        result == CURLE_OK || (result == CURLE_WRITE_ERROR && slot->received > ANSWER_READ_MAX);
    slot->outcome.status = is_answered && status > 0 && status < 1000 ? (uint16_t)status : 0;
    if (slot->is_denied && !is_answered) {
        slot_failed(slot, true, "its address is denied by the server's settings");
    } else if (!is_answered) {
        slot_failed(slot, false, curl_easy_strerror(result));
    } else if (status >= 200 && status < 300) {
        slot->outcome.is_sent = true;
    } else {
        (void)snprintf(reason, sizeof reason, "error status %u from %.40s", slot->outcome.status,
                       slot->request.host);
        slot_failed(slot,
                    status != STATUS_TIMEOUT && status != STATUS_TOO_MANY &&
                        status < STATUS_SERVER_ERR,
                    reason);
    }
    slot_retell(sender, slot);
    slot_end(sender, slot);
}

/* --- rounds --- */

static int run_settle(struct app_tx *tx, void *arg) {
    return app_hook_settle(tx, arg);
}

/* Writes down what ended; what cannot be written now stays and is tried again. */
static bool settle(struct hook_sender *sender) {
    struct app_hook_outcome items[PARALLEL_MAX];
    struct slot *ended[PARALLEL_MAX];
    struct app_hook_outcomes outcomes = {.items = items};
    for (size_t i = 0; i < sender->config.parallel; i++) {
        struct slot *slot = &sender->slots[i];
        if (slot->state == SLOT_ENDED) {
            ended[outcomes.count] = slot;
            items[outcomes.count++] = slot->outcome;
        }
    }
    if (outcomes.count == 0) {
        return true;
    }
    struct app_error error = {0};
    if (app_execute(sender->app, run_settle, &outcomes, &error) != SW_OK) {
        log_note(LOG_UNUSUAL, "hook_not_recorded", error.description);
        return false;
    }
    for (size_t i = 0; i < outcomes.count; i++) {
        struct log_line line;
        bool was_disabled = items[i].was_disabled;
        log_begin(&line, was_disabled ? LOG_UNUSUAL : LOG_DEBUG,
                  was_disabled       ? "hook_disabled"
                  : items[i].is_sent ? "hook_sent"
                                     : "hook_failed");
        log_text(&line, "hook", ended[i]->uid);
        log_int(&line, "delivery", items[i].delivery_id);
        log_text(&line, "reason", items[i].is_sent ? NULL : items[i].reason);
        log_end(&line);
        retold_close(&ended[i]->retold);
        ended[i]->state = SLOT_FREE;
    }
    return true;
}

struct look {
    struct hook_sender *sender;
    struct app_hook_ready ready;
    struct app_hook_job job;
    int64_t wait_ms;
};

static bool is_under_way(const struct hook_sender *sender, int64_t hook_id) {
    for (size_t i = 0; i < sender->config.parallel; i++) {
        const struct slot *slot = &sender->slots[i];
        if (slot->state != SLOT_FREE && slot->outcome.hook_id == hook_id) {
            return true;
        }
    }
    return false;
}

static struct slot *free_slot(struct hook_sender *sender) {
    for (size_t i = 0; i < sender->config.parallel; i++) {
        if (sender->slots[i].state == SLOT_FREE) {
            return &sender->slots[i];
        }
    }
    return NULL;
}

static int run_look(struct app_tx *tx, void *arg) {
    struct look *look = arg;
    struct slot *slot;
    int code = app_hook_ready(tx, &look->ready);
    for (size_t i = 0; code == SW_OK && i < look->ready.count; i++) {
        if (is_under_way(look->sender, look->ready.ids[i]) ||
            (slot = free_slot(look->sender)) == NULL) {
            continue;
        }
        code = app_hook_job(tx, look->ready.ids[i], &look->job);
        if (code == SW_OK) {
            slot_start(look->sender, slot, &look->job);
        } else if (code == SW_E_NOT_FOUND) {
            code = SW_OK;
        }
    }
    if (code == SW_OK && look->ready.next_ms - tx->now.ms < look->wait_ms) {
        look->wait_ms = look->ready.next_ms - tx->now.ms;
    }
    return code;
}

/* Starts what may be sent; returns how long nothing else will be due. */
static int64_t look_for_work(struct hook_sender *sender) {
    int64_t ids[PARALLEL_MAX * 2];
    struct look look = {.sender = sender,
                        .ready = {.max = sender->config.parallel * 2, .ids = ids},
                        .wait_ms = LOOK_AGAIN_MS};
    if (app_read(sender->app, sender->reader, run_look, &look, NULL) != SW_OK) {
        log_note(LOG_UNUSUAL, "hooks_unreadable", "looking again soon");
        return STORE_BUSY_MS;
    }
    return look.wait_ms;
}

static void take_ended(struct hook_sender *sender) {
    CURLMsg *message;
    int left = 0;
    while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
        struct slot *slot = NULL;
        if (message->msg == CURLMSG_DONE) {
            CURLcode result = message->data.result;
            (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
            slot_done(sender, slot, result);
        }
    }
}

static bool any_ended(const struct hook_sender *sender) {
    for (size_t i = 0; i < sender->config.parallel; i++) {
        if (sender->slots[i].state == SLOT_ENDED) {
            return true;
        }
    }
    return false;
}

/* What is due and finds no slot is found when one ends. */
static void sender_run(void *arg) {
    struct hook_sender *sender = arg;
    while (!atomic_load(&sender->is_ending)) {
        int64_t wait_ms = settle(sender) ? look_for_work(sender) : STORE_BUSY_MS;
        int running = 0;
        (void)curl_multi_perform(sender->multi, &running);
        take_ended(sender);
        if (!any_ended(sender) || wait_ms == STORE_BUSY_MS) {
            (void)curl_multi_poll(sender->multi, NULL, 0, (int)wait_ms, NULL);
            (void)curl_multi_perform(sender->multi, &running);
            take_ended(sender);
        }
    }
}

/* --- life --- */

static void close_reader(struct hook_sender *sender) {
    if (sender->reader != NULL) {
        app_reader_close(sender->app, sender->reader);
        sender->reader = NULL;
    }
}

static int read_ranges(const char *setting, const char *text, struct ranges *out,
                       struct fault *fault) {
    int code = ranges_parse(text, out, fault);
    if (code != SW_OK) {
        fault_prefix(fault, setting);
    }
    return code;
}

int hook_sender_start(struct hook_sender **out, struct app *app, const struct hook_config *config,
                      struct fault *fault) {
    *out = NULL;
    struct hook_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) {
        return fault_set(fault, SW_E_MEMORY, "out of memory for webhooks");
    }
    sender->app = app;
    sender->config = *config;
    if (sender->config.parallel == 0 || sender->config.parallel > PARALLEL_MAX) {
        sender->config.parallel = PARALLEL_MAX / 4;
    }
    if (sender->config.timeout_ms == 0) {
        sender->config.timeout_ms = 10000;
    }
    sender->config.deny = NULL;
    sender->config.allow = NULL;
    int code = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
                   ? SW_OK
                   : fault_set(fault, SW_E_IO, "libcurl cannot be started");
    code = code != SW_OK ? code : read_ranges("hooks.deny", config->deny, &sender->deny, fault);
    code = code != SW_OK ? code : read_ranges("hooks.allow", config->allow, &sender->allow, fault);
    code = code != SW_OK ? code : app_reader_open(app, &sender->reader, fault);
    if (code == SW_OK && (sender->multi = curl_multi_init()) == NULL) {
        code = fault_set(fault, SW_E_MEMORY, "out of memory for webhooks");
    }
    code = code != SW_OK ? code : thread_start(&sender->thread, "hooks", sender_run, sender, fault);
    if (code != SW_OK) {
        close_reader(sender);
        hook_sender_free(sender);
        return code;
    }
    *out = sender;
    return SW_OK;
}

void hook_sender_events_ready(struct hook_sender *sender) {
    (void)curl_multi_wakeup(sender->multi);
}

void hook_sender_stop(struct hook_sender *sender) {
    if (sender == NULL) {
        return;
    }
    atomic_store(&sender->is_ending, true);
    (void)curl_multi_wakeup(sender->multi);
    thread_join(&sender->thread);
    for (size_t i = 0; i < PARALLEL_MAX; i++) {
        slot_end(sender, &sender->slots[i]);
        retold_close(&sender->slots[i].retold);
    }
    close_reader(sender);
}

void hook_sender_free(struct hook_sender *sender) {
    if (sender == NULL) {
        return;
    }
    if (sender->multi != NULL) {
        (void)curl_multi_cleanup(sender->multi);
    }
    curl_global_cleanup();
    free(sender);
}
