/* How the fleet of a product does over time. */
#include "http/request/query.h"
#include "slipway/app/metric.h"

#include <stdlib.h>
#include <string.h>

#include "http/handlers.h"
#include "http/reply/pages.h"
#include "http/request/dates.h"
#include "slipway/model/device_os.h"
#include "slipway/sys/clock.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#define DAY_MS        (24 * METRIC_HOUR_MS)
#define MINUTE_MS     INT64_C(60000)
#define SPAN_MS       DAY_MS       /* when no start is given */
#define HOURLY_MS_MAX (3 * DAY_MS) /* longer spans are cut into days when nothing else is said */

static const char *const names[APP_METRICS] = {[APP_METRIC_ONLINE] = "online",
                                               [APP_METRIC_EVENTS] = "events",
                                               [APP_METRIC_INTEGRATION] = "integration",
                                               [APP_METRIC_FUNCTIONS] = "functions",
                                               [APP_METRIC_VARIABLES] = "variables"};

struct metric {
    struct app_metric_query query;
    struct app_metric_list list;
};

static bool is_counted_hourly(enum app_metric metric) {
    return metric == APP_METRIC_FUNCTIONS || metric == APP_METRIC_VARIABLES;
}

/* "15m", "1h", "7d", or seconds. */
static bool bucket_parse(const char *text, int64_t *ms) {
    char *end = NULL;
    long long number = strtoll(text, &end, 10);
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"m", MINUTE_MS}, {"h", METRIC_HOUR_MS}, {"d", DAY_MS}};
    for (size_t i = 0; i < SW_COUNT(units); i++) {
        if (text[0] >= '1' && text[0] <= '9' && number <= 1000000000 &&
            strcmp(end, units[i].unit) == 0) {
            *ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

static bool read_span(struct request *rq, struct app_metric_query *query) {
    if (!dates_read(rq, &query->start_ms, &query->end_ms)) {
        return false;
    }
    query->end_ms = query->end_ms != 0 ? query->end_ms : wall_now().ms;
    query->start_ms = query->start_ms != 0 ? query->start_ms : query->end_ms - SPAN_MS;
    if (query->start_ms < 0 || query->start_ms >= query->end_ms) {
        dates_refuse(rq, "start_date must be before end_date");
        return false;
    }
    const char *size = request_query(rq, "bucket_size");
    query->bucket_ms = query->end_ms - query->start_ms <= HOURLY_MS_MAX ? METRIC_HOUR_MS : DAY_MS;
    int64_t least_ms = is_counted_hourly(query->metric) ? METRIC_HOUR_MS : MINUTE_MS;
    if (size != NULL && (!bucket_parse(size, &query->bucket_ms) || query->bucket_ms < least_ms ||
                         query->bucket_ms % least_ms != 0)) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "bucket_size: must be a number of whole %s, such as 1h or 1d",
                    least_ms == MINUTE_MS ? "minutes" : "hours");
        return false;
    }
    return true;
}

/* "6.2.0", or the number of the module. */
static bool read_system(struct request *rq, uint16_t *out) {
    const char *text = request_query(rq, "device_os_version");
    int64_t number = 0;
    if (text == NULL) {
        return true;
    }
    *out = device_os_module(text);
    if (*out == 0 && text_integer(text, &number) && number >= 1 && number <= UINT16_MAX) {
        *out = (uint16_t)number;
    }
    if (*out == 0) {
        reply_error(&rq->reply, 400, "invalid_request",
                    "device_os_version: is not the name or module number of a known Device OS");
    }
    return *out != 0;
}

static int run_metric(struct app_tx *tx, void *arg) {
    struct metric *metric = arg;
    return app_metric_read(tx, &metric->query, &metric->list);
}

static json_t *page_point(enum app_metric metric, const struct app_metric_point *point) {
    json_t *at = page_time(point->at_ms);
    if (metric == APP_METRIC_ONLINE || metric == APP_METRIC_EVENTS) {
        return json_pack("{s:o, s:I}", "at", at, metric == APP_METRIC_ONLINE ? "online" : "count",
                         (json_int_t)point->good);
    }
    return json_pack("{s:o, s:I, s:I}", "at", at, "succeeded", (json_int_t)point->good, "failed",
                     (json_int_t)point->bad);
}

void handle_metrics(struct request *rq) {
    const char *name = request_param(rq, "metric");
    struct metric metric = {.query = {.product_id = rq->product.id, .version = -1}};
    int found = -1;
    int64_t version = -1;
    for (int i = 0; i < APP_METRICS; i++) {
        found = strcmp(names[i], name) == 0 ? i : found;
    }
    if (found < 0) {
        reply_error(&rq->reply, 404, "not_found",
                    "metric: must be online, events, integration, functions or variables");
        return;
    }
    metric.query.metric = (enum app_metric)found;
    metric.query.group = request_query(rq, "device_group");
    if (!read_span(rq, &metric.query) ||
        !request_query_integer(rq, "product_fw", 0, UINT16_MAX, &version) ||
        !read_system(rq, &metric.query.system_version)) {
        return;
    }
    metric.query.version = (int32_t)version;
    if (!request_read(rq, run_metric, &metric)) {
        return;
    }
    json_t *points = json_array();
    for (size_t i = 0; i < metric.list.count; i++) {
        (void)json_array_append_new(points, page_point(metric.query.metric, &metric.list.items[i]));
    }
    free(metric.list.items);
    reply_json(&rq->reply, 200,
               json_pack("{s:b, s:s, s:i, s:o, s:o, s:I, s:o}", "ok", 1, "metric", name,
                         "product_id", (int)rq->product.id, "start_date",
                         page_time(metric.query.start_ms), "end_date",
                         page_time(metric.query.end_ms), "bucket_size",
                         (json_int_t)(metric.query.bucket_ms / 1000), "buckets", points));
}
