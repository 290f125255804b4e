/* plugin.c - the list of plugins: names, option definitions, validation answers. */
#include "connect/connect_int.h"

/* "a.b.FooConnector" -> "FooConnector" */
static struct str simple_name(struct str name)
{
    ptrdiff_t dot = str_rfind_char(name, '.');
    return str_sub(name, (size_t)(dot + 1), SIZE_MAX);
}

static bool same_name(struct str full, struct str name)
{
    struct str simple = simple_name(full), suffix = STR("Connector");
    if (str_eq(full, name) || str_eq(simple, name))
        return true;
    return str_ends_with(simple, suffix) && str_eq(str_sub(simple, 0, simple.len - suffix.len), name);
}

bool class_is_named(const struct connector_class *class, struct str name)
{
    if (same_name(str_from(class->name), name))
        return true;
    for (const char *const *alias = class->aliases; alias != NULL && *alias != NULL; alias++)
        if (same_name(str_from(*alias), name))
            return true;
    return false;
}

const struct connector_class *class_find(const struct connect *connect, struct str name)
{
    for (const struct connector_class *const *at = connect->options.classes; *at != NULL; at++)
        if (class_is_named(*at, name))
            return *at;
    return NULL;
}

const struct connector_class *class_of_config(const struct connect *connect, const struct conf_pairs *pairs,
                                              struct err *err)
{
    bool is_set;
    struct str name = pairs_get(pairs, STR("connector.class"), &is_set);
    if (str_is_null(name) || name.len == 0) {
        struct buf text = {0};
        struct json_writer out = {.out = &text};
        pairs_to_json(pairs, &out);
        err_set(err, ERR_BAD_REQUEST, "Connector config %s contains no connector type", text.ptr);
        buf_fini(&text);
        return NULL;
    }
    const struct connector_class *class = class_find(connect, str_trim(name));
    if (class != NULL)
        return class;
    struct buf known = {0};
    for (const struct connector_class *const *at = connect->options.classes; *at != NULL; at++)
        buf_printf(&known, "%s%s", known.len != 0 ? ", " : "", (*at)->name);
    err_set(err, ERR_BAD_REQUEST,
            "Failed to find any class that implements Connector and which name matches %.*s, available "
            "connectors are: %.*s",
            STR_ARG(name), STR_ARG(buf_str(&known)));
    buf_fini(&known);
    return NULL;
}

/* Lists -------------------------------------------------------------------------------------------------- */

static void plugin_to_json(const char *class, const char *type, const char *version, struct json_writer *out)
{
    json_object_begin(out);
    json_key_cstr(out, "class", class);
    json_key_cstr(out, "type", type);
    json_key_cstr(out, "version", version);
    json_object_end(out);
}

static const char *kind_name(const struct connector_class *class)
{
    return class->kind == CONNECTOR_SINK ? "sink" : "source";
}

bool connect_plugins(struct connect *connect, bool connectors_only, struct json_writer *out, struct err *err)
{
    json_array_begin(out);
    for (const struct connector_class *const *at = connect->options.classes; *at != NULL; at++) {
        plugin_to_json((*at)->name, kind_name(*at), (*at)->version, out);
        for (const char *const *alias = (*at)->aliases; alias != NULL && *alias != NULL; alias++)
            if (strchr(*alias, '.') != NULL)
                plugin_to_json(*alias, kind_name(*at), (*at)->version, out);
    }
    for (size_t i = 0; !connectors_only && converter_class_at(i) != NULL; i++)
        plugin_to_json(converter_class_at(i), "converter", RIALTO_VERSION, out);
    json_array_end(out);
    return true;
}

bool connect_sql_plugins(void *state, struct json_writer *out, struct err *err)
{
    struct connect *connect = state;
    json_array_begin(out);
    for (const struct connector_class *const *at = connect->options.classes; *at != NULL; at++) {
        json_object_begin(out);
        json_key_cstr(out, "className", (*at)->name);
        json_key_cstr(out, "type", kind_name(*at));
        json_key_cstr(out, "version", (*at)->version);
        json_object_end(out);
    }
    json_array_end(out);
    return true;
}

/* Definitions -------------------------------------------------------------------------------------------- */

static const char *const importances[] = {"HIGH", "MEDIUM", "LOW"};

static void definition_to_json(const struct conf_option *option, size_t order, struct json_writer *out)
{
    json_object_begin(out);
    json_key_cstr(out, "name", option->name);
    json_key_cstr(out, "type", conf_kafka_type(option));
    json_key_bool(out, "required", option->default_text == NULL && option->required);
    json_key_str(out, "default_value", str_from(option->default_text));
    json_key_cstr(out, "importance", importances[option->importance]);
    json_key_cstr(out, "documentation", option->doc);
    json_key_str(out, "group", str_from(option->group));
    json_key_cstr(out, "width", "MEDIUM");
    json_key_cstr(out, "display_name", option->display_name != NULL ? option->display_name : option->name);
    json_key_begin(out, "dependents");
    json_array_begin(out);
    json_array_end(out);
    json_key_i64(out, "order", (int64_t)order);
    json_object_end(out);
}

void options_to_json(const struct conf_table *table, size_t *order, struct json_writer *out)
{
    for (size_t i = 0; i < table->count; i++)
        definition_to_json(&table->options[i], ++*order, out);
}

bool connect_plugin_config(struct connect *connect, struct str plugin, struct json_writer *out,
                           struct err *err)
{
    const struct connector_class *class = class_find(connect, plugin);
    if (class == NULL)
        return err_set(err, ERR_NOT_FOUND, "Unknown plugin %.*s.", STR_ARG(plugin));
    size_t order = 0;
    json_array_begin(out);
    options_to_json(&sink_table, &order, out);
    options_to_json(class->options, &order, out);
    json_array_end(out);
    return true;
}

/* Validation --------------------------------------------------------------------------------------------- */

static void value_to_json(const struct conf_check_result *result, struct json_writer *out)
{
    json_object_begin(out);
    json_key_cstr(out, "name", result->option->name);
    json_key_begin(out, "value");
    if (result->option->type == CONF_PASSWORD && !str_is_null(result->value))
        json_cstr(out, "[hidden]");
    else
        json_str(out, result->value);
    json_key_begin(out, "recommended_values");
    json_array_begin(out);
    for (const char *const *word = result->recommended; word != NULL && *word != NULL; word++)
        json_cstr(out, *word);
    json_array_end(out);
    json_key_begin(out, "errors");
    json_array_begin(out);
    for (size_t i = 0; i < result->error_count; i++)
        json_str(out, result->errors[i]);
    json_array_end(out);
    json_key_bool(out, "visible", true);
    json_object_end(out);
}

static void results_to_json(const struct conf_check_result *results, size_t count, size_t *order,
                            struct json_writer *out)
{
    for (size_t i = 0; i < count; i++) {
        json_object_begin(out);
        json_key_begin(out, "definition");
        definition_to_json(results[i].option, ++*order, out);
        json_key_begin(out, "value");
        value_to_json(&results[i], out);
        json_object_end(out);
    }
}

/* Each group once, in order of appearance; the options of one group stand together or are few. */
static void groups_to_json(const struct conf_table *const *tables, size_t count, struct json_writer *out)
{
    struct map seen = {0};
    json_array_begin(out);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            struct str group = str_from(tables[t]->options[i].group);
            if (str_is_null(group) || map_has(&seen, group))
                continue;
            map_put(&seen, group, (void *)group.ptr);
            json_str(out, group);
        }
    json_array_end(out);
    map_fini(&seen);
}

void config_check_to_json(const struct config_check *check, struct json_writer *out)
{
    const struct conf_table *tables[] = {&sink_table, check->class->options};
    size_t order = 0;
    json_object_begin(out);
    json_key_str(out, "name",
                 check->settings.class_name.len != 0 ? check->settings.class_name
                                                     : str_from(check->class->name));
    json_key_i64(out, "error_count", (int64_t)check->error_count);
    json_key_begin(out, "groups");
    groups_to_json(tables, COUNT_OF(tables), out);
    json_key_begin(out, "configs");
    json_array_begin(out);
    results_to_json(check->common, sink_table.count, &order, out);
    results_to_json(check->own, check->class->options->count, &order, out);
    json_array_end(out);
    json_object_end(out);
}

bool connect_validate(struct connect *connect, struct str plugin, const struct json_value *config,
                      struct json_writer *out, struct err *err)
{
    struct arena arena = {0};
    struct conf_pairs pairs;
    struct config_check check;
    const struct connector_class *named = class_find(connect, plugin), *class = NULL;
    bool done = pairs_of_json(config, &pairs, &arena, err);
    if (done && named == NULL)
        done = err_set(err, ERR_NOT_FOUND, "Unknown plugin %.*s.", STR_ARG(plugin));
    if (done && (class = class_of_config(connect, &pairs, err)) != named) {
        if (class != NULL)
            err_set(err, ERR_BAD_REQUEST, "Included connector type %s does not match request type %.*s",
                    class->name, STR_ARG(plugin));
        done = false;
    }
    if (done) {
        config_check(class, &pairs, &check, &arena);
        config_check_to_json(&check, out);
    }
    arena_fini(&arena);
    return done;
}
