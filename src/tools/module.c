/* slipway-module: makes Device OS modules for trying things out, and says what is in one. The body
 * of a made module is noise from a seed, so that the same command line gives the same file. */
#include "slipway/image/image.h"
#include "slipway/model/ids.h"
#include "slipway/model/platform.h"
#include "slipway/util/hex.h"
#include "slipway/util/rng.h"
#include "slipway/util/text.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <zip.h>

#define SIZE_DEFAULT 65536

static const char usage[] =
    "usage: slipway-module make --platform NAME|ID [options] FILE\n"
    "       slipway-module bundle FILE.zip APPLICATION.bin ASSET...\n"
    "       slipway-module show FILE [--json]\n"
    "\n"
    "options of make:\n"
    "  --version N      product version compiled in, 1 to 65534 [none]\n"
    "  --product-id N   product id compiled in [the platform's id]\n"
    "  --size BYTES     length of the file [65536]\n"
    "  --seed N         of the noise that fills it [0]\n"
    "  --function NAME  user_part, system_part, bootloader, ... [user_part]\n"
    "  --index N        of the module [2 on nRF52840 applications, else 1]\n"
    "  --module-version N  of the module itself [6]\n"
    "  --system N       lowest Device OS module version it runs on [none]\n"
    "  --asset FILE     an asset that it depends on; any number of times\n";

static int complain(const char *what, const char *about) {
    fprintf(stderr, "slipway-module: %s: %s\n", about, what);
    return EXIT_FAILURE;
}

static bool read_number(const char *text, long low, long high, long *out) {
    int64_t value = 0;
    if (!text_integer(text, &value) || value < low || value > high) {
        fprintf(stderr, "slipway-module: \"%s\" is not a number from %ld to %ld\n", text, low,
                high);
        return false;
    }
    *out = (long)value;
    return true;
}

static const struct platform *read_platform(const char *text) {
    for (const struct platform *p = platform_all(); p->name != NULL; p++) {
        char number[8];
        snprintf(number, sizeof number, "%u", p->id);
        if (strcmp(text, p->name) == 0 || strcmp(text, number) == 0) {
            return p;
        }
    }
    return NULL;
}

struct make_options {
    const struct platform *platform;
    unsigned function;
    long index, module_version, version, product_id, size, seed, system;
    struct image_asset assets[IMAGE_ASSETS_MAX];
    size_t asset_count;
};

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool add_asset(struct make_options *options, const char *path) {
    static uint8_t bytes[IMAGE_MODULE_MAX];
    struct image_asset *asset = &options->assets[options->asset_count];
    const char *name = file_name(path);
    if (options->asset_count == IMAGE_ASSETS_MAX || strlen(name) > IMAGE_ASSET_NAME_MAX) {
        (void)complain("one asset too many, or its name is too long", path);
        return false;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)complain(strerror(errno), path);
        return false;
    }
    size_t len = fread(bytes, 1, sizeof bytes, file);
    bool is_read = ferror(file) == 0;
    fclose(file);
    sha256_of(span_of(bytes, len), &asset->hash);
    asset->name = span_text(name);
    options->asset_count++;
    return is_read || complain("could not be read", path) == EXIT_SUCCESS;
}

static bool take_option(struct make_options *options, int which, const char *text) {
    switch (which) {
    case 'p':
        options->platform = read_platform(text);
        if (options->platform == NULL) {
            (void)complain("no such platform", text);
        }
        return options->platform != NULL;
    case 'v':
        return read_number(text, 1, VERSION_NONE - 1, &options->version);
    case 'i':
        return read_number(text, 0, UINT16_MAX, &options->product_id);
    case 's':
        return read_number(text, 0, IMAGE_MODULE_MAX, &options->size);
    case 'e':
        return read_number(text, 0, LONG_MAX, &options->seed);
    case 'f':
        options->function = module_function_find(text);
        if (options->function == MODULE_NONE) {
            (void)complain("no such module function", text);
        }
        return options->function != MODULE_NONE;
    case 'x':
        return read_number(text, 0, UINT8_MAX, &options->index);
    case 'm':
        return read_number(text, 0, UINT16_MAX, &options->module_version);
    case 'd':
        return read_number(text, 0, UINT16_MAX, &options->system);
    case 'a':
        return add_asset(options, text);
    default:
        fputs(usage, stderr);
        return false;
    }
}

static int write_file(const char *path, const uint8_t *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return complain(strerror(errno), path);
    }
    bool written = fwrite(bytes, 1, len, file) == len;
    written = fclose(file) == 0 && written;
    return written ? EXIT_SUCCESS : complain("could not be written", path);
}

static int make(const struct make_options *options, const char *path) {
    struct image_recipe recipe = {
        .platform_id = options->platform->id,
        .function = (uint8_t)options->function,
        .module_version = (uint16_t)options->module_version,
        .product_version = (uint16_t)options->version,
        .assets = options->assets,
        .asset_count = options->asset_count,
    };
    bool is_second = !options->platform->is_rtl && options->function == MODULE_USER_PART;
    recipe.index = (uint8_t)(options->index >= 0 ? options->index : is_second ? 2 : 1);
    recipe.product_id =
        (uint16_t)(options->product_id >= 0 ? options->product_id : options->platform->id);
    if (options->system > 0) {
        recipe.dependencies[0] = (struct module_dependency){
            .function = MODULE_SYSTEM_PART, .index = 1, .version = (uint16_t)options->system};
    }
    size_t overhead = image_overhead(&recipe);
    size_t size = (size_t)options->size;
    if (size <= overhead) {
        return complain("--size leaves no room for a body", path);
    }
    uint8_t *body = malloc(size - overhead);
    uint8_t *file = malloc(size);
    int status = EXIT_FAILURE;
    if (body != NULL && file != NULL) {
        struct rng rng;
        rng_seed(&rng, (uint64_t)options->seed);
        rng_fill(&rng, body, size - overhead);
        recipe.body = span_of(body, size - overhead);
        int len = image_write_module(&recipe, file, size);
        status = len > 0 ? write_file(path, file, (size_t)len)
                         : complain("the module could not be made", path);
    }
    free(body);
    free(file);
    return status;
}

static int run_make(int argc, char **argv) {
    static const struct option names[] = {
        {"platform", required_argument, NULL, 'p'},
        {"version", required_argument, NULL, 'v'},
        {"product-id", required_argument, NULL, 'i'},
        {"size", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'e'},
        {"function", required_argument, NULL, 'f'},
        {"index", required_argument, NULL, 'x'},
        {"module-version", required_argument, NULL, 'm'},
        {"system", required_argument, NULL, 'd'},
        {"asset", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    struct make_options options = {.function = MODULE_USER_PART,
                                   .index = -1,
                                   .module_version = 6,
                                   .product_id = -1,
                                   .size = SIZE_DEFAULT};
    int which;
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (!take_option(&options, which, optarg)) {
            return EXIT_FAILURE;
        }
    }
    if (options.platform == NULL || optind != argc - 1) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    return make(&options, argv[optind]);
}

static bool add_file(zip_t *zip, const char *folder, const char *path) {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s%s", folder, file_name(path));
    zip_source_t *source = zip_source_file(zip, path, 0, -1);
    if (source != NULL && zip_file_add(zip, name, source, ZIP_FL_ENC_UTF_8) >= 0) {
        return true;
    }
    zip_source_free(source);
    return false;
}

static int run_bundle(int argc, char **argv) {
    if (argc < 3) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    const char *path = argv[1];
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    if (zip == NULL) {
        return complain("could not be made", path);
    }
    for (int i = 2; i < argc; i++) {
        if (!add_file(zip, i == 2 ? "" : "assets/", argv[i])) {
            zip_discard(zip);
            return complain("could not be added", argv[i]);
        }
    }
    if (zip_close(zip) != 0) {
        int status = complain(zip_strerror(zip), path);
        zip_discard(zip);
        return status;
    }
    return EXIT_SUCCESS;
}

static json_t *assets_json(struct span file, const struct image_info *info) {
    struct image_asset assets[IMAGE_ASSETS_MAX];
    size_t count = 0;
    const char *why;
    struct image_asset_module module;
    json_t *list = json_array();
    if (info->function == MODULE_ASSET) {
        count = image_read_asset(file, info, &module, &why) == SW_OK ? 1 : 0;
        assets[0] = module.asset;
    } else if (image_read_assets(file, info, assets, IMAGE_ASSETS_MAX, &count, &why) != SW_OK) {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        char hash[2 * SHA256_BYTES + 1];
        hex_encode(span_of(assets[i].hash.b, SHA256_BYTES), hash, sizeof hash);
        json_array_append_new(list,
                              json_pack("{s:s%, s:s}", "name", (const char *)assets[i].name.data,
                                        assets[i].name.len, "sha256", hash));
    }
    return list;
}

static json_t *dependency_json(const struct module_dependency *dependency) {
    return json_pack("{s:s, s:i, s:i}", "function", module_function_name(dependency->function),
                     "index", dependency->index, "version", dependency->version);
}

static int show(struct span file, const struct image_info *info, bool is_json) {
    char hash[2 * SHA256_BYTES + 1], file_hash[2 * SHA256_BYTES + 1], crc[9];
    hex_encode(span_of(info->hash.b, SHA256_BYTES), hash, sizeof hash);
    hex_encode(span_of(info->file_hash.b, SHA256_BYTES), file_hash, sizeof file_hash);
    snprintf(crc, sizeof crc, "%08x", info->crc);
    const struct platform *platform = platform_find(info->platform_id);
    json_t *shown = json_pack(
        "{s:s, s:i, s:s, s:i, s:i, s:i, s:I, s:s, s:s, s:s}", "platform",
        info->platform_id != 0 && platform != NULL ? platform->name : "none", "platform_id",
        info->platform_id, "function", module_function_name(info->function), "index", info->index,
        "module_version", info->module_version, "flags", info->flags, "size",
        (json_int_t)info->size, "hash", hash, "file_sha256", file_hash, "crc32", crc);
    json_object_set_new(shown, "product_id",
                        info->has_product ? json_integer(info->product_id) : json_null());
    json_object_set_new(shown, "product_version",
                        info->has_product ? json_integer(info->product_version) : json_null());
    json_t *dependencies = json_array();
    for (size_t i = 0; i < 2; i++) {
        if (info->dependencies[i].function != MODULE_NONE) {
            json_array_append_new(dependencies, dependency_json(&info->dependencies[i]));
        }
    }
    json_object_set_new(shown, "dependencies", dependencies);
    json_object_set_new(shown, "assets", assets_json(file, info));
    if (is_json) {
        (void)json_dumpf(shown, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        const char *key;
        json_t *value;
        json_object_foreach(shown, key, value) {
            char *text = json_dumps(value, JSON_ENCODE_ANY);
            const char *words = json_is_string(value) ? json_string_value(value) : text;
            printf("%-16s %s\n", key, words != NULL ? words : "");
            free(text);
        }
    }
    json_decref(shown);
    return EXIT_SUCCESS;
}

static int run_show(int argc, char **argv) {
    bool is_json = argc == 3 && strcmp(argv[2], "--json") == 0;
    if (argc != 2 && !is_json) {
        fputs(usage, stderr);
        return EXIT_FAILURE;
    }
    const char *path = argv[1];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return complain(strerror(errno), path);
    }
    uint8_t *bytes = malloc(IMAGE_MODULE_MAX + 1);
    size_t len = bytes != NULL ? fread(bytes, 1, IMAGE_MODULE_MAX + 1, file) : 0;
    int status = EXIT_FAILURE;
    struct image_info info;
    const char *why = "cannot be read";
    if (ferror(file) == 0 && bytes != NULL &&
        image_read_module(span_of(bytes, len), &info, &why) == SW_OK) {
        status = show(span_of(bytes, len), &info, is_json);
    } else {
        status = complain(why, path);
    }
    fclose(file);
    free(bytes);
    return status;
}

int main(int argc, char **argv) {
    if (argc >= 2 && strcmp(argv[1], "make") == 0) {
        return run_make(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "bundle") == 0) {
        return run_bundle(argc - 1, argv + 1);
    }
    if (argc >= 2 && strcmp(argv[1], "show") == 0) {
        return run_show(argc - 1, argv + 1);
    }
    fputs(usage, stderr);
    return EXIT_FAILURE;
}
