/* api_quotas.c - DescribeClientQuotas and AlterClientQuotas: whom a quota is for, and how much. */
#include "broker/broker_int.h"

#include <arpa/inet.h>
#include <math.h>

enum { UNSUPPORTED_VERSION = 35, INVALID_REQUEST = 42 };

/* --- AlterClientQuotas --- */

typedef struct AlterClientQuotasRequest_EntryData alter_asked;

static bool is_address(struct str text)
{
    char name[INET6_ADDRSTRLEN + 1] = "";
    unsigned char bytes[16];
    if (text.len >= sizeof name)
        return false;
    memcpy(name, text.ptr, text.len);
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool read_entity(const alter_asked *asked, struct quota_entity *out, struct err *err)
{
    memset(out, 0, sizeof *out);
    for (int32_t i = 0; i < asked->Entity.len; i++) {
        struct str name = asked->Entity.at[i].EntityName;
        int type = quota_type_find(asked->Entity.at[i].EntityType);
        if (type < 0)
            return err_set(err, ERR_INVALID_REQUEST, "Unhandled client quota entity type: %.*s",
                           STR_ARG(asked->Entity.at[i].EntityType));
        if (!str_is_null(name) && name.len == 0)
            return err_set(err, ERR_INVALID_REQUEST, "Empty %s not supported", quota_type_names[type]);
        if (out->parts[type].present)
            return err_set(err, ERR_INVALID_REQUEST, "the entity has two names of type %s",
                           quota_type_names[type]);
        if (type == QUOTA_IP && !str_is_null(name) && !is_address(name))
            return err_set(err, ERR_INVALID_REQUEST, "%.*s is not a valid IP.", STR_ARG(name));
        out->parts[type] = (struct quota_part){true, name};
    }
    if (asked->Entity.len <= 0)
        return err_set(err, ERR_INVALID_REQUEST, "Invalid empty client quota entity");
    if (out->parts[QUOTA_IP].present && (out->parts[QUOTA_USER].present || out->parts[QUOTA_CLIENT].present))
        return err_set(
            err, ERR_INVALID_REQUEST,
            "Invalid quota entity combination, IP entity should not be combined with User or ClientId");
    return true;
}

static bool check_op(const struct quota_entity *entity, const struct AlterClientQuotasRequest_OpData *op,
                     struct err *err)
{
    const double LONG_TOO_LARGE = 9223372036854775808.0;
    int kind = 0;
    if (op->Remove) /* also what never was */
        return true;
    while (kind < QUOTA_KINDS && !str_eq_cstr(op->Key, quota_defs[kind].key))
        kind++;
    if (kind == QUOTA_KINDS || quota_defs[kind].of_ip != entity->parts[QUOTA_IP].present)
        return err_set(err, ERR_INVALID_REQUEST, "Invalid configuration key %.*s", STR_ARG(op->Key));
    if (!(op->Value > 0) || isinf(op->Value))
        return err_set(err, ERR_INVALID_REQUEST, "Quota %s must be greater than 0", quota_defs[kind].key);
    if (quota_defs[kind].whole && op->Value >= LONG_TOO_LARGE)
        return err_set(err, ERR_INVALID_REQUEST, "Proposed value for %s is too large for a LONG.",
                       quota_defs[kind].key);
    if (quota_defs[kind].whole && op->Value != floor(op->Value))
        return err_set(err, ERR_INVALID_REQUEST, "%s cannot be a fractional value.", quota_defs[kind].key);
    return true;
}

/* The name of the entity and the operations on its settings. */
static bool read_entry(const alter_asked *asked, struct resource_alter *alter, struct arena *arena,
                       struct err *err)
{
    struct quota_entity entity;
    struct buf name = {0};
    size_t count = (size_t)MAX(asked->Ops.len, 0);
    struct setting_op *ops = arena_array(arena, struct setting_op, count);
    if (!read_entity(asked, &entity, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct AlterClientQuotasRequest_OpData *op = &asked->Ops.at[i];
        struct buf text = {0};
        if (!check_op(&entity, op, err))
            return false;
        buf_append_double(&text, op->Value);
        ops[i] = (struct setting_op){.name = op->Key,
                                     .op = op->Remove ? SETTING_DELETE : SETTING_SET,
                                     .value = str_dup(buf_str(&text), arena)};
        buf_fini(&text);
    }
    quota_entity_name(&entity, &name);
    alter->type = RESOURCE_QUOTA;
    alter->name = str_dup(buf_str(&name), arena);
    buf_fini(&name);
    alter->ops = ops;
    alter->op_count = count;
    return true;
}

/* An entry of the request: what it asks for, or why it is refused. */
struct quota_change {
    struct resource_alter alter;
    bool good;
    struct err err;
};

/* A double of an entry before it: answered there. */
static bool is_double(const struct quota_change *changes, int32_t i)
{
    for (int32_t j = 0; j < i; j++)
        if (changes[j].alter.name.len != 0 && str_eq(changes[j].alter.name, changes[i].alter.name))
            return true;
    return false;
}

static void run_change(struct request *req, struct quota_change *changes, int32_t count, int32_t i)
{
    struct quota_change *change = &changes[i];
    for (int32_t j = 0; j < count && change->good; j++) /* neither is changed */
        if (j != i && changes[j].alter.name.len != 0 && str_eq(changes[j].alter.name, change->alter.name))
            change->good = err_set(&change->err, ERR_INVALID_REQUEST, "Ignoring duplicate entity %.*s",
                                   STR_ARG(change->alter.name));
    change->good = change->good && settings_alter(req->broker, &change->alter, &change->err);
}

static void alter_quotas(struct request *req)
{
    const struct AlterClientQuotasRequest *body = req->body;
    struct AlterClientQuotasResponse *res = req->res;
    int32_t count = MAX(body->Entries.len, 0);
    struct quota_change *changes = arena_array(&req->arena, struct quota_change, (size_t)count);
    WIRE_ALLOC(&req->arena, res->Entries, AlterClientQuotasResponse_EntryData, count);
    res->Entries.len = 0;
    for (int32_t i = 0; i < count; i++) {
        changes[i].alter.check_only = body->ValidateOnly;
        changes[i].good = read_entry(&body->Entries.at[i], &changes[i].alter, &req->arena, &changes[i].err);
    }
    for (int32_t i = 0; i < count; i++) {
        const alter_asked *asked = &body->Entries.at[i];
        if (is_double(changes, i))
            continue;
        struct AlterClientQuotasResponse_EntryData *row = &res->Entries.at[res->Entries.len++];
        run_change(req, changes, count, i);
        row->ErrorCode = changes[i].good ? 0 : error_code_of(&changes[i].err);
        row->ErrorMessage = changes[i].good ? STR_NULL : str_from(changes[i].err.text);
        WIRE_ALLOC(&req->arena, row->Entity, AlterClientQuotasResponse_EntityData, MAX(asked->Entity.len, 0));
        for (int32_t j = 0; j < asked->Entity.len; j++)
            row->Entity.at[j] = (struct AlterClientQuotasResponse_EntityData){asked->Entity.at[j].EntityType,
                                                                              asked->Entity.at[j].EntityName};
    }
    request_reply(req);
}

static void refuse_all(struct request *req, int16_t code)
{
    const struct AlterClientQuotasRequest *body = req->body;
    struct AlterClientQuotasResponse *res = req->res;
    WIRE_ALLOC(&req->arena, res->Entries, AlterClientQuotasResponse_EntryData, MAX(body->Entries.len, 0));
    for (int32_t i = 0; i < body->Entries.len; i++)
        res->Entries.at[i].ErrorCode = code;
    request_reply(req);
}

void api_alter_client_quotas(struct request *req)
{
    int16_t denied = request_denied_cluster(req, ACL_ALTER_CONFIGS);
    if (denied != 0)
        refuse_all(req, denied);
    else
        request_on_pool(req, alter_quotas);
}

/* --- DescribeClientQuotas --- */

enum { MATCH_EXACT = 0, MATCH_DEFAULT = 1, MATCH_ANY = 2 };

struct filter {
    bool asked;
    int8_t match;
    struct str name;
};

static int16_t read_component(const struct DescribeClientQuotasRequest_ComponentData *asked,
                              struct filter filters[QUOTA_TYPES], struct arena *arena, struct str *text)
{
    int type = quota_type_find(asked->EntityType);
    bool named = !str_is_null(asked->Match);
    if (asked->EntityType.len == 0) {
        *text = STR("Invalid empty entity type.");
    } else if (type < 0) {
        *text = str_printf(arena, "Unsupported entity type %.*s", STR_ARG(asked->EntityType));
        return UNSUPPORTED_VERSION;
    } else if (filters[type].asked) {
        *text = str_printf(arena, "Entity type %s cannot appear more than once in the filter.",
                           quota_type_names[type]);
    } else if (asked->MatchType < MATCH_EXACT || asked->MatchType > MATCH_ANY) {
        *text = str_printf(arena, "Unknown match type %d", asked->MatchType);
    } else if (asked->MatchType == MATCH_EXACT && !named) {
        *text = STR("Request specified MATCH_TYPE_EXACT, but set match string to null.");
    } else if (asked->MatchType != MATCH_EXACT && named) {
        *text = str_printf(arena, "Request specified MATCH_TYPE_%s, but also specified a match string.",
                           asked->MatchType == MATCH_DEFAULT ? "DEFAULT" : "SPECIFIED");
    } else {
        filters[type] = (struct filter){true, asked->MatchType, asked->Match};
        return 0;
    }
    return INVALID_REQUEST;
}

static bool fits(const struct filter filters[QUOTA_TYPES], bool strict, const struct quota_entity *entity)
{
    for (int i = 0; i < QUOTA_TYPES; i++) {
        const struct quota_part *part = &entity->parts[i];
        const struct filter *filter = &filters[i];
        if (!filter->asked) {
            if (strict && part->present)
                return false;
            continue;
        }
        bool exact = filter->match == MATCH_EXACT;
        if (!part->present || (filter->match == MATCH_DEFAULT && !str_is_null(part->name)) ||
            (exact && (str_is_null(part->name) || !str_eq(part->name, filter->name))))
            return false;
    }
    return true;
}

static void fill_entry(const struct resource *res, const struct quota_entity *entity,
                       struct DescribeClientQuotasResponse_EntryData *row, struct arena *arena)
{
    wire_init(&WIRE_DescribeClientQuotasResponse_EntryData, row);
    WIRE_ALLOC(arena, row->Entity, DescribeClientQuotasResponse_EntityData, QUOTA_TYPES);
    row->Entity.len = 0;
    for (int i = 0; i < QUOTA_TYPES; i++)
        if (entity->parts[i].present)
            row->Entity.at[row->Entity.len++] =
                (struct DescribeClientQuotasResponse_EntityData){str_from(quota_type_names[i]),
                                                                 entity->parts[i].name};
    WIRE_ALLOC(arena, row->Values, DescribeClientQuotasResponse_ValueData, res->setting_count);
    for (size_t i = 0; i < res->setting_count; i++) {
        row->Values.at[i].Key = str_dup(res->settings[i].name, arena);
        ignore(str_to_double(res->settings[i].value, &row->Values.at[i].Value),
               "written by buf_append_double");
    }
}

static void fill_entries(struct request *req, const struct filter filters[QUOTA_TYPES])
{
    const struct DescribeClientQuotasRequest *body = req->body;
    struct DescribeClientQuotasResponse *res = req->res;
    vec(struct DescribeClientQuotasResponse_EntryData) rows = {0};
    size_t pos = 0;
    storage_topics_lock(req->broker->storage);
    for (const struct resource *one;
         (one = topics_next_resource(storage_topics(req->broker->storage), &pos)) != NULL;) {
        struct quota_entity entity;
        if (one->type == RESOURCE_QUOTA && quota_entity_parse(one->name, &entity, &req->arena) &&
            fits(filters, body->Strict, &entity))
            fill_entry(one, &entity, vec_push_zero(&rows), &req->arena);
    }
    storage_topics_unlock(req->broker->storage);
    res->Entries.at = arena_dup(&req->arena, rows.at, rows.len * sizeof *rows.at);
    res->Entries.len = (int32_t)rows.len;
    vec_fini(&rows);
}

void api_describe_client_quotas(struct request *req)
{
    const struct DescribeClientQuotasRequest *body = req->body;
    struct DescribeClientQuotasResponse *res = req->res;
    struct filter filters[QUOTA_TYPES] = {0};
    res->ErrorCode = request_denied_cluster(req, ACL_DESCRIBE_CONFIGS);
    for (int32_t i = 0; i < body->Components.len && res->ErrorCode == 0; i++)
        res->ErrorCode = read_component(&body->Components.at[i], filters, &req->arena, &res->ErrorMessage);
    if (res->ErrorCode == 0 && filters[QUOTA_IP].asked &&
        (filters[QUOTA_USER].asked || filters[QUOTA_CLIENT].asked)) {
        res->ErrorCode = INVALID_REQUEST;
        res->ErrorMessage =
            STR("Invalid entity filter component combination. IP filter component should not be "
                "used with user or clientId filter component.");
    }
    if (res->ErrorCode != 0) {
        res->Entries.len = -1;
    } else {
        res->ErrorMessage = STR("");
        fill_entries(req, filters);
    }
    request_reply(req);
}
