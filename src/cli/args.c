/* args.c - command line to command, names and option values.
 *
 * GNU long options (--x=v, --x v), short ones with their value behind or next (-K: or -K :), in any order with names; `--`
 * ends them. An option that takes a value takes the next word whatever it is: `-o -3`. Words of a command may be cut to a
 * unique beginning and nouns may stand in the plural.
 */
#include <stdio.h>

#include "cli/cli_int.h"

enum { WORD_BYTES_MAX = 32, NAME_BYTES_MAX = 4096 };

/* Options of other tools that hands know. */
static const struct {
    const char *alias, *option, *value;
} aliases[] = {{"bootstrap-server", "brokers", NULL}, {"from-beginning", "offset", "beginning"}};

static size_t distance(struct str a, struct str b)
{
    size_t row[WORD_BYTES_MAX + 1];
    a = str_sub(a, 0, WORD_BYTES_MAX);
    for (size_t i = 0; i <= a.len; i++)
        row[i] = i;
    for (size_t j = 1; j <= b.len; j++) {
        size_t diagonal = row[0];
        row[0] = j;
        for (size_t i = 1; i <= a.len; i++) {
            size_t cost = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[i];
            row[i] = MIN(cost, MIN(row[i], row[i - 1]) + 1);
        }
    }
    return row[a.len];
}

const char *cli_nearest(struct str word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t best = word.len / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, str_from(words[i]));
        if (d < best) {
            best = d;
            nearest = words[i];
        }
    }
    return nearest;
}

/* Commands ------------------------------------------------------------------------------------------------ */

/* Word `n` of a command, or null. */
static struct str command_word(const struct cli_command *command, int n)
{
    struct str rest = str_from(command->words), word = STR_NULL;
    for (; n >= 0; n--)
        if (!str_split(&rest, ' ', &word))
            return STR_NULL;
    return word;
}

static bool fits(struct str typed, struct str word, bool exact)
{
    if (exact) {
        bool plural = typed.len == word.len + 1 && typed.ptr[word.len] == 's' && str_starts_with(typed, word);
        return str_eq(typed, word) || plural;
    }
    return str_starts_with(word, typed);
}

/* Full spelling of a typed word n below a noun; null when unknown or not unique. */
static struct str complete_word(struct str typed, int n, struct str noun)
{
    for (int exact = 1; exact >= 0; exact--) {
        struct str found = STR_NULL;
        bool unique = true;
        for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
            struct str word = command_word(c, n);
            if (str_is_null(word) || (n > 0 && !str_eq(command_word(c, 0), noun)) ||
                !fits(typed, word, exact))
                continue;
            unique = unique && (str_is_null(found) || str_eq(found, word));
            found = word;
        }
        if (!str_is_null(found) && unique)
            return found;
    }
    return STR_NULL;
}

static const struct cli_command *command_find(struct str noun, struct str verb)
{
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++) {
        struct str second = command_word(c, 1);
        if (str_eq(command_word(c, 0), noun) &&
            (str_is_null(second) ? str_is_null(verb) : str_eq(second, verb)))
            return c;
    }
    return NULL;
}

static bool has_verbs(struct str noun)
{
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
        if (str_eq(command_word(c, 0), noun))
            return !str_is_null(command_word(c, 1));
    return false;
}

static int unknown_word(struct cli *cli, struct str typed, int n, struct str noun)
{
    vec(const char *) words = {0};
    for (const struct cli_command *c = cli_commands; c->words != NULL; c++)
        if (!str_is_null(command_word(c, n)) && (n == 0 || str_eq(command_word(c, 0), noun)))
            vec_push(&words, str_cstr(command_word(c, n), &cli->arena));
    const char *nearest = cli_nearest(typed, words.at, words.len);
    struct err err;
    char hint[128];
    if (n == 0)
        err_set(&err, ERR_USAGE, "'%.*s' is not a command", STR_ARG(typed));
    else
        err_set(&err, ERR_USAGE, "'%.*s %.*s' is not a command", STR_ARG(noun), STR_ARG(typed));
    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean '%s'? 'rialto --help' lists all.", nearest);
    else
        snprintf(hint, sizeof hint, "'rialto --help' lists all commands.");
    vec_fini(&words);
    return cli_fail(cli, &err, hint);
}

/* Options ------------------------------------------------------------------------------------------------- */

static const struct cli_option *find_in(const struct cli_option *options, struct str name, char letter)
{
    for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++)
        if (letter != 0 ? o->letter == letter : str_eq_cstr(name, o->name))
            return o;
    return NULL;
}

static const struct cli_option *find_option(const struct cli *cli, struct str name, char letter)
{
    const struct cli_option *option = find_in(cli->command->options, name, letter);
    return option != NULL ? option : find_in(cli_global_options, name, letter);
}

static int unknown_option(struct cli *cli, struct str typed)
{
    vec(const char *) words = {0};
    for (int part = 0; part < 2; part++)
        for (const struct cli_option *o = part ? cli_global_options : cli->command->options;
             o != NULL && o->name != NULL; o++)
            vec_push(&words, o->name);
    const char *nearest =
        typed.len > 2 ? cli_nearest(str_sub(typed, 2, SIZE_MAX), words.at, words.len) : NULL;
    struct err err;
    char hint[128];
    err_set(&err, ERR_USAGE, "'rialto %s' has no option %.*s", cli->command->words, STR_ARG(typed));
    if (nearest != NULL)
        snprintf(hint, sizeof hint, "did you mean --%s? 'rialto %s --help' lists all.", nearest,
                 cli->command->words);
    else
        snprintf(hint, sizeof hint, "'rialto %s --help' lists its options.", cli->command->words);
    vec_fini(&words);
    return cli_fail(cli, &err, hint);
}

struct arg_walk {
    int argc, at;
    char **argv;
};

/* Keeps an option's value: `inline_value` when it stood in the same word, else the next word. */
static int take_value(struct cli *cli, struct arg_walk *walk, const struct cli_option *option,
                      struct str typed, struct str inline_value)
{
    struct cli_value value = {.option = option, .text = STR("")};
    if (option->value == NULL && !str_is_null(inline_value))
        return cli_usage(cli, "option %.*s takes no value", STR_ARG(typed));
    if (option->value != NULL && str_is_null(inline_value)) {
        if (walk->at >= walk->argc)
            return cli_usage(cli, "option %.*s needs %s", STR_ARG(typed), option->value);
        inline_value = str_from(walk->argv[walk->at++]);
    }
    if (option->value != NULL)
        value.text = inline_value;
    vec_push(&cli->values, value);
    return CLI_OK;
}

static int take_long(struct cli *cli, struct arg_walk *walk, struct str word)
{
    ptrdiff_t equal = str_find_char(word, '=');
    struct str typed = equal < 0 ? word : str_sub(word, 0, (size_t)equal);
    struct str value = equal < 0 ? STR_NULL : str_sub(word, (size_t)equal + 1, SIZE_MAX);
    struct str name = str_sub(typed, 2, SIZE_MAX);
    const struct cli_option *option = find_option(cli, name, 0);
    for (size_t i = 0; option == NULL && i < COUNT_OF(aliases); i++) {
        if (!str_eq_cstr(name, aliases[i].alias))
            continue;
        option = find_option(cli, str_from(aliases[i].option), 0);
        if (option != NULL)
            cli_note(cli, "note: --%s is --%s here", aliases[i].alias, aliases[i].option);
        if (option != NULL && aliases[i].value != NULL)
            value = str_from(aliases[i].value);
    }
    return option == NULL ? unknown_option(cli, typed) : take_value(cli, walk, option, typed, value);
}

/* -x, -xVALUE, or several switches in one word. */
static int take_short(struct cli *cli, struct arg_walk *walk, struct str word)
{
    for (size_t i = 1; i < word.len; i++) {
        const struct cli_option *option = find_option(cli, STR_NULL, word.ptr[i]);
        struct str typed = str_printf(&cli->arena, "-%c", word.ptr[i]);
        if (option == NULL)
            return unknown_option(cli, typed);
        bool rest = option->value != NULL && i + 1 < word.len;
        int status = take_value(cli, walk, option, typed, rest ? str_sub(word, i + 1, SIZE_MAX) : STR_NULL);
        if (status != CLI_OK || option->value != NULL)
            return status;
    }
    return CLI_OK;
}

static int take_rest(struct cli *cli, struct arg_walk *walk)
{
    bool options = true;
    while (walk->at < walk->argc) {
        struct str word = str_from(walk->argv[walk->at++]);
        int status = CLI_OK;
        if (options && str_eq(word, STR("--")))
            options = false;
        else if (options && str_starts_with(word, STR("--")))
            status = take_long(cli, walk, word);
        else if (options && word.len > 1 && word.ptr[0] == '-')
            status = take_short(cli, walk, word);
        else if (word.len > NAME_BYTES_MAX)
            status = cli_usage(cli, "a name has at most %d bytes", NAME_BYTES_MAX);
        else
            vec_push(&cli->names, word);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

/* Options before the command: only those that all commands have, and --help. */
static int take_leading(struct cli *cli, struct arg_walk *walk)
{
    static const struct cli_command none = {.words = ""};
    cli->command = &none;
    while (walk->at < walk->argc && walk->argv[walk->at][0] == '-') {
        struct str word = str_from(walk->argv[walk->at++]);
        int status =
            str_starts_with(word, STR("--")) ? take_long(cli, walk, word) : take_short(cli, walk, word);
        if (status != CLI_OK)
            return status;
    }
    return CLI_OK;
}

static int check_names(struct cli *cli)
{
    const struct cli_command *command = cli->command;
    int count = (int)cli->names.len;
    if (count < command->name_min)
        return cli_usage(cli, "'rialto %s' needs %s", command->words, command->names);
    if (command->name_max >= 0 && count > command->name_max)
        return cli_usage(cli, "'rialto %s' does not take '%.*s'", command->words,
                         STR_ARG(cli->names.at[command->name_max]));
    return CLI_OK;
}

bool cli_parse_args(struct cli *cli, int argc, char **argv, int *status)
{
    struct arg_walk walk = {.argc = argc, .at = 1, .argv = argv};
    *status = take_leading(cli, &walk);
    if (*status != CLI_OK)
        return false;
    bool version = cli_flag(cli, "version"), help = cli_flag(cli, "help");
    if (walk.at < argc && strcmp(argv[walk.at], "help") == 0) {
        help = true;
        walk.at++;
    }
    if (version)
        printf("rialto %s\n", RIALTO_VERSION);
    else if (walk.at >= argc)
        cli_help_all(cli);
    if (version || walk.at >= argc) {
        *status = CLI_OK;
        return false;
    }
    struct str noun = complete_word(str_from(argv[walk.at]), 0, STR_NULL), verb = STR_NULL;
    if (str_is_null(noun)) {
        *status = unknown_word(cli, str_from(argv[walk.at]), 0, STR_NULL);
        return false;
    }
    walk.at++;
    if (has_verbs(noun)) {
        bool typed = walk.at < argc && argv[walk.at][0] != '-';
        if (!typed) {
            cli_help_noun(cli, noun);
            *status = help || walk.at < argc ? CLI_OK : CLI_USAGE;
            return false;
        }
        verb = complete_word(str_from(argv[walk.at]), 1, noun);
        if (str_is_null(verb)) {
            *status = unknown_word(cli, str_from(argv[walk.at]), 1, noun);
            return false;
        }
        walk.at++;
    }
    cli->command = command_find(noun, verb);
    ASSERT(cli->command != NULL);
    *status = take_rest(cli, &walk);
    if (*status != CLI_OK)
        return false;
    if (help || cli_flag(cli, "help")) {
        cli_help(cli, cli->command);
        return false;
    }
    *status = check_names(cli);
    return *status == CLI_OK;
}

/* Values -------------------------------------------------------------------------------------------------- */

struct str cli_value(const struct cli *cli, const char *option)
{
    for (size_t i = cli->values.len; i-- > 0;)
        if (strcmp(cli->values.at[i].option->name, option) == 0)
            return cli->values.at[i].text;
    return STR_NULL;
}

bool cli_flag(const struct cli *cli, const char *option)
{
    return !str_is_null(cli_value(cli, option));
}

bool cli_integer(const struct cli *cli, const char *option, int64_t min, int64_t max, int64_t fallback,
                 int64_t *value, struct err *err)
{
    struct str text = cli_value(cli, option);
    *value = fallback;
    if (str_is_null(text))
        return true;
    if (!str_to_i64(text, value) || *value < min || *value > max)
        return err_set(err, ERR_USAGE, "--%s must be a number from %" PRId64 " to %" PRId64 ", not '%.*s'",
                       option, min, max, STR_ARG(text));
    return true;
}

bool cli_partition_chosen(const struct cli *cli, int32_t partition, struct err *err)
{
    struct str rest = cli_value(cli, "partition"), part;
    if (str_is_null(rest))
        return true;
    bool chosen = false;
    while (str_split(&rest, ',', &part)) {
        int64_t number;
        if (!str_to_i64(str_trim(part), &number) || number < 0)
            return err_set(err, ERR_USAGE, "-p takes partitions like 0,3, not '%.*s'", STR_ARG(part));
        chosen = chosen || number == partition;
    }
    return chosen;
}
