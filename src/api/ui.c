/* ui.c - Caldrop, the page: files embedded in the binary, served under /ui/.
 *
 *   /ui/assets/<name>-<hash>.<ext>   for ever in caches, gzip, 404 when it is not there (an old tab after an upgrade)
 *   /ui/<anything else>              the index: the page reads the rest of the address itself
 *
 * Every answer carries the rules that keep the page from running or loading anything foreign. Only the index may be
 * reached by a link on another page.
 */
#include "api/api.h"
#include "api/ui_files.h"

#define CSP                                                                                             \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "  \
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; " \
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types caldrop"

static const struct {
    struct str name, value;
} headers[] = {
    {STR_INIT("content-security-policy"), STR_INIT(CSP)},
    {STR_INIT("referrer-policy"), STR_INIT("no-referrer")},
    {STR_INIT("cross-origin-opener-policy"), STR_INIT("same-origin")},
    {STR_INIT("cross-origin-resource-policy"), STR_INIT("same-origin")},
    {STR_INIT("permissions-policy"), STR_INIT("camera=(), microphone=(), geolocation=()")},
};

static const struct ui_file *file_of(struct str path)
{
    for (size_t i = 0; i < ui_file_count; i++)
        if (str_eq_cstr(path, ui_files[i].path))
            return &ui_files[i];
    return NULL;
}

static void reply_file(struct http_request *req, const struct ui_file *file, struct str cache_control)
{
    struct http_blob blob = {.content_type = str_from(file->content_type),
                             .etag = str_from(file->etag),
                             .cache_control = cache_control};
    if (file->gzip != NULL)
        blob.gzip = str_of(file->gzip, file->gzip_len);
    if (file->identity != NULL)
        blob.identity = str_of(file->identity, file->identity_len);
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        http_reply_header(req, headers[i].name, headers[i].value);
    http_reply_blob(req, &blob);
}

static void get_asset(struct http_request *req, void *arg)
{
    struct str path = str_printf(req->arena, "assets/%.*s", STR_ARG(http_param(req, "path")));
    const struct ui_file *file = file_of(path);
    if (file == NULL)
        http_reply_error(req, 404, 40400, STR("there is no such file of the page; reload it"));
    else
        reply_file(req, file, STR("public, max-age=31536000, immutable"));
}

static void get_page(struct http_request *req, void *arg)
{
    const struct ui_file *file = file_of(STR("index.html"));
    if (file != NULL)
        reply_file(req, file, STR("no-cache"));
    else
        http_reply(req, 200, STR("text/plain; charset=utf-8"),
                   STR("This rialto was built without its page. Build it with -DRIALTO_UI=ON (needs Node and "
                       "npm).\n"));
}

static void redirect(struct http_request *req, void *arg)
{
    http_reply_header(req, STR("location"), STR("/ui/"));
    http_reply(req, 303, STR_NULL, STR(""));
}

bool api_ui_redirect(struct http_request *req)
{
    static const char *const types[] = {"application/json", "text/html"};
    bool navigates = str_eq(http_header(req, "sec-fetch-mode"), STR("navigate"));
    bool wants_html =
        !str_is_null(http_header(req, "accept")) && http_accept(req, types, COUNT_OF(types)) == 1;
    if (!navigates && !wants_html)
        return false;
    redirect(req, NULL);
    return true;
}

static const struct http_route routes[] = {
    {"GET", "/ui", redirect, HTTP_NAVIGABLE, .doc = "To the page."},
    {"GET", "/ui/", get_page, HTTP_NAVIGABLE, .doc = "The page."},
    {"GET", "/ui/{path*}", get_page, HTTP_NAVIGABLE,
     .doc = "The page; the rest of the address is its state."},
    {"GET", "/ui/assets/{path*}", get_asset, .doc = "Scripts and styles of the page."},
};

void api_ui_routes(struct http_server *server, struct api_env *env)
{
    http_server_route(server, routes, COUNT_OF(routes), env);
}
