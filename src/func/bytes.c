/* bytes.c - bytes, their encodings as text, digests, UUIDs. */
#include <openssl/evp.h>
#include <sys/random.h>

#include "func/func_int.h"

#define SCALAR(name) \
    static void name(struct func_ctx *ctx, const struct value *args, uint32_t arg_count, struct value *out)

/* Encodings by name: text to bytes and back. */
struct encoding {
    const char *name;
    bool (*decode)(struct str text, struct buf *bytes);
    bool (*encode)(struct str bytes, struct buf *text);
};

static bool decode_utf8(struct str text, struct buf *bytes)
{
    buf_append_str(bytes, text);
    return true;
}

static bool encode_utf8(struct str bytes, struct buf *text)
{
    for (size_t at = 0, len; at < bytes.len; at += len) {
        struct str one = str_sub(bytes, at, text_char_len(str_sub(bytes, at, bytes.len)));
        bool valid = text_is_valid(one);
        len = valid ? one.len : 1;
        buf_append_str(text, valid ? one : STR("\xef\xbf\xbd"));
    }
    return true;
}

/* Characters beyond ASCII become question marks. */
static bool decode_ascii(struct str text, struct buf *bytes)
{
    for (size_t at = 0, len; at < text.len; at += len) {
        uint32_t c = text_decode(str_sub(text, at, text.len), &len);
        buf_append_char(bytes, c < 0x80 ? (char)c : '?');
    }
    return true;
}

static bool encode_ascii(struct str bytes, struct buf *text)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_append_str(text, (unsigned char)bytes.ptr[i] < 0x80 ? str_sub(bytes, i, 1) : STR("\xef\xbf\xbd"));
    return true;
}

/* 0x..., X'...' or plain digits; an odd digit at the front stands alone. */
static bool decode_hex(struct str text, struct buf *bytes)
{
    if (str_starts_with(text, STR("0x")))
        text = str_sub(text, 2, text.len);
    else if (text.len >= 3 && (text.ptr[0] == 'x' || text.ptr[0] == 'X') && text.ptr[1] == '\'' &&
             text.ptr[text.len - 1] == '\'')
        text = str_sub(text, 2, text.len - 3);
    if (text.len % 2 == 0)
        return buf_append_hex_decoded(bytes, text);
    char first[2] = {'0', text.ptr[0]};
    return buf_append_hex_decoded(bytes, str_of(first, 2)) &&
           buf_append_hex_decoded(bytes, str_sub(text, 1, text.len));
}

static bool encode_hex(struct str bytes, struct buf *text)
{
    buf_append_hex(text, bytes);
    return true;
}

static bool decode_base64(struct str text, struct buf *bytes)
{
    return buf_append_base64_decoded(bytes, text);
}

static bool encode_base64(struct str bytes, struct buf *text)
{
    buf_append_base64(text, bytes);
    return true;
}

static const struct encoding encodings[] = {
    {"hex", decode_hex, encode_hex},
    {"utf8", decode_utf8, encode_utf8},
    {"ascii", decode_ascii, encode_ascii},
    {"base64", decode_base64, encode_base64},
};

static const struct encoding *find_encoding(struct func_ctx *ctx, struct value name)
{
    for (size_t i = 0; i < COUNT_OF(encodings); i++)
        if (str_eq_nocase(value_slice(name), str_from(encodings[i].name)))
            return &encodings[i];
    func_fail(ctx, "Unknown encoding type '%.*s'; use one of hex, utf8, ascii, base64",
              STR_ARG(value_slice(name)));
    return NULL;
}

SCALAR(fn_encode)
{
    const struct encoding *from = find_encoding(ctx, args[1]);
    const struct encoding *to = from ? find_encoding(ctx, args[2]) : NULL;
    if (to == NULL)
        return;
    struct buf bytes = {0}, text = {0};
    if (from->decode(value_slice(args[0]), &bytes) && to->encode(buf_str(&bytes), &text))
        *out = func_take_text(ctx, &text);
    else
        func_fail(ctx, "Text is not valid %s", from->name);
    buf_fini(&bytes);
    buf_fini(&text);
}

SCALAR(fn_from_bytes)
{
    const struct encoding *to = find_encoding(ctx, args[1]);
    struct buf text = {0};
    if (to != NULL && to->encode(value_slice(args[0]), &text))
        *out = func_take_text(ctx, &text);
    buf_fini(&text);
}

SCALAR(fn_to_bytes)
{
    const struct encoding *from = find_encoding(ctx, args[1]);
    struct buf bytes = {0};
    if (from == NULL)
        return;
    if (from->decode(value_slice(args[0]), &bytes)) {
        *out = func_take_text(ctx, &bytes);
        out->kind = SQL_BYTES;
    } else {
        func_fail(ctx, "Text is not valid %s", from->name);
    }
    buf_fini(&bytes);
}

/* The bytes as an unsigned number of `size` bytes in the order asked for. */
static bool read_number(struct func_ctx *ctx, const struct value *args, uint32_t count, size_t size,
                        uint64_t *bits)
{
    struct str order = count > 1 ? value_slice(args[1]) : STR("BIG_ENDIAN");
    bool little = str_eq_nocase(order, STR("LITTLE_ENDIAN"));
    if (!little && !str_eq_nocase(order, STR("BIG_ENDIAN"))) {
        func_fail(ctx, "Byte order must be BIG_ENDIAN or LITTLE_ENDIAN, not '%.*s'", STR_ARG(order));
        return false;
    }
    if (args[0].len != size) {
        func_fail(ctx, "Number of bytes must be equal to %zu, but found %u", size, args[0].len);
        return false;
    }
    *bits = 0;
    for (size_t i = 0; i < size; i++)
        *bits = *bits << 8 | (unsigned char)args[0].ptr[little ? size - 1 - i : i];
    return true;
}

SCALAR(fn_int_from_bytes)
{
    uint64_t bits;
    if (read_number(ctx, args, arg_count, 4, &bits))
        *out = value_int((int32_t)(uint32_t)bits);
}

SCALAR(fn_bigint_from_bytes)
{
    uint64_t bits;
    if (read_number(ctx, args, arg_count, 8, &bits))
        *out = value_bigint((int64_t)bits);
}

SCALAR(fn_double_from_bytes)
{
    uint64_t bits;
    double d;
    if (!read_number(ctx, args, arg_count, 8, &bits))
        return;
    memcpy(&d, &bits, sizeof d);
    *out = value_double(d);
}

SCALAR(fn_md5)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(args[0].len ? args[0].ptr : "", args[0].len, digest, &size, EVP_md5(), NULL) != 1) {
        func_fail(ctx, "MD5 is not available on this machine");
        return;
    }
    struct buf text = {0};
    buf_append_hex(&text, str_of((const char *)digest, size));
    *out = func_take_text(ctx, &text);
}

static struct value uuid_text(struct func_ctx *ctx, const unsigned char *bytes)
{
    static const size_t parts[] = {4, 2, 2, 2, 6};
    struct buf text = {0};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (i > 0)
            buf_append_char(&text, '-');
        buf_append_hex(&text, str_of((const char *)bytes, parts[i]));
        bytes += parts[i];
    }
    return func_take_text(ctx, &text);
}

SCALAR(fn_uuid)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        func_fail(ctx, "The system gives no random bytes");
        return;
    }
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    *out = uuid_text(ctx, bytes);
}

SCALAR(fn_uuid_of_bytes)
{
    if (args[0].len == 16)
        *out = uuid_text(ctx, (const unsigned char *)args[0].ptr);
}

static const struct func_sig bigint_sigs[] = {{"(value BYTES) BIGINT", .scalar = fn_bigint_from_bytes,
                                               .strict = true},
                                              {"(value BYTES, byteOrder STRING) BIGINT",
                                               .scalar = fn_bigint_from_bytes, .strict = true}};
static const struct func_sig double_sigs[] = {{"(value BYTES) DOUBLE", .scalar = fn_double_from_bytes,
                                               .strict = true},
                                              {"(value BYTES, byteOrder STRING) DOUBLE",
                                               .scalar = fn_double_from_bytes, .strict = true}};
static const struct func_sig int_sigs[] = {{"(value BYTES) INTEGER", .scalar = fn_int_from_bytes,
                                            .strict = true},
                                           {"(value BYTES, byteOrder STRING) INTEGER",
                                            .scalar = fn_int_from_bytes, .strict = true}};
static const struct func_sig encode_sigs[] = {
    {"(str STRING, inputEncoding STRING, outputEncoding STRING) STRING", .scalar = fn_encode,
     .strict = true}};
static const struct func_sig from_bytes_sigs[] = {
    {"(value BYTES, encoding STRING) STRING", .scalar = fn_from_bytes, .strict = true}};
static const struct func_sig to_bytes_sigs[] = {
    {"(value STRING, encoding STRING) BYTES", .scalar = fn_to_bytes, .strict = true}};
static const struct func_sig md5_sigs[] = {{"(s STRING) STRING", .scalar = fn_md5, .strict = true}};
static const struct func_sig uuid_sigs[] = {{"() STRING", .scalar = fn_uuid, .is_volatile = true},
                                            {"(bytes BYTES) STRING", .scalar = fn_uuid_of_bytes,
                                             .strict = true}};

static const struct func funcs[] = {
    FUNC("bigint_from_bytes", "CONVERSIONS", FUNC_SCALAR, bigint_sigs,
         "Eight bytes as a BIGINT, big endian by default."),
    FUNC("double_from_bytes", "CONVERSIONS", FUNC_SCALAR, double_sigs,
         "Eight bytes as a DOUBLE, big endian by default."),
    FUNC("encode", "STRING", FUNC_SCALAR, encode_sigs,
         "Text in one of hex, utf8, ascii, base64 as text in another."),
    FUNC("from_bytes", "STRING", FUNC_SCALAR, from_bytes_sigs, "Bytes as text: hex, utf8, ascii or base64."),
    FUNC("int_from_bytes", "CONVERSIONS", FUNC_SCALAR, int_sigs,
         "Four bytes as an INTEGER, big endian by default."),
    FUNC("md5", "STRING", FUNC_SCALAR, md5_sigs,
         "MD5 digest of the text's UTF-8 bytes, in small hex digits."),
    FUNC("to_bytes", "STRING", FUNC_SCALAR, to_bytes_sigs, "Text in hex, utf8, ascii or base64 as bytes."),
    FUNC("uuid", "STRING", FUNC_SCALAR, uuid_sigs, "A random UUID, or the one that 16 bytes spell."),
};

const struct func_family family_bytes = {funcs, COUNT_OF(funcs)};
