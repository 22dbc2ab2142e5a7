#include "http/request/dates.h"

#include <string.h>
#include <time.h>

#include "http/request/query.h"
#include "http/request/request.h"

/* Exactly count digits at *at, which moves past them. */
static bool take_digits(const char **at, int count, int max, int *out) {
    *out = 0;
    for (int i = 0; i < count; i++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *out = *out * 10 + (*(*at)++ - '0');
    }
    return *out <= max;
}

static bool take(const char **at, char c) {
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* ".123": any number of digits, of which three count. */
static bool take_fraction(const char **at, int *ms) {
    int scale = 100;
    if (!take(at, '.')) {
        return true;
    }
    if (**at < '0' || **at > '9') {
        return false;
    }
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        *ms += (**at - '0') * scale;
        scale /= 10;
    }
    return true;
}

/* "Z", nothing, or "+02:00". */
static bool take_offset(const char **at, int *minutes) {
    int hours = 0, rest = 0;
    if (take(at, 'Z') || **at == '\0') {
        return true;
    }
    bool is_west = **at == '-';
    if (!is_west && **at != '+' && **at != ' ') {
        return false;
    }
    (*at)++;
    bool good = take_digits(at, 2, 23, &hours);
    (void)take(at, ':');
    good = good && take_digits(at, 2, 59, &rest);
    *minutes = (is_west ? -1 : 1) * (hours * 60 + rest);
    return good;
}

bool date_parse(const char *text, int64_t *ms) {
    struct tm tm = {0};
    int fraction_ms = 0, offset_min = 0;
    const char *at = text;
    bool good = take_digits(&at, 4, 9999, &tm.tm_year) && take(&at, '-') &&
                take_digits(&at, 2, 12, &tm.tm_mon) && take(&at, '-') &&
                take_digits(&at, 2, 31, &tm.tm_mday) && tm.tm_mon > 0 && tm.tm_mday > 0;
    if (good && take(&at, 'T')) {
        good = take_digits(&at, 2, 23, &tm.tm_hour) && take(&at, ':') &&
               take_digits(&at, 2, 59, &tm.tm_min) &&
               (!take(&at, ':') ||
                (take_digits(&at, 2, 60, &tm.tm_sec) && take_fraction(&at, &fraction_ms))) &&
               take_offset(&at, &offset_min);
    }
    if (!good || *at != '\0') {
        return false;
    }
    int day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *ms = (int64_t)timegm(&tm) * 1000 + fraction_ms - (int64_t)offset_min * 60000;
    return tm.tm_mday == day; /* else there was no such day in that month */
}

void dates_refuse(struct request *rq, const char *sentence) {
    reply_json(&rq->reply, 400,
               json_pack("{s:s, s:s}", "error", "bad_request", "description", sentence));
}

bool dates_read(struct request *rq, int64_t *start_ms, int64_t *end_ms) {
    const char *start = request_query(rq, "start_date");
    const char *end = request_query(rq, "end_date");
    *start_ms = 0;
    *end_ms = 0;
    if ((start != NULL && !date_parse(start, start_ms)) ||
        (end != NULL && !date_parse(end, end_ms))) {
        dates_refuse(rq, "start_date and end_date must be ISO8601 formatted");
        return false;
    }
    if (*end_ms != 0 && *end_ms < *start_ms) {
        dates_refuse(rq, "end_date must not be before start_date");
        return false;
    }
    return true;
}
