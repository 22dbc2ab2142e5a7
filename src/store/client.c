#include "slipway/store/client.h"

#include "store/internal.h"

#include <string.h>

static void read_client(sqlite3_stmt *q, void *row) {
    struct client *c = (struct client *)row;
    char type[16];
    c->id = col_int(q, 0);
    col_text(q, 1, c->uid, sizeof c->uid);
    c->user_id = col_int(q, 2);
    c->product_id = col_u16(q, 3);
    col_text(q, 4, c->name, sizeof c->name);
    col_text(q, 5, type, sizeof type);
    c->is_web = strcmp(type, "web") == 0;
    col_text(q, 6, c->redirect_uri, sizeof c->redirect_uri);
    (void)col_blob(q, 7, c->secret.b, sizeof c->secret.b);
    c->created_ms = col_int(q, 8);
}

int store_client_insert(struct store *store, struct client *client, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CLIENT_INSERT, fault);
    bind_text(q, ":uid", client->uid);
    bind_int(q, ":user", client->user_id);
    bind_int(q, ":product", client->product_id);
    bind_text(q, ":name", client->name);
    bind_text(q, ":type", client->is_web ? "web" : "installed");
    bind_text(q, ":redirect", client->redirect_uri);
    bind_blob(q, ":secret", client->secret.b, sizeof client->secret.b);
    bind_int(q, ":now", client->created_ms);
    int code = stmt_run_one(store, q, fault);
    client->id = sqlite3_last_insert_rowid(store->db);
    return code;
}

int store_client_by_uid(struct store *store, const char *uid, struct client *out,
                        struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CLIENT_BY_UID, fault);
    bind_text(q, ":uid", uid);
    return stmt_one(store, q, read_client, out, fault);
}

int store_client_list(struct store *store, uint16_t product_id, struct client **items,
                      size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CLIENT_LIST, fault);
    bind_int(q, ":product", product_id);
    return stmt_all(store, q, read_client, sizeof **items, items, count, fault);
}

int store_client_edit(struct store *store, const struct client *client, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_CLIENT_EDIT, fault);
    bind_int(q, ":id", client->id);
    bind_text(q, ":name", client->name);
    bind_text(q, ":redirect", client->redirect_uri);
    return stmt_run_one(store, q, fault);
}
