#include "slipway/store/update.h"

#include "store/internal.h"

static void read_update(sqlite3_stmt *q, void *row) {
    struct update *u = (struct update *)row;
    char word[24];
    u->id = col_int(q, 0);
    (void)col_blob(q, 1, u->device.b, sizeof u->device.b);
    u->device_num = col_int(q, 2);
    u->product_id = col_u16(q, 3);
    u->image_id = col_int(q, 4);
    u->step_image_id = col_int(q, 5);
    u->version = col_u16(q, 6);
    u->from_version = col_u16(q, 7);
    col_text(q, 8, word, sizeof word);
    int cause = update_cause_find(word);
    u->cause = cause < 0 ? UPDATE_CAUSE_RULES : (enum update_cause)cause;
    col_text(q, 9, u->rule, sizeof u->rule);
    col_text(q, 10, word, sizeof word);
    int state = update_state_find(word);
    u->state = state < 0 ? UPDATE_CANCELLED : (enum update_state)state;
    col_text(q, 11, u->reason, sizeof u->reason);
    u->device_error = (int32_t)col_int(q, 12);
    u->attempt = col_u32(q, 13);
    u->progress_bytes = col_u32(q, 14);
    u->total_bytes = col_u32(q, 15);
    u->discard = col_bool(q, 16);
    col_text(q, 17, u->requested_by, sizeof u->requested_by);
    u->deadline_ms = col_int(q, 18);
    u->created_ms = col_int(q, 19);
    u->updated_ms = col_int(q, 20);
    u->finished_ms = col_int(q, 21);
}

static int append_history(struct store *store, const struct store_move *move, const char *from,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_HISTORY_INSERT, fault);
    bind_int(q, ":id", move->id);
    bind_int(q, ":now", move->now_ms);
    bind_text(q, ":from", from);
    bind_text(q, ":to", update_state_name(move->to));
    bind_text(q, ":reason", move->reason);
    bind_int(q, ":device_error", move->device_error);
    bind_int(q, ":progress", move->progress_bytes);
    return stmt_run_one(store, q, fault);
}

/* A device may go back and forth for as long as it likes: see UPDATE_HISTORY_MAX. */
static int lengthen_history(struct store *store, const struct store_move *move,
                            struct fault *fault) {
    int code = append_history(store, move, update_state_name(move->from), fault);
    if (code != SW_OK) {
        return code;
    }
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_HISTORY_TRIM, fault);
    bind_int(q, ":id", move->id);
    bind_int(q, ":max", UPDATE_HISTORY_MAX);
    return stmt_do(store, q, fault);
}

int store_update_insert(struct store *store, struct update *update, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_INSERT, fault);
    bind_int(q, ":num", update->device_num);
    bind_int(q, ":product", update->product_id);
    bind_int(q, ":image", update->image_id);
    if (update->step_image_id != 0) {
        bind_int(q, ":step", update->step_image_id);
    }
    bind_int(q, ":version", update->version);
    bind_int(q, ":from_version", update->from_version);
    bind_text(q, ":cause", update_cause_name(update->cause));
    bind_text(q, ":rule", update->rule);
    bind_int(q, ":attempt", update->attempt);
    bind_int(q, ":total", update->total_bytes);
    bind_text(q, ":by", update->requested_by);
    bind_int(q, ":now", update->created_ms);
    int code = stmt_run_one(store, q, fault);
    if (code != SW_OK) {
        return code;
    }
    update->id = sqlite3_last_insert_rowid(store->db);
    update->state = UPDATE_PLANNED;
    struct store_move opening = {
        .id = update->id, .to = UPDATE_PLANNED, .reason = "", .now_ms = update->created_ms};
    return append_history(store, &opening, NULL, fault);
}

int store_update_get(struct store *store, int64_t id, struct update *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_GET, fault);
    bind_int(q, ":id", id);
    return stmt_one(store, q, read_update, out, fault);
}

int store_update_open(struct store *store, int64_t device_num, struct update *out,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_OPEN, fault);
    bind_int(q, ":num", device_num);
    return stmt_one(store, q, read_update, out, fault);
}

int store_update_last(struct store *store, int64_t device_num, struct update *out,
                      struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_LAST, fault);
    bind_int(q, ":num", device_num);
    return stmt_one(store, q, read_update, out, fault);
}

int store_update_move(struct store *store, const struct store_move *move, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_MOVE, fault);
    bind_int(q, ":id", move->id);
    bind_text(q, ":from", update_state_name(move->from));
    bind_text(q, ":to", update_state_name(move->to));
    bind_text(q, ":reason", move->reason);
    bind_int(q, ":device_error", move->device_error);
    bind_int(q, ":progress", move->progress_bytes);
    bind_int(q, ":deadline", move->deadline_ms);
    bind_int(q, ":finished", update_state_is_open(move->to) ? 0 : move->now_ms);
    bind_int(q, ":discard", move->discard);
    bind_int(q, ":now", move->now_ms);
    int code = stmt_run_one(store, q, fault);
    if (code == SW_E_NOT_FOUND) {
        return SW_E_CONFLICT;
    }
    return code == SW_OK ? lengthen_history(store, move, fault) : code;
}

int store_update_step(struct store *store, int64_t id, const struct image_record *step,
                      int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_STEP, fault);
    bind_int(q, ":id", id);
    bind_int(q, ":step", step->id);
    bind_int(q, ":total", step->size);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_update_cause(struct store *store, int64_t id, enum update_cause cause,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_CAUSE, fault);
    bind_int(q, ":id", id);
    bind_text(q, ":cause", update_cause_name(cause));
    return stmt_run_one(store, q, fault);
}

int store_update_progress(struct store *store, int64_t id, uint32_t bytes, int64_t now_ms,
                          struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_PROGRESS, fault);
    bind_int(q, ":id", id);
    bind_int(q, ":progress", bytes);
    bind_int(q, ":now", now_ms);
    return stmt_run_one(store, q, fault);
}

int store_update_list(struct store *store, const struct store_update_filter *filter,
                      struct update **items, size_t *count, struct fault *fault) {
    bool of_device = filter->device_num != 0;
    sqlite3_stmt *q = stmt(store, of_device ? STMT_UPDATE_LIST_DEVICE : STMT_UPDATE_LIST, fault);
    if (of_device) {
        bind_int(q, ":num", filter->device_num);
    } else {
        bind_int(q, ":product", filter->product_id);
    }
    bind_text(q, ":state",
              filter->state < 0 ? NULL : update_state_name((enum update_state)filter->state));
    bind_int(q, ":version", filter->version);
    bind_int(q, ":open_only", filter->open_only);
    bind_int(q, ":before", filter->before_id > 0 ? filter->before_id : INT64_MAX);
    bind_int(q, ":max", filter->max);
    return stmt_all(store, q, read_update, sizeof **items, items, count, fault);
}

static void read_step(sqlite3_stmt *q, void *row) {
    struct update_step *s = (struct update_step *)row;
    char word[24];
    s->at_ms = col_int(q, 0);
    col_text(q, 1, word, sizeof word);
    s->from = col_is_null(q, 1) ? -1 : update_state_find(word);
    col_text(q, 2, word, sizeof word);
    int to = update_state_find(word);
    s->to = to < 0 ? UPDATE_CANCELLED : (enum update_state)to;
    col_text(q, 3, s->reason, sizeof s->reason);
    s->device_error = (int32_t)col_int(q, 4);
    s->progress_bytes = col_u32(q, 5);
}

int store_update_history(struct store *store, int64_t id, struct update_step **items, size_t *count,
                         struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_HISTORY, fault);
    bind_int(q, ":id", id);
    return stmt_all(store, q, read_step, sizeof **items, items, count, fault);
}

int store_update_limit_deadlines(struct store *store, int64_t latest_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_LIMIT_DEADLINES, fault);
    bind_int(q, ":latest", latest_ms);
    return stmt_do(store, q, fault);
}

int store_update_expired(struct store *store, int64_t now_ms, struct update **items, size_t *count,
                         struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_EXPIRED, fault);
    bind_int(q, ":now", now_ms);
    return stmt_all(store, q, read_update, sizeof **items, items, count, fault);
}

int store_update_in_transit(struct store *store, struct update **items, size_t *count,
                            struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_IN_TRANSIT, fault);
    return stmt_all(store, q, read_update, sizeof **items, items, count, fault);
}

int store_update_prune(struct store *store, const struct store_update_prune *limits,
                       int64_t *cursor, uint32_t *count, struct fault *fault) {
    int64_t newest = 0;
    int64_t until = 0;
    *count = 0;
    int code = stmt_int(store, stmt(store, STMT_UPDATE_NEWEST, fault), 0, &newest, fault);
    if (code != SW_OK) {
        return code;
    }
    sqlite3_stmt *q = stmt(store, STMT_UPDATE_AFTER, fault);
    bind_int(q, ":after", *cursor);
    bind_int(q, ":max", limits->look_max);
    code = stmt_int(store, q, newest, &until, fault);
    if (code != SW_OK || until <= *cursor) {
        *cursor = 0;
        return code;
    }
    int64_t rows_max = limits->rows_max < INT64_MAX ? (int64_t)limits->rows_max : INT64_MAX;
    q = stmt(store, STMT_UPDATE_PRUNE, fault);
    bind_int(q, ":after", *cursor);
    bind_int(q, ":until", until);
    bind_int(q, ":floor", newest > rows_max ? newest - rows_max : 0);
    bind_int(q, ":before", limits->before_ms);
    bind_int(q, ":keep", limits->device_keep);
    code = stmt_run(store, q, fault);
    if (code < 0) {
        return code;
    }
    *count = (uint32_t)code;
    *cursor = until;
    return SW_OK;
}

static void read_attempt(sqlite3_stmt *q, void *row) {
    struct store_attempt *a = (struct store_attempt *)row;
    a->failures = col_u32(q, 0);
    col_text(q, 1, a->reason, sizeof a->reason);
    a->next_ms = col_int(q, 2);
}

int store_attempt_get(struct store *store, int64_t device_num, int64_t image_id,
                      struct store_attempt *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ATTEMPT_GET, fault);
    bind_int(q, ":num", device_num);
    bind_int(q, ":image", image_id);
    return stmt_one(store, q, read_attempt, out, fault);
}

int store_attempt_put(struct store *store, int64_t device_num, int64_t image_id,
                      const struct store_attempt *attempt, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ATTEMPT_PUT, fault);
    bind_int(q, ":num", device_num);
    bind_int(q, ":image", image_id);
    bind_int(q, ":failures", attempt->failures);
    bind_text(q, ":reason", attempt->reason);
    bind_int(q, ":next", attempt->next_ms);
    return stmt_run_one(store, q, fault);
}

int store_attempt_clear_device(struct store *store, int64_t device_num, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ATTEMPT_CLEAR, fault);
    bind_int(q, ":num", device_num);
    return stmt_do(store, q, fault);
}

int store_attempt_clear_image(struct store *store, int64_t image_id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_ATTEMPT_CLEAR_IMAGE, fault);
    bind_int(q, ":image", image_id);
    return stmt_do(store, q, fault);
}
