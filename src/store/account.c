#include "slipway/crypto/secret.h"
#include "slipway/store/journal.h"

#include "store/cache.h"

#include <stdlib.h>
#include <string.h>

static void read_user(sqlite3_stmt *q, void *row) {
    struct store_user *u = (struct store_user *)row;
    u->user.id = col_int(q, 0);
    col_text(q, 1, u->user.name, sizeof u->user.name);
    col_text(q, 2, u->user.friendly_name, sizeof u->user.friendly_name);
    u->user.is_api = col_bool(q, 3);
    u->user.is_admin = col_bool(q, 4);
    u->user.product_id = col_u16(q, 5);
    col_text(q, 6, u->user.scopes, sizeof u->user.scopes);
    u->user.created_ms = col_int(q, 7);
    u->has_password =
        col_blob(q, 8, u->salt, sizeof u->salt) && col_blob(q, 9, u->hash, sizeof u->hash);
}

int store_user_insert(struct store *store, struct store_user *row, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_INSERT, fault);
    bind_text(q, ":name", row->user.name);
    bind_text(q, ":friendly", row->user.friendly_name);
    bind_int(q, ":api", row->user.is_api);
    bind_int(q, ":admin", row->user.is_admin);
    if (row->user.product_id != 0) {
        bind_int(q, ":product", row->user.product_id);
    }
    bind_text(q, ":scopes", row->user.scopes);
    if (row->has_password) {
        bind_blob(q, ":salt", row->salt, sizeof row->salt);
        bind_blob(q, ":hash", row->hash, sizeof row->hash);
    }
    bind_int(q, ":now", row->user.created_ms);
    int code = stmt_run_one(store, q, fault);
    row->user.id = sqlite3_last_insert_rowid(store->db);
    return code;
}

int store_user_get(struct store *store, int64_t id, struct store_user *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_GET, fault);
    bind_int(q, ":id", id);
    return stmt_one(store, q, read_user, out, fault);
}

int store_user_by_name(struct store *store, const char *name, struct store_user *out,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_BY_NAME, fault);
    bind_text(q, ":name", name);
    return stmt_one(store, q, read_user, out, fault);
}

int store_user_list(struct store *store, uint16_t product_id, struct store_user **items,
                    size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_LIST, fault);
    bind_int(q, ":product", product_id);
    return stmt_all(store, q, read_user, sizeof **items, items, count, fault);
}

int store_user_set_password(struct store *store, const struct store_user *row,
                            struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_PASSWORD, fault);
    bind_int(q, ":id", row->user.id);
    bind_blob(q, ":salt", row->salt, sizeof row->salt);
    bind_blob(q, ":hash", row->hash, sizeof row->hash);
    return stmt_run_one(store, q, fault);
}

static void read_failures(sqlite3_stmt *q, void *row) {
    struct store_login_failures *failures = (struct store_login_failures *)row;
    failures->here = col_u32(q, 0);
    failures->everywhere = col_u32(q, 1);
}

int store_login_failures(struct store *store, const struct store_login *login,
                         struct store_login_failures *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_LOGIN_FAILURES, fault);
    bind_int(q, ":user", login->user_id);
    bind_text(q, ":place", login->place);
    bind_int(q, ":since", login->since_ms);
    bind_int(q, ":until", login->until_ms);
    return stmt_one(store, q, read_failures, out, fault);
}

int store_login_failed(struct store *store, const struct store_login *login, int64_t now_ms,
                       struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_LOGIN_FAILED, fault);
    bind_int(q, ":user", login->user_id);
    bind_text(q, ":place", login->place);
    bind_int(q, ":now", now_ms);
    return stmt_do(store, q, fault);
}

int store_login_forget(struct store *store, const struct store_login *login, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_LOGIN_FORGET, fault);
    bind_int(q, ":user", login->user_id);
    bind_text(q, ":place", login->place);
    bind_int(q, ":since", login->since_ms);
    bind_int(q, ":until", login->until_ms);
    return stmt_do(store, q, fault);
}

int store_user_edit(struct store *store, const struct user *user, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_EDIT, fault);
    bind_int(q, ":id", user->id);
    bind_text(q, ":friendly", user->friendly_name);
    bind_text(q, ":scopes", user->scopes);
    return stmt_run_one(store, q, fault);
}

int store_user_delete(struct store *store, int64_t id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_USER_DELETE, fault);
    bind_int(q, ":id", id);
    return stmt_run_one(store, q, fault);
}

static void read_token(sqlite3_stmt *q, void *row) {
    struct store_token *t = (struct store_token *)row;
    char kind[16];
    t->token.id = col_int(q, 0);
    col_text(q, 1, kind, sizeof kind);
    t->token.kind = strcmp(kind, "refresh") == 0 ? TOKEN_REFRESH : TOKEN_ACCESS;
    t->token.user_id = col_int(q, 2);
    col_text(q, 3, t->token.client, sizeof t->token.client);
    t->token.expires_ms = col_int(q, 4);
    t->token.created_ms = col_int(q, 5);
    t->pair = col_int(q, 6);
    (void)col_blob(q, 7, t->hash.b, sizeof t->hash.b);
}

int store_token_insert(struct store *store, struct store_token *row, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_INSERT, fault);
    bind_blob(q, ":hash", row->hash.b, sizeof row->hash.b);
    bind_text(q, ":kind", row->token.kind == TOKEN_REFRESH ? "refresh" : "access");
    bind_int(q, ":user", row->token.user_id);
    bind_int(q, ":pair", row->pair);
    bind_text(q, ":client", row->token.client);
    bind_int(q, ":expires", row->token.expires_ms);
    bind_int(q, ":now", row->token.created_ms);
    int code = stmt_run_one(store, q, fault);
    row->token.id = sqlite3_last_insert_rowid(store->db);
    return code;
}

int store_token_by_hash(struct store *store, const struct sha256 *hash, struct store_token *out,
                        struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_BY_HASH, fault);
    bind_blob(q, ":hash", hash->b, sizeof hash->b);
    return stmt_one(store, q, read_token, out, fault);
}

static int find_owner(struct store *store, const struct sha256 *hash, struct store_token *token,
                      struct user *user, struct fault *fault) {
    struct store_user row;
    int code = store_token_by_hash(store, hash, token, fault);
    if (code == SW_OK) {
        code = store_user_get(store, token->token.user_id, &row, fault);
    }
    if (code == SW_OK) {
        *user = row.user;
        crypto_wipe(&row, sizeof row);
    }
    return code;
}

int store_token_owner(struct store *store, const struct sha256 *hash, struct store_token *token,
                      struct user *user, struct fault *fault) {
    struct cache *cache = cache_of(store);
    if (cache == NULL) {
        return find_owner(store, hash, token, user, fault);
    }
    struct cache_owner **slot = &cache->owners[hash->b[0] % CACHE_OWNERS];
    if (*slot == NULL || !crypto_equal((*slot)->token.hash.b, hash->b, sizeof hash->b)) {
        int code = find_owner(store, hash, token, user, fault);
        bool is_kept = code == SW_OK && (*slot != NULL || (*slot = malloc(sizeof **slot)) != NULL);
        if (is_kept) {
            (*slot)->token = *token;
            (*slot)->user = *user;
        }
        return code;
    }
    *token = (*slot)->token;
    *user = (*slot)->user;
    return SW_OK;
}

int store_token_get(struct store *store, int64_t id, struct store_token *out, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_GET, fault);
    bind_int(q, ":id", id);
    return stmt_one(store, q, read_token, out, fault);
}

int store_token_list(struct store *store, int64_t user_id, struct store_token **items,
                     size_t *count, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_LIST, fault);
    bind_int(q, ":user", user_id);
    return stmt_all(store, q, read_token, sizeof **items, items, count, fault);
}

int store_token_delete(struct store *store, const struct store_token *row, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_DELETE, fault);
    bind_int(q, ":id", row->token.id);
    int code = stmt_run_one(store, q, fault);
    if (code != SW_OK) {
        return code;
    }
    q = stmt(store, STMT_TOKEN_DELETE_PAIR, fault);
    bind_int(q, ":pair", row->pair);
    return stmt_do(store, q, fault);
}

int store_token_delete_user(struct store *store, int64_t user_id, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_DELETE_USER, fault);
    bind_int(q, ":user", user_id);
    return stmt_do(store, q, fault);
}

int store_token_delete_expired(struct store *store, int64_t now_ms, struct fault *fault) {
    sqlite3_stmt *q = stmt(store, STMT_TOKEN_DELETE_EXPIRED, fault);
    bind_int(q, ":now", now_ms);
    return stmt_do(store, q, fault);
}
