/* libcrypto decodes the key of a certificate as it parses it, with every decoder that the library
 * context has. Here the parser is given a context of its own for that, in which a provider of ours
 * offers a decoder that makes no key of the bytes, but recognises them, and stands for any key.
 * The certificate itself stays in the default context, where its hash is computed and its
 * signature verified with the key of its issuer, which is a real one. */
#include "crypto/leaf.h"

#include "slipway/crypto/key.h"
#include "slipway/crypto/secret.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>

#define NAME_OF_KEYS       "EC"
#define P384_SPKI_BYTES    120
#define P256_SECURITY_BITS 128

/* The provider, its decoder and its only key are one and the same. */
struct stand_in {
    OSSL_FUNC_BIO_read_ex_fn *read;
};

/* RFC 5480: SEQUENCE { SEQUENCE { id-ecPublicKey, secp384r1 }, BIT STRING of 98 bytes }. */
static bool is_p384(struct span spki) {
    static const uint8_t head[P384_SPKI_BYTES - P384_POINT_BYTES + 1] = {
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
        0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04};
    return spki.len == P384_SPKI_BYTES && memcmp(spki.data, head, sizeof head) == 0;
}

static void *decoder_new(void *provider) {
    return provider;
}

static void decoder_free(void *decoder) {
    (void)decoder;
}

static int decoder_decode(void *decoder, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *give,
                          void *context, OSSL_PASSPHRASE_CALLBACK *ask, void *ask_context) {
    const struct stand_in *stand_in = decoder;
    uint8_t bytes[P384_SPKI_BYTES + 1];
    size_t len = 0;
    struct p256_point point;
    (void)selection;
    (void)ask;
    (void)ask_context;
    if (stand_in->read(in, bytes, sizeof bytes, &len) != 1) {
        return 0;
    }
    struct span spki = span_of(bytes, len);
    if (p256_spki_decode(spki, &point) != SW_OK && !is_p384(spki)) {
        return 1; /* not a failure: there is no key, that is all */
    }
    int type = OSSL_OBJECT_PKEY;
    char name[] = NAME_OF_KEYS;
    OSSL_PARAM found[] = {
        OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, sizeof name - 1),
        OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &decoder, sizeof decoder),
        OSSL_PARAM_END};
    return give(found, context);
}

static void *key_new(void *provider) {
    return provider;
}

static void key_free(void *key) {
    (void)key;
}

static void *key_load(const void *reference, size_t len) {
    void *key = NULL;
    if (len == sizeof key) {
        memcpy(&key, reference, sizeof key);
    }
    return key;
}

/* Path building asks whether parameters are missing that an issuer's key could give. */
static int key_has(const void *key, int selection) {
    (void)key;
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0;
}

static const OSSL_PARAM *key_gettable(void *provider) {
    static const OSSL_PARAM gettable[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), OSSL_PARAM_END};
    (void)provider;
    return gettable;
}

static bool tell(OSSL_PARAM params[], const char *name, int value) {
    OSSL_PARAM *asked = OSSL_PARAM_locate(params, name);
    return asked == NULL || OSSL_PARAM_set_int(asked, value) == 1;
}

/* What is true of all that the decoder recognises. */
static int key_get(void *key, OSSL_PARAM params[]) {
    (void)key;
    return tell(params, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, 0) &&
           tell(params, OSSL_PKEY_PARAM_SECURITY_BITS, P256_SECURITY_BITS);
}

typedef void dispatched_fn(void);
#define DISPATCH(function) ((dispatched_fn *)(function))

static const OSSL_DISPATCH decoder_functions[] = {
    {OSSL_FUNC_DECODER_NEWCTX, DISPATCH(decoder_new)},
    {OSSL_FUNC_DECODER_FREECTX, DISPATCH(decoder_free)},
    {OSSL_FUNC_DECODER_DECODE, DISPATCH(decoder_decode)},
    {0, NULL}};

static const OSSL_DISPATCH key_functions[] = {
    {OSSL_FUNC_KEYMGMT_NEW, DISPATCH(key_new)},
    {OSSL_FUNC_KEYMGMT_FREE, DISPATCH(key_free)},
    {OSSL_FUNC_KEYMGMT_LOAD, DISPATCH(key_load)},
    {OSSL_FUNC_KEYMGMT_HAS, DISPATCH(key_has)},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, DISPATCH(key_gettable)},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, DISPATCH(key_get)},
    {0, NULL}};

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_cache) {
    static const OSSL_ALGORITHM decoders[] = {
        {NAME_OF_KEYS, "provider=slipway,input=der,structure=SubjectPublicKeyInfo",
         decoder_functions, NULL},
        {NULL, NULL, NULL, NULL}};
    /* The names that libcrypto's own keys of this kind have; it looks for them by OID. */
    static const OSSL_ALGORITHM keys[] = {
        {NAME_OF_KEYS ":id-ecPublicKey:1.2.840.10045.2.1", "provider=slipway", key_functions, NULL},
        {NULL, NULL, NULL, NULL}};
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_DECODER ? decoders : operation == OSSL_OP_KEYMGMT ? keys : NULL;
}

static void provider_end(void *provider) {
    crypto_free(provider, sizeof(struct stand_in));
}

static int provider_begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                          const OSSL_DISPATCH **out, void **provider) {
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, DISPATCH(provider_query)},
        {OSSL_FUNC_PROVIDER_TEARDOWN, DISPATCH(provider_end)},
        {0, NULL}};
    (void)handle;
    struct stand_in *stand_in = crypto_alloc(sizeof *stand_in);
    for (; stand_in != NULL && core->function_id != 0; core++) {
        if (core->function_id == OSSL_FUNC_BIO_READ_EX) {
            stand_in->read = OSSL_FUNC_BIO_read_ex(core);
        }
    }
    if (stand_in == NULL || stand_in->read == NULL) {
        provider_end(stand_in);
        return 0;
    }
    *out = functions;
    *provider = stand_in;
    return 1;
}

bool leaf_reader_init(struct leaf_reader *reader) {
    reader->context = OSSL_LIB_CTX_new();
    reader->provider =
        reader->context != NULL &&
                OSSL_PROVIDER_add_builtin(reader->context, "slipway", provider_begin) == 1
            ? OSSL_PROVIDER_load(reader->context, "slipway")
            : NULL;
    return reader->provider != NULL;
}

void leaf_reader_close(struct leaf_reader *reader) {
    if (reader->provider != NULL) {
        (void)OSSL_PROVIDER_unload(reader->provider);
    }
    OSSL_LIB_CTX_free(reader->context);
}

X509 *leaf_read(const struct leaf_reader *reader, struct span der) {
    const unsigned char *at = der.data;
    ASN1_VALUE *value =
        ASN1_item_d2i_ex(NULL, &at, (long)der.len, ASN1_ITEM_rptr(X509), reader->context, NULL);
    X509 *certificate = (X509 *)(void *)value;
    if (certificate != NULL && at != der.data + der.len) {
        X509_free(certificate);
        certificate = NULL;
    }
    return certificate;
}
