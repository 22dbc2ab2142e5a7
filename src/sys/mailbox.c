/* Threads of the house share nothing but messages; this is where they change hands. The list is
 * intrusive and its length bounded, so a flood is refused at its source instead of eating memory.
 */
#include "slipway/sys/mailbox.h"

#include "slipway/util/check.h"

#include <errno.h>
#include <time.h>

void mailbox_init(struct mailbox *box, size_t cap, mailbox_wake_fn *wake, void *arg) {
    SW_CHECK(cap > 0);
    pthread_condattr_t attributes;
    SW_CHECK(pthread_condattr_init(&attributes) == 0);
    SW_CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    SW_CHECK(pthread_mutex_init(&box->lock, NULL) == 0);
    SW_CHECK(pthread_cond_init(&box->filled, &attributes) == 0);
    SW_CHECK(pthread_condattr_destroy(&attributes) == 0);
    box->first = NULL;
    box->last = &box->first;
    box->count = 0;
    box->cap = cap;
    box->closed = false;
    box->wake = wake;
    box->wake_arg = arg;
}

void mailbox_destroy(struct mailbox *box) {
    SW_CHECK(box->count == 0);
    SW_CHECK(pthread_cond_destroy(&box->filled) == 0);
    SW_CHECK(pthread_mutex_destroy(&box->lock) == 0);
}

static void lock(struct mailbox *box) {
    SW_CHECK(pthread_mutex_lock(&box->lock) == 0);
}

static void unlock(struct mailbox *box) {
    SW_CHECK(pthread_mutex_unlock(&box->lock) == 0);
}

int mailbox_post(struct mailbox *box, struct mail *mail) {
    int result = SW_OK;
    lock(box);
    bool was_empty = box->count == 0;
    /* Read before unlocking: with the last message taken, the owner may destroy the box. */
    mailbox_wake_fn *wake = box->wake;
    void *arg = box->wake_arg;
    if (box->closed) {
        result = SW_E_STATE;
    } else if (box->count == box->cap) {
        result = SW_E_FULL;
    } else {
        mail->next = NULL;
        *box->last = mail;
        box->last = &mail->next;
        box->count++;
        /* At every post, not only the first: several threads may wait, one for each message. */
        SW_CHECK(pthread_cond_signal(&box->filled) == 0);
    }
    unlock(box);
    if (result == SW_OK && was_empty && wake != NULL) {
        wake(arg);
    }
    return result;
}

/* With the lock held: the oldest max messages (0 = all). */
static struct mail *take(struct mailbox *box, size_t max) {
    struct mail *list = box->first;
    if (list == NULL) {
        return NULL;
    }
    if (max == 0 || max >= box->count) {
        box->first = NULL;
        box->last = &box->first;
        box->count = 0;
        return list;
    }
    struct mail *end = list;
    for (size_t i = 1; i < max; i++) {
        end = end->next;
    }
    box->first = end->next;
    box->count -= max;
    end->next = NULL;
    return list;
}

struct mail *mailbox_take_all(struct mailbox *box) {
    lock(box);
    struct mail *list = take(box, 0);
    unlock(box);
    return list;
}

struct mail *mailbox_wait(struct mailbox *box, size_t max, int64_t timeout_ms) {
    struct timespec until = {0};
    if (timeout_ms >= 0) {
        SW_CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
        int64_t ns = until.tv_nsec + timeout_ms % 1000 * 1000000;
        until.tv_sec += (time_t)(timeout_ms / 1000 + ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
    }
    lock(box);
    int problem = 0;
    while (box->count == 0 && !box->closed && problem != ETIMEDOUT) {
        problem = timeout_ms < 0 ? pthread_cond_wait(&box->filled, &box->lock)
                                 : pthread_cond_timedwait(&box->filled, &box->lock, &until);
        SW_CHECK(problem == 0 || problem == ETIMEDOUT);
    }
    struct mail *list = take(box, max);
    unlock(box);
    return list;
}

void mailbox_close(struct mailbox *box) {
    lock(box);
    box->closed = true;
    SW_CHECK(pthread_cond_broadcast(&box->filled) == 0);
    unlock(box);
}

bool mailbox_is_closed(struct mailbox *box) {
    lock(box);
    bool closed = box->closed;
    unlock(box);
    return closed;
}

void latch_init(struct latch *latch) {
    mailbox_init(&latch->box, 1, NULL, NULL);
}

void latch_signal(struct latch *latch) {
    SW_CHECK(mailbox_post(&latch->box, &latch->mail) == SW_OK);
}

void latch_wait(struct latch *latch) {
    SW_CHECK(mailbox_wait(&latch->box, 1, -1) == &latch->mail);
    mailbox_destroy(&latch->box);
}
