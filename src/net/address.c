/* address.c - addresses as text and as the kernel's structs. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#include "net/net_int.h"

static bool port_parse(struct str text, struct str address, int *port, struct err *err)
{
    int32_t n;
    if (!str_to_i32(text, &n) || n < 0 || n > 65535 || text.ptr[0] == '+')
        return err_set(err, ERR_USAGE,
                       "address %.*s has no valid port: give host:port with a port from 0 to 65535",
                       STR_ARG(address));
    *port = n;
    return true;
}

bool net_address_split(struct str address, int port_default, struct str *host, int *port, struct err *err)
{
    struct str rest;
    if (address.len > 0 && address.ptr[0] == '[') {
        ptrdiff_t close = str_find_char(address, ']');
        if (close < 0)
            return err_set(err, ERR_USAGE, "address %.*s has '[' without ']'", STR_ARG(address));
        *host = str_sub(address, 1, (size_t)close - 1);
        rest = str_sub(address, (size_t)close + 1, SIZE_MAX);
    } else {
        ptrdiff_t colon = str_rfind_char(address, ':');
        *host = colon < 0 ? address : str_sub(address, 0, (size_t)colon);
        rest = colon < 0 ? STR("") : str_sub(address, (size_t)colon, SIZE_MAX);
        if (str_find_char(*host, ':') >= 0)
            return err_set(err, ERR_USAGE, "address %.*s: write an IPv6 address as [address]:port",
                           STR_ARG(address));
    }
    if (rest.len == 0 && port_default >= 0) {
        *port = port_default;
        return true;
    }
    if (rest.len == 0 || rest.ptr[0] != ':')
        return err_set(err, ERR_USAGE, "address %.*s has no port: give host:port", STR_ARG(address));
    return port_parse(str_sub(rest, 1, SIZE_MAX), address, port, err);
}

int net_address_resolve(struct str host, int port, union net_sockaddr *addrs, int max, struct err *err)
{
    char name[256], service[8];
    if (host.len >= sizeof name || memchr(host.ptr, '\0', host.len) != NULL) {
        err_set(err, ERR_USAGE, "host name of %zu bytes is not valid", host.len);
        return -1;
    }
    snprintf(name, sizeof name, "%.*s", STR_ARG(host));
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *list = NULL;
    int rc = getaddrinfo(host.len > 0 ? name : NULL, service, &hints, &list);
    if (rc != 0) {
        err_set(err, ERR_USAGE, "host %s cannot be resolved: %s", name, gai_strerror(rc));
        return -1;
    }
    int count = 0;
    for (struct addrinfo *at = list; at != NULL && count < max; at = at->ai_next)
        if (at->ai_addrlen <= sizeof *addrs && (at->ai_family == AF_INET || at->ai_family == AF_INET6))
            memcpy(&addrs[count++], at->ai_addr, at->ai_addrlen);
    freeaddrinfo(list);
    return count;
}

socklen_t net_address_len(const union net_sockaddr *addr)
{
    return addr->any.sa_family == AF_INET6 ? sizeof addr->v6 : sizeof addr->v4;
}

int net_address_port(const union net_sockaddr *addr)
{
    return ntohs(addr->any.sa_family == AF_INET6 ? addr->v6.sin6_port : addr->v4.sin_port);
}

void net_address_set_port(union net_sockaddr *addr, int port)
{
    if (addr->any.sa_family == AF_INET6)
        addr->v6.sin6_port = htons((uint16_t)port);
    else
        addr->v4.sin_port = htons((uint16_t)port);
}

void net_address_text(const union net_sockaddr *addr, bool with_port, char text[NET_ADDRESS_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "unknown";
    bool is_v6 = addr->any.sa_family == AF_INET6;
    const void *bytes = is_v6 ? (const void *)&addr->v6.sin6_addr : (const void *)&addr->v4.sin_addr;
    ignore(inet_ntop(addr->any.sa_family, bytes, host, sizeof host) == NULL, "the word unknown stays");
    if (!with_port)
        snprintf(text, NET_ADDRESS_BYTES, "%s", host);
    else
        snprintf(text, NET_ADDRESS_BYTES, is_v6 ? "[%s]:%d" : "%s:%d", host, net_address_port(addr));
}

bool net_address_is_loopback(const union net_sockaddr *addr)
{
    if (addr->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&addr->v6.sin6_addr);
    return ntohl(addr->v4.sin_addr.s_addr) >> 24 == 127;
}
