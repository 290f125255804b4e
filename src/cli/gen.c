/* gen.c - made-up records.
 *
 *   (seed, n) --mix--> random numbers of this record --field generators--> {"user_id":"3-dave","amount":30,...}
 *
 * (G1) Record n depends on seed and n only: producers side by side make the same records as one alone.
 * (G2) A schema is a table of fields; a field draws as many random numbers as its kind needs, in order, so that adding a
 *      field at the end changes no other.
 */
#include "cli/gen_int.h"

#include "json/json.h"

enum gen_kind {
    GEN_WORD,     /* one of words */
    GEN_INT,      /* min..max */
    GEN_DECIMAL,  /* min..max hundredths, two decimals */
    GEN_SERIAL,   /* text, then n */
    GEN_NUMBERED, /* text, then min..max */
    GEN_AMOUNT,   /* ten times the leading digit of the field before it; 0 counts as 10 */
    GEN_CARD,     /* one of words, then four digits */
    GEN_ADDRESS,  /* an IPv4 address of a documentation network */
    GEN_TIME,     /* ms since the epoch */
};

struct gen_field {
    const char *name;
    enum gen_kind kind;
    const char *const *words; /* ended by NULL */
    const char *text;
    int64_t min, max;
};

struct gen_schema {
    const char *name;
    size_t key; /* the field whose text is the record's key */
    struct gen_field fields[12];
};

#define WORDS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static const char *const cities[] = {"Amsterdam", "Berlin", "Lisbon", "London", "Madrid", "Oslo", "Paris",
                                     "Prague",    "Rome",   "Vienna", "Warsaw", "Zurich", NULL};

static const struct gen_schema schemas[] = {
    {"transactions",
     0,
     {{"user_id", GEN_WORD,
       WORDS("0-alice", "1-bob", "2-carol", "3-dave", "4-erin", "5-frank", "6-grace", "7-heidi", "8-ivan",
             "9-judy"),
       NULL, 0, 0},
      {"amount", GEN_AMOUNT, NULL, NULL, 0, 0},
      {"currency", GEN_WORD, WORDS("EUR"), NULL, 0, 0},
      {"merchant", GEN_WORD,
       WORDS("Bakery", "Bookshop", "Cinema", "Florist", "Grocer", "Hotel", "Pharmacy", "Railway",
             "Record Store", "Restaurant"),
       NULL, 0, 0},
      {"city", GEN_WORD, cities, NULL, 0, 0},
      {"card", GEN_CARD, WORDS("visa", "mastercard", "amex"), NULL, 0, 0},
      {"ts", GEN_TIME, NULL, NULL, 0, 0}}},
    {"orders",
     0,
     {{"order_id", GEN_SERIAL, NULL, "o-", 0, 0},
      {"customer_id", GEN_NUMBERED, NULL, "c-", 1, 1000},
      {"product", GEN_WORD, WORDS("chair", "desk", "lamp", "mirror", "rug", "shelf", "sofa", "table"), NULL,
       0, 0},
      {"quantity", GEN_INT, NULL, NULL, 1, 9},
      {"price", GEN_DECIMAL, NULL, NULL, 499, 99999},
      {"region", GEN_WORD, WORDS("north", "south", "east", "west"), NULL, 0, 0},
      {"status", GEN_WORD, WORDS("NEW", "PAID", "PACKED", "SENT"), NULL, 0, 0},
      {"ts", GEN_TIME, NULL, NULL, 0, 0}}},
    {"clicks",
     0,
     {{"user_id", GEN_NUMBERED, NULL, "u-", 1, 10000},
      {"page", GEN_WORD, WORDS("/", "/search", "/product", "/cart", "/checkout", "/account", "/help"), NULL,
       0, 0},
      {"referrer", GEN_WORD, WORDS("direct", "search", "mail", "social"), NULL, 0, 0},
      {"ip", GEN_ADDRESS, NULL, NULL, 0, 0},
      {"duration_ms", GEN_INT, NULL, NULL, 1, 5000},
      {"ts", GEN_TIME, NULL, NULL, 0, 0}}},
    {"users",
     0,
     {{"user_id", GEN_NUMBERED, NULL, "u-", 1, 10000},
      {"name", GEN_WORD,
       WORDS("Ada", "Alan", "Barbara", "Dennis", "Edsger", "Grace", "Ken", "Leslie", "Margaret", "Niklaus"),
       NULL, 0, 0},
      {"city", GEN_WORD, cities, NULL, 0, 0},
      {"plan", GEN_WORD, WORDS("free", "basic", "pro"), NULL, 0, 0},
      {"age", GEN_INT, NULL, NULL, 18, 90},
      {"ts", GEN_TIME, NULL, NULL, 0, 0}}},
};

const struct gen_schema *gen_schema_at(size_t i)
{
    return i < COUNT_OF(schemas) ? &schemas[i] : NULL;
}

const struct gen_schema *gen_schema_find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(schemas); i++)
        if (str_eq_cstr(name, schemas[i].name))
            return &schemas[i];
    return NULL;
}

const char *gen_schema_name(const struct gen_schema *schema)
{
    return schema->name;
}

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators): every state gives a good start. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t between(uint64_t *state, int64_t min, int64_t max)
{
    return min + (int64_t)(next_random(state) % (uint64_t)(max - min + 1));
}

static const char *pick(uint64_t *state, const char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    return words[next_random(state) % count];
}

/* The field as text; *number says that JSON writes it without quotes. */
static void put_field(const struct gen_field *field, uint64_t *state, int64_t n, int64_t ts_ms, char lead,
                      struct buf *out, bool *number)
{
    int64_t value;
    *number = false;
    switch (field->kind) {
    case GEN_WORD:
        buf_append_cstr(out, pick(state, field->words));
        break;
    case GEN_INT:
        buf_append_i64(out, between(state, field->min, field->max));
        *number = true;
        break;
    case GEN_DECIMAL:
        value = between(state, field->min, field->max);
        buf_printf(out, "%" PRId64 ".%02d", value / 100, (int)(value % 100));
        *number = true;
        break;
    case GEN_SERIAL:
        buf_printf(out, "%s%" PRId64, field->text, n);
        break;
    case GEN_NUMBERED:
        buf_printf(out, "%s%" PRId64, field->text, between(state, field->min, field->max));
        break;
    case GEN_AMOUNT:
        buf_append_i64(out, lead == '0' ? 100 : (lead - '0') * 10);
        *number = true;
        break;
    case GEN_CARD:
        buf_append_cstr(out, pick(state, field->words));
        buf_printf(out, "-%04d", (int)between(state, 0, 9999));
        break;
    case GEN_ADDRESS:
        buf_printf(out, "203.0.113.%d", (int)between(state, 1, 254));
        break;
    case GEN_TIME:
        buf_append_i64(out, ts_ms);
        *number = true;
        break;
    }
}

void gen_record(const struct gen_schema *schema, uint64_t seed, int64_t n, int64_t ts_ms, struct buf *key,
                struct buf *value)
{
    uint64_t state = seed ^ ((uint64_t)n * 0xd1342543de82ef95u);
    char lead = '0';
    next_random(&state);
    buf_append_char(value, '{');
    for (size_t i = 0; i < COUNT_OF(schema->fields) && schema->fields[i].name != NULL; i++) {
        struct buf text = {0};
        bool number;
        put_field(&schema->fields[i], &state, n, ts_ms, lead, &text, &number);
        lead = text.ptr[0];
        buf_printf(value, "%s\"%s\":", i > 0 ? "," : "", schema->fields[i].name);
        if (number)
            buf_append_str(value, buf_str(&text));
        else
            json_append_string(value, buf_str(&text));
        if (i == schema->key)
            buf_append_str(key, buf_str(&text));
        buf_fini(&text);
    }
    buf_append_char(value, '}');
}
