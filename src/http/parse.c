/* parse.c - heads and chunks of HTTP/1.1 (RFC 9112), strict: what two programs could read differently is
 * refused.
 *
 *   method SP target SP HTTP/1.x CRLF  name ":" OWS value OWS CRLF ...  CRLF
 *
 * (P1) A head is parsed only when it is complete, in place and in one pass; the parser keeps no state between
 *      calls.
 * (P2) Refused: a bare CR or LF, white space before ':', folded lines, control characters, more than one Host
 *      or differing Content-Length, Content-Length together with Transfer-Encoding, any coding but chunked.
 * The memory belongs to the caller; all results are slices of it.
 */
#include "http/http_int.h"

/* Characters of a token: RFC 9110, 5.6.2. */
static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    return s.len > 0;
}

static bool fault_set(struct h1_fault *fault, int status, const char *text)
{
    *fault = (struct h1_fault){status, text};
    return false;
}

size_t h1_head_len(struct str bytes, size_t *scanned)
{
    for (size_t i = *scanned; i + 1 < bytes.len; i++) {
        const char *lf = memchr(bytes.ptr + i, '\n', bytes.len - i);
        if (lf == NULL)
            break;
        i = (size_t)(lf - bytes.ptr);
        /* An empty line, also after a bare LF: the parser then says what is wrong. */
        if (i + 1 < bytes.len && bytes.ptr[i + 1] == '\n')
            return i + 2;
        if (i + 2 < bytes.len && bytes.ptr[i + 1] == '\r' && bytes.ptr[i + 2] == '\n')
            return i + 3;
    }
    *scanned = bytes.len > 3 ? bytes.len - 3 : 0;
    return 0;
}

/* Cuts the next line without its CRLF off *rest. */
static bool next_line(struct str *rest, struct str *line, struct h1_fault *fault)
{
    ptrdiff_t lf = str_find_char(*rest, '\n');
    if (lf < 1 || rest->ptr[lf - 1] != '\r')
        return fault_set(fault, 400, "a line of the head does not end in CR LF");
    *line = str_of(rest->ptr, (size_t)lf - 1);
    *rest = str_sub(*rest, (size_t)lf + 1, SIZE_MAX);
    for (size_t i = 0; i < line->len; i++) {
        unsigned char c = (unsigned char)line->ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return fault_set(fault, 400, "the head holds a control character");
    }
    return true;
}

/* "http://host/path" as a proxy's client writes it: the host counts instead of the header. */
static void split_absolute(struct h1_head *head)
{
    static const struct str schemes[] = {STR_INIT("http://"), STR_INIT("https://")};
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (!str_starts_with_nocase(head->target, schemes[i]))
            continue;
        struct str rest = str_sub(head->target, schemes[i].len, SIZE_MAX);
        size_t len = 0;
        while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
            len++;
        head->host = str_sub(rest, 0, len);
        head->target = str_sub(rest, len, SIZE_MAX);
        if (head->target.len == 0)
            head->target = STR("/");
    }
}

static bool parse_target(struct h1_head *head, struct h1_fault *fault)
{
    split_absolute(head);
    bool is_options_star = str_eq(head->target, STR("*")) && str_eq(head->method, STR("OPTIONS"));
    if (head->target.len == 0 ||
        (head->target.ptr[0] != '/' && head->target.ptr[0] != '?' && !is_options_star))
        return fault_set(fault, 400, "the request target is not a path");
    for (size_t i = 0; i < head->target.len; i++)
        if ((unsigned char)head->target.ptr[i] <= ' ')
            return fault_set(fault, 400, "the request target holds white space");
    ptrdiff_t mark = str_find_char(head->target, '?');
    head->path = mark < 0 ? head->target : str_sub(head->target, 0, (size_t)mark);
    head->query = mark < 0 ? STR("") : str_sub(head->target, (size_t)mark + 1, SIZE_MAX);
    if (head->path.len == 0)
        head->path = STR("/");
    return true;
}

static bool parse_request_line(struct str line, struct h1_head *head, struct h1_fault *fault)
{
    ptrdiff_t first = str_find_char(line, ' '), last = str_rfind_char(line, ' ');
    if (first <= 0 || last <= first)
        return fault_set(fault, 400, "the request line is not 'method target version'");
    head->method = str_sub(line, 0, (size_t)first);
    head->target = str_sub(line, (size_t)first + 1, (size_t)(last - first) - 1);
    struct str version = str_sub(line, (size_t)last + 1, SIZE_MAX);
    if (!is_token(head->method))
        return fault_set(fault, 400, "the method is not valid");
    if (str_eq(version, STR("HTTP/1.1")))
        head->version = 11;
    else if (str_eq(version, STR("HTTP/1.0")))
        head->version = 10;
    else if (str_starts_with(version, STR("HTTP/")))
        return fault_set(fault, 505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here");
    else
        return fault_set(fault, 400, "the request line is not 'method target version'");
    return parse_target(head, fault);
}

static bool parse_header(struct str line, struct http_header *header, struct h1_fault *fault)
{
    ptrdiff_t colon = str_find_char(line, ':');
    if (colon <= 0 || !is_token(str_sub(line, 0, (size_t)colon)))
        return fault_set(fault, 400, "a header is not 'name: value'");
    header->name = str_sub(line, 0, (size_t)colon);
    header->value = str_trim(str_sub(line, (size_t)colon + 1, SIZE_MAX));
    char *name = (char *)header->name.ptr;
    for (size_t i = 0; i < header->name.len; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            name[i] += 'a' - 'A';
    return true;
}

/* Is `word` an element of the comma-separated list? Ignores case. */
static bool list_has(struct str list, struct str word)
{
    struct str part;
    while (str_split(&list, ',', &part))
        if (str_eq_nocase(str_trim(part), word))
            return true;
    return false;
}

static bool take_length(struct h1_head *head, struct str value, struct h1_fault *fault)
{
    int64_t n;
    bool digits = value.len > 0 && value.len <= 18;
    for (size_t i = 0; i < value.len; i++)
        digits = digits && value.ptr[i] >= '0' && value.ptr[i] <= '9';
    if (!digits || !str_to_i64(value, &n))
        return fault_set(fault, 400, "Content-Length is not a number");
    if (head->content_length >= 0 && head->content_length != n)
        return fault_set(fault, 400, "there are two different Content-Length");
    head->content_length = n;
    return true;
}

/* What a header means for the framing. */
static bool take_header(struct h1_head *head, const struct http_header *header, int *hosts,
                        struct h1_fault *fault)
{
    struct str name = header->name, value = header->value;
    if (str_eq(name, STR("host"))) {
        if (++*hosts > 1)
            return fault_set(fault, 400, "there is more than one Host");
        if (head->host.len == 0)
            head->host = value;
    } else if (str_eq(name, STR("content-length"))) {
        return take_length(head, value, fault);
    } else if (str_eq(name, STR("transfer-encoding"))) {
        if (head->chunked || !str_eq_nocase(value, STR("chunked")))
            return fault_set(fault, 501, "chunked is the only transfer coding that is spoken here");
        head->chunked = true;
    } else if (str_eq(name, STR("connection"))) {
        if (list_has(value, STR("close")))
            head->keep_alive = false;
        else if (head->version == 10 && list_has(value, STR("keep-alive")))
            head->keep_alive = true;
    } else if (str_eq(name, STR("expect"))) {
        if (!str_eq_nocase(value, STR("100-continue")))
            return fault_set(fault, 417, "100-continue is the only expectation that can be met");
        head->expect_continue = head->version == 11;
    } else if (str_eq(name, STR("upgrade"))) {
        head->upgrade_websocket = head->upgrade_websocket || list_has(value, STR("websocket"));
        head->upgrade_h2c = head->upgrade_h2c || list_has(value, STR("h2c"));
    }
    return true;
}

static bool has_connection_upgrade(const struct h1_head *head)
{
    for (size_t i = 0; i < head->header_count; i++)
        if (str_eq(head->headers[i].name, STR("connection")) &&
            list_has(head->headers[i].value, STR("upgrade")))
            return true;
    return false;
}

static bool check_framing(struct h1_head *head, int hosts, struct h1_fault *fault)
{
    if (head->chunked && head->content_length >= 0)
        return fault_set(fault, 400, "Content-Length and Transfer-Encoding exclude each other");
    if (head->chunked && head->version == 10)
        return fault_set(fault, 400, "HTTP/1.0 has no chunked bodies");
    if (head->version == 11 && hosts == 0)
        return fault_set(fault, 400, "Host is missing");
    if (head->version == 10 || !has_connection_upgrade(head))
        head->upgrade_websocket = head->upgrade_h2c = false;
    return true;
}

bool h1_parse_head(char *bytes, size_t len, const struct h1_limits *limits, struct arena *arena,
                   struct h1_head *head, struct h1_fault *fault)
{
    struct str rest = str_of(bytes, len), line;
    int hosts = 0;
    *head = (struct h1_head){.content_length = -1};
    if (!next_line(&rest, &line, fault) || !parse_request_line(line, head, fault))
        return false;
    head->keep_alive = head->version == 11;
    head->headers = arena_array(arena, struct http_header, limits->header_count_max);
    while (rest.len > 0) {
        if (!next_line(&rest, &line, fault))
            return false;
        if (line.len == 0)
            break;
        if (head->header_count == limits->header_count_max)
            return fault_set(fault, 431, "there are too many headers");
        struct http_header *header = &head->headers[head->header_count++];
        if (!parse_header(line, header, fault) || !take_header(head, header, &hosts, fault))
            return false;
    }
    return check_framing(head, hosts, fault);
}

/* ---- chunks ---- */

enum { CHUNK_LINE_MAX = 1024, CHUNK_TRAILER_MAX = 8192 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 32);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The size line: hex digits, perhaps an extension, CR LF. */
static bool chunk_size_char(struct chunk_decoder *decoder, char c)
{
    int digit = hex_digit(c);
    if (++decoder->line_bytes > CHUNK_LINE_MAX)
        return false;
    if (digit >= 0) {
        if (decoder->spaced || ++decoder->digits > 15)
            return false;
        decoder->left = decoder->left * 16 + (unsigned)digit;
        return true;
    }
    if (decoder->digits == 0)
        return false;
    if (c == ' ' || c == '\t')
        decoder->spaced = true;
    else if (c == ';')
        decoder->state = CHUNK_EXTENSION;
    else if (c == '\r')
        decoder->state = CHUNK_SIZE_LF;
    else
        return false;
    return true;
}

static bool chunk_extension_char(struct chunk_decoder *decoder, char c)
{
    if (++decoder->line_bytes > CHUNK_LINE_MAX || c == '\n' || c == '\0')
        return false;
    if (c == '\r')
        decoder->state = CHUNK_SIZE_LF;
    return true;
}

/* Trailer lines up to an empty one are read and dropped; line_bytes counts the present line without its CR.
 * */
static bool chunk_trailer_char(struct chunk_decoder *decoder, char c)
{
    if (++decoder->trailer_bytes > CHUNK_TRAILER_MAX)
        return false;
    if (c == '\r')
        return true;
    if (c != '\n') {
        decoder->line_bytes++;
        return true;
    }
    if (decoder->line_bytes == 0)
        decoder->state = CHUNK_END;
    decoder->line_bytes = 0;
    return true;
}

static bool chunk_char(struct chunk_decoder *decoder, char c)
{
    switch (decoder->state) {
    case CHUNK_SIZE:
        return chunk_size_char(decoder, c);
    case CHUNK_EXTENSION:
        return chunk_extension_char(decoder, c);
    case CHUNK_SIZE_LF:
        decoder->state = decoder->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
        decoder->line_bytes = 0;
        return c == '\n';
    case CHUNK_DATA_CR:
        decoder->state = CHUNK_DATA_LF;
        return c == '\r';
    case CHUNK_DATA_LF:
        decoder->state = CHUNK_SIZE;
        decoder->digits = decoder->line_bytes = 0;
        decoder->spaced = false;
        return c == '\n';
    case CHUNK_TRAILER:
        return chunk_trailer_char(decoder, c);
    case CHUNK_DATA:
    case CHUNK_END:
        break; /* not by character */
    }
    UNREACHABLE();
}

bool chunk_decode(struct chunk_decoder *decoder, struct str *in, struct str *data)
{
    *data = STR("");
    while (in->len > 0 && decoder->state != CHUNK_END) {
        if (decoder->state == CHUNK_DATA) {
            *data = str_sub(*in, 0, (size_t)MIN(decoder->left, in->len));
            *in = str_sub(*in, data->len, SIZE_MAX);
            decoder->left -= data->len;
            if (decoder->left == 0)
                decoder->state = CHUNK_DATA_CR;
            return true;
        }
        char c = in->ptr[0];
        *in = str_sub(*in, 1, SIZE_MAX);
        if (!chunk_char(decoder, c))
            return false;
    }
    return true;
}
