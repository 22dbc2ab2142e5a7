/* What a session told, as store jobs. A report that cannot become a job is refused: it is not
 * acknowledged, and the device repeats it. */
#include "gateway/gateway.h"

#include "slipway/model/platform.h"

#include <string.h>

/* Device OS allows itself four events a second for its application and as many for the system, 255
 * of these at a time; it acknowledges in turn, so that few reports are under way at once. */
#define REPORT_US       125000
#define REPORTS_BURST   256
#define REPORTS_AT_ONCE 24

/* Whether one more may be kept now: each moves the time by which the device has made good for them,
 * which may lie so far ahead and no further. */
static bool report_is_due(struct gateway *gw, struct seat *seat, mono_time now) {
    mono_time good = seat->reported.us > now.us ? seat->reported : now;
    if (seat->jobs >= REPORTS_AT_ONCE ||
        good.us - now.us > (REPORTS_BURST - 1) * (int64_t)REPORT_US) {
        gw->counters.reports_shed++;
        return false;
    }
    seat->reported = mono_add_us(good, REPORT_US);
    return true;
}

static void report(struct gateway *gw, struct seat *seat, const struct session_event *event,
                   struct gateway_job *job, const struct device_id *device, struct moment now) {
    if (job != NULL) {
        job->ticket = event->ticket;
        job->device = *device;
    }
    if (job_submit(gw, job, seat, now) != SW_OK && event->ticket != 0) {
        session_refuse(&seat->session, event->ticket);
    }
}

static void event_hello(struct gateway *gw, struct seat *seat, const struct session_event *event,
                        struct moment now) {
    const struct device_hello *hello = &event->u.hello;
    const struct platform *platform = platform_find(hello->platform_id);
    struct gateway_job *job = job_new(JOB_HELLO, 0);
    seat->is_cellular = platform != NULL && platform->is_cellular;
    /* Until the store has said whether this key may still speak for the device, nobody does. */
    seat->is_served = false;
    seat->session.is_trusted = false;
    if (job != NULL) {
        job->u.hello = (struct app_hello){.id = hello->device,
                                          .proof = seat->proof,
                                          .product_id = hello->product_id,
                                          .product_version = hello->product_version,
                                          .flags = hello->flags,
                                          .platform_id = hello->platform_id,
                                          .system_version = hello->system_version,
                                          .message_max = hello->message_max,
                                          .binary_max = hello->binary_max,
                                          .chunk_bytes = hello->chunk_bytes};
        address_text(&seat->session.peer, job->u.hello.address);
    }
    report(gw, seat, event, job, &hello->device, now);
}

static void event_resumed(struct gateway *gw, struct seat *seat, const struct session_event *event,
                          struct moment now) {
    struct gateway_job *job = job_new(JOB_RESUMED, 0);
    gw->counters.sessions_resumed++;
    if (job != NULL) {
        job->u.resumed.proof = seat->proof;
        job->u.resumed.is_reconnected = seat->session.is_moving;
        address_text(&seat->session.peer, job->u.resumed.address);
    }
    report(gw, seat, event, job, &seat->session.device, now);
}

static void event_publish(struct gateway *gw, struct seat *seat, const struct session_event *event,
                          struct moment now) {
    struct span name = event->u.publish.name, data = event->u.publish.data;
    struct gateway_job *job = job_new(JOB_PUBLISH, name.len + data.len);
    if (job != NULL) {
        job->u.publish.name_len = name.len;
        if (name.len > 0) {
            memcpy(job->tail, name.data, name.len);
        }
        if (data.len > 0) {
            memcpy(job->tail + name.len, data.data, data.len);
        }
    }
    report(gw, seat, event, job, &seat->session.device, now);
}

static void event_describe(struct gateway *gw, struct seat *seat, const struct session_event *event,
                           struct moment now) {
    struct span bytes = event->u.describe.bytes;
    struct gateway_job *job = job_new(JOB_DESCRIBE, bytes.len);
    if (job != NULL) {
        job->u.describe.kind = event->u.describe.kind;
        job->u.describe.content_format = event->u.describe.content_format;
        if (bytes.len > 0) {
            memcpy(job->tail, bytes.data, bytes.len);
        }
    }
    report(gw, seat, event, job, &seat->session.device, now);
}

/* It becomes a job for the store. */
static bool event_is_report(enum session_event_kind kind) {
    switch (kind) {
    case SESSION_EVENT_HELLO:
    case SESSION_EVENT_RESUMED:
    case SESSION_EVENT_DESCRIBE:
    case SESSION_EVENT_UPDATES:
    case SESSION_EVENT_PUBLISH:
    case SESSION_EVENT_SUBSCRIBE:
    case SESSION_EVENT_GOODBYE:
        return true;
    case SESSION_EVENT_TRANSFER:
    case SESSION_EVENT_ANSWER:
    case SESSION_EVENT_UNREACHABLE:
    case SESSION_EVENT_CLOSED:
        break;
    }
    return false;
}

/* A report of a device that is not served is acknowledged, so that it stays quiet, and dropped:
 * only its Hello is on record. */
static bool event_is_dropped(const struct seat *seat, enum session_event_kind kind) {
    return !seat->is_served && event_is_report(kind) && kind != SESSION_EVENT_HELLO &&
           kind != SESSION_EVENT_RESUMED;
}

/* It said too much. An event is acknowledged, or the device would give up its session, and not
 * kept; what is state waits at the device, which repeats it. */
static uint32_t event_shed(struct seat *seat, const struct session_event *event, mono_time now) {
    if (event->kind == SESSION_EVENT_PUBLISH) {
        return event->ticket;
    }
    if (event->kind == SESSION_EVENT_RESUMED) {
        /* Nobody repeats it: its update is looked at a little later. */
        seat->retry = mono_earlier(seat->retry, mono_add_ms(now, SETTLE_MS));
    }
    session_refuse(&seat->session, event->ticket);
    return 0;
}

uint32_t event_handle(struct gateway *gw, struct seat *seat, const struct session_event *event,
                      struct moment now) {
    struct gateway_job *job;
    if (event_is_dropped(seat, event->kind)) {
        gw->counters.quarantined++;
        return event->ticket;
    }
    if (event_is_report(event->kind) && !report_is_due(gw, seat, now.mono)) {
        return event_shed(seat, event, now.mono);
    }
    switch (event->kind) {
    case SESSION_EVENT_HELLO:
        event_hello(gw, seat, event, now);
        break;
    case SESSION_EVENT_DESCRIBE:
        event_describe(gw, seat, event, now);
        break;
    case SESSION_EVENT_RESUMED:
        event_resumed(gw, seat, event, now);
        break;
    case SESSION_EVENT_UPDATES:
        job = job_new(JOB_UPDATES, 0);
        if (job != NULL) {
            job->u.updates.is_forced = event->u.updates.is_forced;
            job->u.updates.value = event->u.updates.value;
        }
        report(gw, seat, event, job, &seat->session.device, now);
        break;
    case SESSION_EVENT_PUBLISH:
        event_publish(gw, seat, event, now);
        break;
    case SESSION_EVENT_SUBSCRIBE:
        job = job_new(JOB_SUBSCRIBE, event->u.prefix.len);
        if (job != NULL) {
            memcpy(job->tail, event->u.prefix.data, event->u.prefix.len);
        }
        report(gw, seat, event, job, &seat->session.device, now);
        break;
    case SESSION_EVENT_GOODBYE:
        job = job_new(JOB_GOODBYE, 0);
        if (job != NULL) {
            job->u.goodbye =
                (struct app_goodbye){.cloud_reason = event->u.goodbye.cloud_reason,
                                     .reset_reason = event->u.goodbye.reset_reason,
                                     .sleep_s = event->u.goodbye.sleep_s,
                                     .network_reason = event->u.goodbye.network_reason};
        }
        report(gw, seat, event, job, &seat->session.device, now);
        break;
    case SESSION_EVENT_TRANSFER:
        transfer_event(gw, seat, event, now);
        break;
    case SESSION_EVENT_ANSWER:
        command_answer(gw, seat, event);
        break;
    case SESSION_EVENT_UNREACHABLE:
        command_unreachable(gw, seat);
        break;
    case SESSION_EVENT_CLOSED:
        break; /* the caller's */
    }
    return 0;
}
