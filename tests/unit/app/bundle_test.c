/* What may be uploaded as an asset bundle, and what each refusal says. */
#include "bundle.h"
#include "world.h"

static struct zip_entry assets[3];

static int set_up(void **state) {
    (void)state;
    static const char *const names[] = {"cat.jpg", "sensor firmware.bin", "\xc3\xa9.txt"};
    world_open(&world, NULL);
    for (size_t i = 0; i < 3; i++) {
        assets[i] = (struct zip_entry){.name = names[i], .bytes = bundle_raw(names[i], 900 * i)};
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bundle_forget(&assets[i].bytes);
    }
    world_close(&world);
    return 0;
}

static int upload(struct span bytes, uint16_t version, struct firmware *out) {
    struct app_upload request = {
        .version = version, .title = "t", .file_name = "bundle.zip", .bytes = bytes};
    return world_upload_bytes(&world, &request, out);
}

struct load {
    const struct firmware *firmware;
    struct app_image image;
};

static int run_load(struct app_tx *tx, void *arg) {
    struct load *load = arg;
    return app_firmware_load(tx, load->firmware, &load->image);
}

static void a_bundle_is_taken_and_given_back_as_it_was(void **state) {
    (void)state;
    struct span zip = bundle_of(3, 0, 500, assets, 3);
    struct firmware firmware;
    assert_int_equal(upload(zip, 3, &firmware), SW_OK);
    assert_int_equal(firmware.bundle_bytes, zip.len);
    struct span application = bundle_application(3, 0, 500, assets, 3);
    assert_int_equal(firmware.image.size, application.len);
    assert_string_equal(firmware.image.name, "bundle.zip");
    struct load load = {.firmware = &firmware};
    assert_int_equal(app_read(world.app, world.store, run_load, &load, NULL), SW_OK);
    assert_int_equal(load.image.size, zip.len);
    assert_memory_equal(load.image.bytes, zip.data, zip.len);
    free(load.image.bytes);
    bundle_forget(&application);
    bundle_forget(&zip);
}

static void refused(struct span bytes, const char *why) {
    struct firmware firmware;
    int code = upload(bytes, 3, &firmware);
    assert_true(code == SW_E_INPUT || code == SW_E_RANGE);
    assert_string_equal(world.error.field, "file");
    if (strstr(world.error.description, why) == NULL) {
        fail_msg("expected \"%s\", got \"%s\"", why, world.error.description);
    }
}

static void refused_files(const struct zip_entry *files, size_t count, const char *why) {
    struct span zip = bundle_zip(files, count);
    refused(zip, why);
    bundle_forget(&zip);
}

static void a_bundle_must_be_whole(void **state) {
    (void)state;
    struct span application = bundle_application(3, 0, 100, assets, 2);
    struct zip_entry files[] = {{.name = "app.bin", .bytes = application},
                                {.name = "assets/cat.jpg", .bytes = assets[0].bytes},
                                {.name = "assets/sensor firmware.bin", .bytes = assets[1].bytes},
                                {.name = "assets/\xc3\xa9.txt", .bytes = assets[2].bytes}};
    struct firmware firmware;
    refused_files(files, 2,
                  "the application needs the asset \"sensor firmware.bin\", which is not in it");
    refused_files(files, 4,
                  "\"assets/\xc3\xa9.txt\" is not an asset that the application depends on");
    files[2].bytes = assets[2].bytes;
    refused_files(files, 3,
                  "\"assets/sensor firmware.bin\" has another SHA-256 than the application was");
    refused_files(files + 1, 2, "it has no application (.bin) in its root");
    files[2] = (struct zip_entry){.name = "other.BIN", .bytes = application};
    refused_files(files, 3, "it has more than one application (.bin) in its root");
    refused(application, "file is an application that needs 2 assets: upload the bundle (.zip)");
    bundle_forget(&application);

    application = bundle_application(3, 0, 100, NULL, 0);
    struct zip_entry alone[] = {{.name = "app.bin", .bytes = application},
                                {.name = "assets/cat.jpg", .bytes = assets[0].bytes}};
    refused_files(alone, 2, "\"assets/cat.jpg\" is not an asset that the application depends on");
    struct span zip = bundle_zip(alone, 1);
    assert_int_equal(upload(zip, 3, &firmware), SW_OK); /* needless, and harmless */
    bundle_forget(&zip);
    bundle_forget(&application);
}

static void what_is_in_a_bundle_is_checked_like_a_file(void **state) {
    (void)state;
    struct zip_entry nothing = {.name = "app.bin", .bytes = span_text("no module at all")};
    refused_files(&nothing, 1, "file is not a valid firmware module");
    struct span zip = bundle_of(4, 0, 100, assets, 1);
    refused(zip, "the file has version 4 compiled in, but version 3 is declared");
    bundle_forget(&zip);
    uint8_t module[2000];
    struct image_asset_module asset = image_asset_of(span_text("cat.jpg"), assets[1].bytes);
    int len = image_write_asset(&asset, module, sizeof module);
    nothing.bytes = span_of(module, (size_t)len);
    refused_files(&nothing, 1, "\"app.bin\" is not an application");
}

static void names_lead_nowhere(void **state) {
    (void)state;
    static const char *const bad[] = {"../app.bin", "/app.bin", "assets/../../app.bin",
                                      "assets/..",  "a\\b.bin", "c:app.bin",
                                      ".."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct zip_entry file = {.name = bad[i], .bytes = assets[0].bytes};
        refused_files(&file, 1, "an entry's name is too long, leads out of it, or has characters");
    }
    char endless[300];
    memset(endless, 'n', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    struct zip_entry file = {.name = endless, .bytes = assets[0].bytes};
    refused_files(&file, 1, "an entry's name is too long");
    static const char *const stray[] = {"readme.txt", "assets/deep/cat.jpg", "lib/app.bin"};
    for (size_t i = 0; i < sizeof stray / sizeof stray[0]; i++) {
        file.name = stray[i];
        refused_files(&file, 1, "does not belong there");
    }
}

/* Writes over each place of `from` in a copy of the file. */
static struct span patched(struct span file, const char *from, const char *to) {
    uint8_t *copy = malloc(file.len);
    assert_non_null(copy);
    memcpy(copy, file.data, file.len);
    for (size_t at = 0; at + strlen(from) <= file.len; at++) {
        if (memcmp(copy + at, from, strlen(from)) == 0) {
            memcpy(copy + at, to, strlen(from));
        }
    }
    return span_of(copy, file.len);
}

static void hostile_zips_are_refused_before_they_cost_anything(void **state) {
    (void)state;
    struct span application = bundle_application(3, 0, 100, assets, 1);
    struct zip_entry files[] = {{.name = "app.bin", .bytes = application},
                                {.name = "assets/cat.jpg", .bytes = assets[0].bytes},
                                {.name = "assets/dog.jpg", .bytes = assets[1].bytes}};
    struct span zip = bundle_zip(files, 3);
    struct span twice = patched(zip, "assets/dog.jpg", "assets/cat.jpg");
    refused(twice, "it has a file twice");
    bundle_forget(&twice);

    /* A damaged file: no byte of it may lead further than to a refusal. */
    for (size_t at = 0; at < zip.len; at += 3) {
        uint8_t *copy = malloc(zip.len);
        assert_non_null(copy);
        memcpy(copy, zip.data, zip.len);
        copy[at] ^= 0x5a;
        struct firmware firmware;
        assert_int_not_equal(upload(span_of(copy, zip.len), 3, &firmware), SW_OK);
        struct span cut = span_of(copy, at);
        assert_int_not_equal(upload(cut, 3, &firmware), SW_OK);
        free(copy);
    }
    bundle_forget(&zip);

    files[1].is_encrypted = true;
    refused_files(files, 2, "\"assets/cat.jpg\" is encrypted");

    struct span zeroes = bundle_zeroes(9000000); /* a thousand times smaller when packed */
    struct zip_entry bombs[] = {{.name = "a.bin", .bytes = zeroes},
                                {.name = "assets/b", .bytes = zeroes}};
    refused_files(bombs, 2, "its files are larger than any device has room for");
    bundle_forget(&zeroes);

    static struct zip_entry many[200];
    static char names[200][32];
    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(names[i], sizeof names[i], "assets/%zu", i);
        many[i] = (struct zip_entry){.name = names[i], .bytes = assets[0].bytes};
    }
    refused_files(many, 200, "it has too many entries");
    refused(span_text("PK\3\4 and nothing else"), "its directory is missing");
    bundle_forget(&application);
}

/* What says nothing of a directory's size where it is looked for, but says it elsewhere. */
static void a_directory_of_another_size_is_refused(void **state) {
    (void)state;
    struct span application = bundle_application(3, 0, 100, NULL, 0);
    struct zip_entry file = {.name = "app.bin", .bytes = application};
    struct span zip = bundle_zip(&file, 1);
    uint8_t *copy = malloc(zip.len + 20);
    assert_non_null(copy);
    memcpy(copy, zip.data, zip.len);
    size_t end = zip.len - 22;
    copy[end + 13] = 0xff;
    copy[end + 14] = 0xff;
    refused(span_of(copy, zip.len), "its directory is too long");
    memcpy(copy, zip.data, end);
    memset(copy + end, 0, 20);
    memcpy(copy + end, "PK\6\7", 4);
    memcpy(copy + end + 20, zip.data + end, 22);
    refused(span_of(copy, zip.len + 20), "it is a zip64 file");
    free(copy);
    bundle_forget(&zip);
    bundle_forget(&application);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_bundle_is_taken_and_given_back_as_it_was),
        TEST(a_bundle_must_be_whole),
        TEST(what_is_in_a_bundle_is_checked_like_a_file),
        TEST(names_lead_nowhere),
        TEST(hostile_zips_are_refused_before_they_cost_anything),
        TEST(a_directory_of_another_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
