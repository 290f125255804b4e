/* noise.c - a client that sends what no client should: any bytes behind a good header, good requests with any contents, and
 * good requests with a few bytes changed.
 *
 * (N1) The server answers or closes the connection. It does not die, and keeps its promises to everybody else.
 * (N2) Names are of its own, and requests that change the server for others are left out: it disturbs, it does not destroy.
 */
#include "clients.h"
#include "wire_fill.h"

static const struct str words[] = {STR_INIT("noise-0"), STR_INIT("noise-1"),        STR_INIT("noise-2"),
                                   STR_INIT(""),        STR_INIT("range"),          STR_INIT("consumer"),
                                   STR_INIT("9"),       STR_INIT("cleanup.policy"), STR_INIT("compact")};

static uint64_t from_seed(void *arg)
{
    return sim_random();
}

/* N2: ACLs, configs, quotas, users. */
static bool is_left_out(int16_t api_key)
{
    static const int16_t keys[] = {30, 31, 33, 44, 49, 51};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (keys[i] == api_key)
            return true;
    return false;
}

static const struct wire_api *pick_api(void)
{
    size_t count;
    const struct wire_api *apis = wire_api_all(&count), *api;
    do
        api = &apis[sim_below(count)];
    while (is_left_out(api->api_key));
    return api;
}

static void change_bytes(struct buf *frame)
{
    for (int64_t i = sim_between(1, 8); i > 0 && frame->len > 8; i--)
        frame->ptr[8 + sim_below(frame->len - 8)] = (char)sim_random();
}

static void fill_with_noise(struct buf *frame)
{
    size_t size = (size_t)sim_below(200);
    frame->len = MIN(frame->len, (size_t)14); /* length, key, version, correlation id, an empty client id */
    for (size_t i = 0; i < size; i++)
        buf_append_char(frame, (char)sim_random());
}

static void set_length(struct buf *frame)
{
    uint32_t size = (uint32_t)frame->len - 4;
    char bytes[4] = {(char)(size >> 24), (char)(size >> 16), (char)(size >> 8), (char)size};
    memcpy(frame->ptr, bytes, sizeof bytes);
}

static void make_frame(struct wire_out *out)
{
    const struct wire_api *api = pick_api();
    struct wire_range range = api->request->versions;
    struct arena arena = {0};
    struct wire_fill fill = {
        .random = from_seed, .words = words, .word_count = COUNT_OF(words), .array_max = 3, .arena = &arena};
    void *req = arena_zalloc(&arena, 1, api->request->body->size);
    wire_fill_struct(&fill, api->request->body, req);
    wire_encode_request(api, (int16_t)sim_between(range.min, range.max), 7, STR(""), req, out);
    arena_fini(&arena);
    switch (sim_below(4)) {
    case 0:
        change_bytes(&out->buf);
        break;
    case 1:
        fill_with_noise(&out->buf);
        break;
    default:
        break;
    }
    set_length(&out->buf);
}

static void noise_main(void *arg)
{
    int fd = -1;
    char bytes[4096];
    while (!scenario.calm) {
        struct wire_out out = {0};
        if (fd < 0)
            fd = sim_connect(SIM_PORT);
        make_frame(&out);
        bool good = fd >= 0 && sim_send(fd, buf_str(&out.buf), sim_now_us() + 1000000);
        good = good && sim_recv(fd, bytes, sizeof bytes, sim_now_us() + sim_between(0, 100000)) > 0;
        wire_out_fini(&out);
        if (!good && fd >= 0) {
            sim_close(fd);
            fd = -1;
        }
        sim_sleep_us(sim_between(0, scenario.slow ? 500000 : 20000));
    }
    if (fd >= 0)
        sim_close(fd);
    scenario.actors--;
}

void noise_spawn(void)
{
    scenario.actors++;
    sim_spawn("noise", SIM_CLIENTS, noise_main, NULL);
}
