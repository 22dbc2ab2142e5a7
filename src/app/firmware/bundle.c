/* Asset bundles: a .zip with one application in its root and the raw files that it needs under
 * assets/. Bundles come from outside, so everything about them is bounded before it is believed:
 * the directory before libzip builds its own from it, sizes before memory is asked for, and names
 * before anybody reads them. Nothing is ever unpacked into a file system. */
#include "app/firmware/file.h"

#include "slipway/util/check.h"

#include "app/internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zip.h>
#include <zlib.h>

#define ENTRIES_MAX   (IMAGE_ASSETS_MAX + 16) /* folders and notes of tools included */
#define DIRECTORY_MAX (ENTRIES_MAX * 1024)    /* bytes */
#define UNPACKED_MAX  IMAGE_MODULE_MAX        /* of all files together */
#define PACK_MIN      64                      /* bytes that packing must save */
#define FOLDER        "assets/"
#define NAME_MAX_ALL  (sizeof FOLDER - 1 + IMAGE_ASSET_NAME_MAX)

/* The end of a zip's directory: how it is found, and what is read of it here. */
#define END_BYTES     22
#define COMMENT_MAX   65535
#define END_ENTRIES   10 /* place in it: number of entries, 16 bits */
#define END_DIRECTORY 12 /* bytes of the directory, 32 bits */
#define LOCATOR_BYTES 20 /* of zip64's, before it */

struct unpacking {
    struct app_tx *tx;
    zip_t *zip;
    struct app_bundle *bundle;
    const char *names[ENTRIES_MAX]; /* libzip's own */
    uint32_t sizes[ENTRIES_MAX];
    size_t entries;
    size_t application; /* its entry */
    size_t asset_entries;
};

static int refuse(struct app_tx *tx, const char *why) {
    return app_fail(tx, SW_E_INPUT, "invalid_request", "file", "file is not a valid bundle: %s",
                    why);
}

static int refuse_entry(struct app_tx *tx, const char *name, const char *why) {
    return app_fail(tx, SW_E_INPUT, "invalid_request", "file",
                    "file is not a valid bundle: \"%s\" %s", name, why);
}

bool bundle_is_one(struct span bytes) {
    return bytes.len >= 4 &&
           (memcmp(bytes.data, "PK\3\4", 4) == 0 || memcmp(bytes.data, "PK\5\6", 4) == 0);
}

static uint32_t little(const uint8_t *bytes, size_t len) {
    uint32_t value = 0;
    for (size_t i = len; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

/* libzip makes a record of every entry that the directory claims when it opens a file, so that is
 * bounded first. Anything in the tail that may be taken for the directory's end counts. */
static const char *check_directory(struct span zip) {
    size_t tail = END_BYTES + COMMENT_MAX;
    size_t first = zip.len > tail ? zip.len - tail : 0;
    bool has_end = false;
    for (size_t at = first; at + END_BYTES <= zip.len; at++) {
        const uint8_t *end = zip.data + at;
        if (memcmp(end, "PK\5\6", 4) != 0) {
            continue;
        }
        has_end = true;
        if (at >= LOCATOR_BYTES && memcmp(end - LOCATOR_BYTES, "PK\6\7", 4) == 0) {
            return "it is a zip64 file";
        }
        if (little(end + END_ENTRIES, 2) > ENTRIES_MAX) {
            return "it has too many entries";
        }
        if (little(end + END_DIRECTORY, 4) > DIRECTORY_MAX) {
            return "its directory is too long";
        }
    }
    return has_end ? NULL : "its directory is missing";
}

static bool is_folder(const char *name) {
    size_t len = strlen(name);
    return len > 0 && name[len - 1] == '/';
}

static bool is_asset(const char *name) {
    return strncmp(name, FOLDER, sizeof FOLDER - 1) == 0 && !is_folder(name);
}

/* What the tools that make bundles put beside them, and no device is sent. */
static bool is_ignored(const char *name) {
    return is_folder(name) || strcmp(name, "env.json") == 0 || strncmp(name, "env/", 4) == 0;
}

static bool is_application(const char *name) {
    size_t len = strlen(name);
    return len > 4 && strchr(name, '/') == NULL && strcasecmp(name + len - 4, ".bin") == 0;
}

/* A name without a way out of the bundle, and without anything that a terminal would act on. */
static bool is_clean(const char *name) {
    size_t len = strlen(name);
    for (const char *p = name; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7F || *p == '\\' || *p == '"' || *p == ':') {
            return false;
        }
    }
    bool climbs = strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 ||
                  strstr(name, "/../") != NULL || (len >= 3 && strcmp(name + len - 3, "/..") == 0);
    return len > 0 && len <= NAME_MAX_ALL && name[0] != '/' && !climbs;
}

static int take_entry(struct unpacking *u, zip_uint64_t index, uint64_t *unpacked) {
    zip_stat_t stat;
    const zip_uint64_t wanted =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(u->zip, index, 0, &stat) != 0 || (stat.valid & wanted) != wanted) {
        return refuse(u->tx, "an entry cannot be read");
    }
    if (!is_clean(stat.name)) {
        return refuse(u->tx, "an entry's name is too long, leads out of it, or has characters that "
                             "no file should have");
    }
    if (stat.encryption_method != ZIP_EM_NONE) {
        return refuse_entry(u->tx, stat.name, "is encrypted");
    }
    if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
        return refuse_entry(u->tx, stat.name, "is packed in a way other than Deflate");
    }
    *unpacked += is_ignored(stat.name) ? 0 : stat.size;
    if (stat.size > UNPACKED_MAX || *unpacked > UNPACKED_MAX) {
        return refuse(u->tx, "its files are larger than any device has room for");
    }
    if (is_application(stat.name)) {
        if (u->application < ENTRIES_MAX) {
            return refuse(u->tx, "it has more than one application (.bin) in its root");
        }
        u->application = u->entries;
    } else if (is_asset(stat.name) && strchr(stat.name + sizeof FOLDER - 1, '/') == NULL) {
        u->asset_entries++;
    } else if (!is_ignored(stat.name)) {
        return refuse_entry(u->tx, stat.name,
                            "does not belong there: a bundle has one .bin file "
                            "and assets/");
    }
    u->names[u->entries] = stat.name;
    u->sizes[u->entries] = (uint32_t)stat.size;
    u->entries++;
    return SW_OK;
}

static int take_entries(struct unpacking *u) {
    zip_int64_t count = zip_get_num_entries(u->zip, 0);
    uint64_t unpacked = 0;
    if (count < 0 || count > ENTRIES_MAX) {
        return refuse(u->tx, "it has too many entries");
    }
    for (zip_uint64_t i = 0; i < (zip_uint64_t)count; i++) {
        int code = take_entry(u, i, &unpacked);
        if (code != SW_OK) {
            return code;
        }
    }
    return u->application < ENTRIES_MAX ? SW_OK
                                        : refuse(u->tx, "it has no application (.bin) in its root");
}

/* *out is malloc'ed, sizes[entry] bytes of it are the file. */
static int unpack(struct unpacking *u, size_t entry, uint8_t **out) {
    uint32_t size = u->sizes[entry];
    *out = malloc((size_t)size + 1);
    if (*out == NULL) {
        return fault_set(u->tx->fault, SW_E_MEMORY, "out of memory for a bundle");
    }
    zip_file_t *file = zip_fopen_index(u->zip, entry, 0);
    /* One byte more than there should be: its absence is checked, and so is the CRC at the end. */
    zip_int64_t len = file != NULL ? zip_fread(file, *out, (zip_uint64_t)size + 1) : -1;
    if (file != NULL) {
        (void)zip_fclose(file);
    }
    if (len == (zip_int64_t)size) {
        return SW_OK;
    }
    free(*out);
    *out = NULL;
    return refuse_entry(u->tx, u->names[entry], "is damaged");
}

static size_t find_asset(const struct unpacking *u, struct span name) {
    for (size_t i = 0; i < u->entries; i++) {
        if (is_asset(u->names[i]) && span_is_text(name, u->names[i] + sizeof FOLDER - 1)) {
            return i;
        }
    }
    return ENTRIES_MAX;
}

/* Packs an asset if that makes it shorter: it is stored as it was sent, and room is scarce. *out is
 * malloc'ed; NULL = it stays as it is. */
static void pack(struct span raw, struct image_asset_module *module, uint8_t **out) {
    z_stream z = {.zalloc = NULL};
    *out = malloc(raw.len > 0 ? raw.len : 1);
    if (*out == NULL || raw.len < PACK_MIN ||
        deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK) {
        free(*out);
        *out = NULL;
        return;
    }
    /* zlib does not write to its input, though its type would allow it. */
    z.next_in = (Bytef *)(uintptr_t)raw.data;
    z.avail_in = (uInt)raw.len;
    z.next_out = *out;
    z.avail_out = (uInt)raw.len - PACK_MIN;
    if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
        module->body = span_of(*out, z.total_out);
        module->raw_bytes = (uint32_t)raw.len;
    }
    (void)deflateEnd(&z);
}

static int wrap(struct unpacking *u, const struct image_asset *wanted, struct span raw) {
    struct bundle_asset *asset = &u->bundle->assets[u->bundle->count];
    struct image_asset_module module = {.asset = *wanted, .body = raw};
    uint8_t *packed;
    pack(raw, &module, &packed);
    size_t cap = image_asset_overhead(&module) + module.body.len;
    asset->module = malloc(cap);
    if (asset->module == NULL) {
        free(packed);
        return fault_set(u->tx->fault, SW_E_MEMORY, "out of memory for an asset");
    }
    u->bundle->count++;
    struct image_info info;
    const char *why;
    int len = image_write_asset(&module, asset->module, cap);
    free(packed);
    if (len < 0 || image_read_module(span_of(asset->module, (size_t)len), &info, &why) != SW_OK) {
        return refuse(u->tx, "an asset is larger than any device has room for");
    }
    file_record(&info, &asset->image);
    asset->image.module_hash = wanted->hash;
    memcpy(asset->image.name, wanted->name.data, wanted->name.len);
    return SW_OK;
}

/* The file that the application asks for by name, if it is the one that it was built with. */
static int take_asset(struct unpacking *u, const struct image_asset *wanted) {
    size_t entry = find_asset(u, wanted->name);
    if (entry == ENTRIES_MAX) {
        return app_fail(u->tx, SW_E_INPUT, "invalid_request", "file",
                        "file is not a valid bundle: the application needs the asset \"%.*s\", "
                        "which is not in it",
                        (int)wanted->name.len, (const char *)wanted->name.data);
    }
    uint8_t *raw = NULL;
    int code = unpack(u, entry, &raw);
    if (code != SW_OK) {
        return code;
    }
    struct sha256 hash;
    struct span bytes = span_of(raw, u->sizes[entry]);
    sha256_of(bytes, &hash);
    if (memcmp(hash.b, wanted->hash.b, sizeof hash.b) != 0) {
        code = refuse_entry(u->tx, u->names[entry],
                            "has another SHA-256 than the application was built with");
    } else {
        code = wrap(u, wanted, bytes);
    }
    free(raw);
    return code;
}

/* A name of the application's, before it is shown to anybody. */
static int check_name(struct unpacking *u, const struct image_asset *asset) {
    static const struct app_text_rule rule = {.field = "file: the name of an asset"};
    char name[IMAGE_ASSET_NAME_MAX + 1] = "";
    char taken[sizeof name];
    memcpy(name, asset->name.data, asset->name.len);
    if (strlen(name) != asset->name.len || !is_clean(name) || strchr(name, '/') != NULL) {
        return refuse(u->tx, "the application asks for an asset that no file can be");
    }
    return app_take_text(u->tx, &rule, name, taken, sizeof taken);
}

static int take_assets(struct unpacking *u, struct span application,
                       const struct image_info *info) {
    struct image_asset wanted[IMAGE_ASSETS_MAX];
    size_t count;
    const char *why;
    if (image_read_assets(application, info, wanted, SW_COUNT(wanted), &count, &why) != SW_OK) {
        return refuse(u->tx, why);
    }
    int code = SW_OK;
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        for (size_t k = 0; code == SW_OK && k < i; k++) {
            if (span_equal(wanted[i].name, wanted[k].name)) {
                code = refuse(u->tx, "the application names an asset twice");
            }
        }
        code = code == SW_OK ? check_name(u, &wanted[i]) : code;
        if (code == SW_OK) {
            code = take_asset(u, &wanted[i]);
        }
    }
    for (size_t e = 0; code == SW_OK && e < u->entries && u->asset_entries > count; e++) {
        bool is_wanted = !is_asset(u->names[e]);
        for (size_t i = 0; i < count && !is_wanted; i++) {
            is_wanted = span_is_text(wanted[i].name, u->names[e] + sizeof FOLDER - 1);
        }
        code = is_wanted ? SW_OK
                         : refuse_entry(u->tx, u->names[e],
                                        "is not an asset that the application depends on");
    }
    return code;
}

static int unpack_all(struct unpacking *u, struct image_info *info, struct app_file *out) {
    int code = take_entries(u);
    if (code == SW_OK) {
        code = unpack(u, u->application, &u->bundle->application);
    }
    if (code != SW_OK) {
        return code;
    }
    out->bytes = span_of(u->bundle->application, u->sizes[u->application]);
    code = file_read_module(u->tx, out->bytes, info);
    if (code == SW_OK && info->function != MODULE_USER_PART) {
        code = refuse_entry(u->tx, u->names[u->application], "is not an application");
    }
    if (code == SW_OK) {
        file_record(info, &out->image);
        code = take_assets(u, out->bytes, info);
    }
    return code;
}

int bundle_read(struct app_tx *tx, struct span zip, struct image_info *info, struct app_file *out) {
    *out = (struct app_file){.bundle = NULL};
    const char *why = check_directory(zip);
    if (why != NULL) {
        return refuse(tx, why);
    }
    struct unpacking u = {.tx = tx, .application = ENTRIES_MAX};
    u.bundle = calloc(1, sizeof *u.bundle);
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(zip.data, zip.len, 0, &error);
    if (u.bundle == NULL || source == NULL) {
        zip_source_free(source);
        free(u.bundle);
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for a bundle");
    }
    u.zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    int code;
    if (u.zip == NULL) {
        zip_source_free(source);
        bool is_twice = zip_error_code_zip(&error) == ZIP_ER_EXISTS;
        code = refuse(tx, is_twice ? "it has a file twice" : "it is not a sound .zip file");
    } else {
        u.bundle->zip = zip;
        code = unpack_all(&u, info, out);
        zip_discard(u.zip);
    }
    zip_error_fini(&error);
    if (code != SW_OK) {
        bundle_free(u.bundle);
        *out = (struct app_file){.bundle = NULL};
        return code;
    }
    out->bundle = u.bundle;
    return SW_OK;
}
