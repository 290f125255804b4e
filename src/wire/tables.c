/* tables.c - finding messages, and structs at their defaults. */
#include "wire/wire_int.h"

const struct wire_api *wire_api_find(int16_t api_key)
{
    size_t low = 0, high = wire_api_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (wire_apis[mid].api_key < api_key)
            low = mid + 1;
        else
            high = mid;
    }
    return low < wire_api_count && wire_apis[low].api_key == api_key ? &wire_apis[low] : NULL;
}

const struct wire_api *wire_api_all(size_t *count)
{
    *count = wire_api_count;
    return wire_apis;
}

const struct wire_message *wire_message_find(struct str name)
{
    for (size_t i = 0; i < wire_message_count; i++)
        if (str_eq_cstr(name, wire_messages[i]->name))
            return wire_messages[i];
    return NULL;
}

size_t wire_value_size(const struct wire_field *field)
{
    static const uint8_t sizes[] = {
        [WIRE_BOOL] = sizeof(bool),
        [WIRE_INT8] = 1,
        [WIRE_INT16] = 2,
        [WIRE_INT32] = 4,
        [WIRE_INT64] = 8,
        [WIRE_UINT16] = 2,
        [WIRE_UINT32] = 4,
        [WIRE_FLOAT64] = 8,
        [WIRE_UUID] = sizeof(struct uuid),
        [WIRE_STRING] = sizeof(struct str),
        [WIRE_BYTES] = sizeof(struct str),
        [WIRE_RECORDS] = sizeof(struct wire_records),
    };
    return field->type == WIRE_STRUCT ? field->sub->size : sizes[field->type];
}

static void init_number(const struct wire_field *field, void *at)
{
    switch (wire_value_size(field)) {
    case 1:
        *(int8_t *)at = (int8_t)field->init;
        break;
    case 2:
        *(int16_t *)at = (int16_t)field->init;
        break;
    case 4:
        *(int32_t *)at = (int32_t)field->init;
        break;
    case 8:
        *(int64_t *)at = field->init;
        break;
    default:
        UNREACHABLE();
    }
}

static void init_field(const struct wire_field *field, void *at)
{
    bool null = field->flags & WIRE_DEFAULT_NULL;
    if (field->flags & WIRE_ARRAY) {
        *(wire_any_array *)at = (wire_any_array){.len = null ? -1 : 0};
        return;
    }
    switch (field->type) {
    case WIRE_STRING:
    case WIRE_BYTES:
        *(struct str *)at = null ? STR_NULL : STR("");
        return;
    case WIRE_RECORDS:
        *(struct wire_records *)at = (struct wire_records){0};
        return;
    case WIRE_UUID:
        *(struct uuid *)at = (struct uuid){{0}};
        return;
    case WIRE_STRUCT:
        if (wire_is_pointer(field))
            *(void **)at = NULL;
        else
            wire_init(field->sub, at);
        return;
    default:
        if (field->init == 0) /* also the only default that a float has */
            memset(at, 0, wire_value_size(field));
        else
            init_number(field, at);
    }
}

void wire_init(const struct wire_struct *type, void *out)
{
    for (size_t i = 0; i < type->field_count; i++)
        init_field(&type->fields[i], (char *)out + type->fields[i].at);
}

void *wire_new(const struct wire_struct *type, size_t count, struct arena *arena)
{
    char *at = arena_zalloc(arena, count, type->size);
    for (size_t i = 0; i < count; i++)
        wire_init(type, at + i * type->size);
    return at;
}

void buf_append_uuid(struct buf *buf, struct uuid uuid)
{
    size_t start = buf->len;
    buf_append_base64(buf, str_of((const char *)uuid.bytes, sizeof uuid.bytes));
    buf->len = start + 22; /* without "==" */
    buf->ptr[buf->len] = '\0';
    for (size_t i = start; i < buf->len; i++)
        buf->ptr[i] = buf->ptr[i] == '+' ? '-' : buf->ptr[i] == '/' ? '_' : buf->ptr[i];
}
