/* client.c - one connection of a simulated client: frames out, frames in, as any Kafka client does it.
 *
 * A connection that breaks, or an answer that does not come in time, closes it; the next request opens another. Whether a
 * request that was sent before had its effect is then unknown to the caller.
 *
 * An answer may arrive after the server that gave it has died. What it tells was so when its request was sent, or later: with how
 * many losses that was is kept for the facts that are made of it (scenario.told_losses).
 */
#include "clients.h"

enum { CONNECT_PAUSE_US = 20000, FRAME_BYTES_MAX = 64 << 20 };

void client_init(struct client *client, const char *name)
{
    *client = (struct client){.fd = -1};
    snprintf(client->name, sizeof client->name, "%s", name);
}

void client_disconnect(struct client *client)
{
    if (client->fd >= 0)
        sim_close(client->fd);
    client->fd = -1;
    client->in_flight = 0;
    buf_clear(&client->in);
}

void client_fini(struct client *client)
{
    client_disconnect(client);
    arena_fini(&client->arena);
    buf_fini(&client->in);
}

bool client_send(struct client *client, int16_t api_key, int16_t version, const void *req)
{
    enum { SEND_US = 10000000 };
    struct wire_out out = {0};
    if (client->fd < 0) {
        client->fd = sim_connect(SIM_PORT);
        client->connections++;
    }
    if (client->fd < 0) {
        sim_sleep_us(sim_between(1, CONNECT_PAUSE_US));
        return false;
    }
    if (client->in_flight++ == 0) {
        client->losses = scenario_losses();
        client->cuts = scenario.cuts;
    }
    wire_encode_request(wire_api_find(api_key), version, ++client->correlation_id, str_from(client->name),
                        req, &out);
    bool good = sim_send(client->fd, buf_str(&out.buf), sim_now_us() + SEND_US);
    wire_out_fini(&out);
    if (!good)
        client_disconnect(client);
    return good;
}

/* Reads until `size` bytes are there. */
static bool fill(struct client *client, size_t size, int64_t until_us)
{
    char bytes[16384];
    while (client->in.len < size) {
        ssize_t got = sim_recv(client->fd, bytes, sizeof bytes, until_us);
        if (got <= 0)
            return false;
        buf_append(&client->in, bytes, (size_t)got);
    }
    return true;
}

/* One frame; its bytes live in the arena. */
static bool take_frame(struct client *client, int64_t until_us, struct str *frame)
{
    if (!fill(client, 4, until_us))
        return false;
    uint32_t size = load_be32(client->in.ptr);
    if (size > FRAME_BYTES_MAX)
        sim_fail("%s: an answer of %u bytes", client->name, size);
    if (!fill(client, 4 + (size_t)size, until_us))
        return false;
    *frame = str_dup(str_of(client->in.ptr + 4, size), &client->arena);
    buf_consume(&client->in, 4 + (size_t)size);
    return true;
}

void *client_receive(struct client *client, int16_t api_key, int16_t version, int64_t timeout_us)
{
    enum { API_VERSIONS = 18 };
    const struct wire_api *api = wire_api_find(api_key);
    struct str frame, rest;
    struct err err;
    arena_reset(&client->arena);
    if (client->fd < 0 || !take_frame(client, sim_now_us() + timeout_us, &frame)) {
        client_disconnect(client);
        return NULL;
    }
    client->in_flight--;
    scenario.told_losses = client->losses;
    scenario.told_cuts = client->cuts;
    size_t header = 4 + (wire_is_flexible(api->response, version) && api_key != API_VERSIONS);
    void *res = arena_zalloc(&client->arena, 1, api->response->body->size);
    if (frame.len < header || !wire_decode(api->response, version, str_sub(frame, header, frame.len), res,
                                           &rest, &client->arena, &err))
        sim_fail("%s: the answer of %s version %d cannot be read: %s", client->name, api->name, version,
                 frame.len < header ? "too short" : err.text);
    if (rest.len != 0)
        sim_fail("%s: %zu bytes follow the answer of %s version %d", client->name, rest.len, api->name,
                 version);
    return res;
}

void *client_call(struct client *client, int16_t api_key, int16_t version, const void *req,
                  int64_t timeout_us)
{
    if (!client_send(client, api_key, version, req))
        return NULL;
    int32_t sent = client->correlation_id;
    void *res = client_receive(client, api_key, version, timeout_us);
    ASSERT(res == NULL || sent == client->correlation_id);
    return res;
}
