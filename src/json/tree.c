/* tree.c - trees of JSON values in an arena, read through the scanner.
 *
 * Elements are collected on a stack that grows on the heap and are copied into the arena when their
 * container ends, so that each array and object is one run of memory. Depth is bounded by the scanner, and
 * with it this recursion.
 */
#include "json/json.h"

/* Parts of the containers that are open: elements use only .value. */
struct tree_stack {
    vec(struct json_member) parts;
    struct json_scan *scan;
};

static bool read_value(struct tree_stack *stack, struct json_value *out);

static bool read_array(struct tree_stack *stack, struct json_value *out)
{
    struct json_scan *scan = stack->scan;
    size_t first = stack->parts.len;
    for (bool more;;) {
        if (!json_scan_element(scan, &more))
            return false;
        if (!more)
            break;
        struct json_member part = {.name = STR_NULL};
        if (!read_value(stack, &part.value))
            return false;
        vec_push(&stack->parts, part);
    }
    size_t count = stack->parts.len - first;
    struct json_value *elems = arena_alloc(scan->arena, count * sizeof *elems);
    for (size_t i = 0; i < count; i++)
        elems[i] = stack->parts.at[first + i].value;
    stack->parts.len = first;
    out->elems = elems;
    out->len = (uint32_t)count;
    return true;
}

static bool read_object(struct tree_stack *stack, struct json_value *out)
{
    struct json_scan *scan = stack->scan;
    size_t first = stack->parts.len;
    for (bool more;;) {
        struct json_member part;
        if (!json_scan_member(scan, &part.name, &more))
            return false;
        if (!more)
            break;
        if (!read_value(stack, &part.value))
            return false;
        vec_push(&stack->parts, part);
    }
    size_t count = stack->parts.len - first;
    out->members =
        count == 0 ? NULL : arena_dup(scan->arena, &stack->parts.at[first], count * sizeof *out->members);
    out->len = (uint32_t)count;
    stack->parts.len = first;
    return true;
}

static bool read_value(struct tree_stack *stack, struct json_value *out)
{
    struct json_token token;
    if (!json_scan_value(stack->scan, &token))
        return false;
    *out = (struct json_value){.kind = token.kind, .b = token.b, .str = token.str};
    if (token.kind == JSON_ARRAY)
        return read_array(stack, out);
    if (token.kind == JSON_OBJECT)
        return read_object(stack, out);
    return true;
}

const struct json_value *json_parse(struct str text, struct arena *arena, struct err *err)
{
    struct json_scan scan;
    json_scan_init(&scan, text, arena, err);
    struct tree_stack stack = {.scan = &scan};
    struct json_value *root = arena_new(arena, struct json_value);
    bool ok = text.len <= UINT32_MAX
                  ? read_value(&stack, root) && json_scan_end(&scan)
                  : err_set(err, ERR_TOO_LARGE, "JSON text of %zu bytes is too long", text.len);
    vec_fini(&stack.parts);
    return ok ? root : NULL;
}

const struct json_value *json_get(const struct json_value *object, struct str name)
{
    if (object == NULL || object->kind != JSON_OBJECT)
        return NULL;
    for (uint32_t i = object->len; i-- > 0;)
        if (str_eq(object->members[i].name, name))
            return &object->members[i].value;
    return NULL;
}

/* The member when it is there and not null. */
static const struct json_value *present(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_get(object, str_from(name));
    return value != NULL && value->kind != JSON_NULL ? value : NULL;
}

static bool wrong_kind(const struct json_value *value, const char *name, const char *wanted, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "\"%s\" must be %s, not %s", name, wanted,
                   json_kind_name(value->kind));
}

bool json_get_str(const struct json_value *object, const char *name, struct str *out, struct err *err)
{
    const struct json_value *value = present(object, name);
    if (value == NULL)
        return true;
    if (value->kind != JSON_STRING)
        return wrong_kind(value, name, "a string", err);
    *out = value->str;
    return true;
}

bool json_get_i64(const struct json_value *object, const char *name, int64_t *out, struct err *err)
{
    const struct json_value *value = present(object, name);
    if (value == NULL || json_to_i64(value, out))
        return true;
    return wrong_kind(value, name, "an integer of 64 bits", err);
}

bool json_get_bool(const struct json_value *object, const char *name, bool *out, struct err *err)
{
    const struct json_value *value = present(object, name);
    if (value == NULL)
        return true;
    if (value->kind != JSON_BOOL)
        return wrong_kind(value, name, "true or false", err);
    *out = value->b;
    return true;
}

bool json_to_i64(const struct json_value *value, int64_t *out)
{
    if (value->kind != JSON_NUMBER)
        return false;
    if (str_to_i64(value->str, out))
        return true;
    double d; /* 1.0 and 1e2: whole numbers that a double holds exactly */
    if (!str_to_double(value->str, &d) || !(d >= -9007199254740992.0 && d <= 9007199254740992.0) ||
        d != (double)(int64_t)d)
        return false;
    *out = (int64_t)d;
    return true;
}

bool json_to_double(const struct json_value *value, double *out)
{
    return value->kind == JSON_NUMBER && str_to_double(value->str, out);
}

static bool objects_eq(const struct json_value *a, const struct json_value *b)
{
    for (uint32_t i = 0; i < a->len; i++) {
        const struct json_value *other = json_get(b, a->members[i].name);
        if (other == NULL || !json_eq(json_get(a, a->members[i].name), other))
            return false;
    }
    return true;
}

bool json_eq(const struct json_value *a, const struct json_value *b)
{
    if (a->kind != b->kind || a->len != b->len || a->b != b->b)
        return false;
    switch (a->kind) {
    case JSON_NULL:
    case JSON_BOOL:
        return true;
    case JSON_NUMBER:
    case JSON_STRING:
        return str_eq(a->str, b->str);
    case JSON_ARRAY:
        for (uint32_t i = 0; i < a->len; i++)
            if (!json_eq(&a->elems[i], &b->elems[i]))
                return false;
        return true;
    case JSON_OBJECT:
        return objects_eq(a, b);
    }
    UNREACHABLE();
}
