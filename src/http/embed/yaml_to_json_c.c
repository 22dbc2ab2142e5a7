/* Build tool: turns a YAML file into a C file that defines it as a JSON text.
 *
 *   yaml_to_json_c FILE.yaml NAME HEADER OUT.c
 *
 * Plain scalars follow YAML's core schema (null, true, false, integers, decimals); quoted and block
 * ones are texts. Anchors are not used by our files and are refused. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static json_t *scalar_of(const yaml_node_t *node) {
    const char *text = (const char *)node->data.scalar.value;
    size_t len = node->data.scalar.length;
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return json_stringn(text, len);
    }
    if (len == 0 || strcmp(text, "null") == 0 || strcmp(text, "~") == 0) {
        return json_null();
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        return json_boolean(text[0] == 't');
    }
    char *end = NULL;
    long long integer = strtoll(text, &end, 10);
    if (*end == '\0') {
        return json_integer(integer);
    }
    double real = strtod(text, &end);
    if (*end == '\0' && strpbrk(text, "0123456789") != NULL) {
        return json_real(real);
    }
    return json_stringn(text, len);
}

static json_t *node_of(yaml_document_t *document, int index);

static json_t *mapping_of(yaml_document_t *document, const yaml_node_t *node) {
    json_t *object = json_object();
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(document, pair->key);
        const char *name = (const char *)key->data.scalar.value;
        if (key->type != YAML_SCALAR_NODE || json_object_get(object, name) != NULL) {
            (void)fprintf(stderr, "line %zu: a key that is no text, or is there twice\n",
                          key->start_mark.line + 1);
            exit(1);
        }
        (void)json_object_set_new(object, name, node_of(document, pair->value));
    }
    return object;
}

static json_t *node_of(yaml_document_t *document, int index) {
    const yaml_node_t *node = yaml_document_get_node(document, index);
    if (node->type == YAML_SCALAR_NODE) {
        return scalar_of(node);
    }
    if (node->type == YAML_MAPPING_NODE) {
        return mapping_of(document, node);
    }
    json_t *array = json_array();
    for (const yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        (void)json_array_append_new(array, node_of(document, *item));
    }
    return array;
}

static json_t *load(const char *path) {
    FILE *file = fopen(path, "rb");
    yaml_parser_t parser;
    yaml_document_t document;
    if (file == NULL || yaml_parser_initialize(&parser) == 0) {
        perror(path);
        exit(1);
    }
    yaml_parser_set_input_file(&parser, file);
    if (yaml_parser_load(&parser, &document) == 0) {
        (void)fprintf(stderr, "%s:%zu: %s\n", path, parser.problem_mark.line + 1, parser.problem);
        exit(1);
    }
    json_t *root = node_of(&document, 1);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    (void)fclose(file);
    return root;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        return 2;
    }
    json_t *root = load(argv[1]);
    char *text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER);
    FILE *out = fopen(argv[4], "w");
    if (text == NULL || out == NULL) {
        perror(argv[4]);
        return 1;
    }
    /* As numbers: a C text may not be as long as this. */
    (void)fprintf(out, "#include \"%s\"\n\nconst char %s[] = {", argv[3], argv[2]);
    for (size_t i = 0; i <= strlen(text); i++) {
        (void)fprintf(out, "%s%d,", i % 24 == 0 ? "\n" : "", text[i]);
    }
    (void)fprintf(out, "\n};\n");
    bool is_written = ferror(out) == 0;
    is_written = fclose(out) == 0 && is_written;
    free(text);
    json_decref(root);
    return is_written ? 0 : 1;
}
