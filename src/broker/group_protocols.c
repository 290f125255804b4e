/* group_protocols.c - protocols of groups that are switched off (group.coordinator.rebalance.protocols).
 *
 *   ConsumerGroupHeartbeat, ConsumerGroupDescribe       "consumer" }
 *   StreamsGroupHeartbeat, StreamsGroupDescribe         "streams"  } not in the list: UNSUPPORTED_VERSION, whoever asks
 *
 * As in Apache Kafka, ApiVersions announces them all the same, the names "classic" and "share" switch nothing, and groups that
 * are there stay: they are seen by ListGroups, and go when their sessions end.
 */
#include "broker/broker_int.h"

bool group_protocols_check(const struct conf_option *option, struct str text, struct err *err)
{
    static const char *const known[] = {"classic", "consumer", "share", "streams"};
    bool seen[COUNT_OF(known)] = {false};
    struct str rest = text, name;
    if (text.len == 0)
        return err_set(err, ERR_INVALID_CONFIG, "no protocol is named");
    while (str_split(&rest, ',', &name)) {
        size_t i = 0;
        while (i < COUNT_OF(known) && !str_eq_cstr(str_trim(name), known[i]))
            i++;
        if (i == COUNT_OF(known))
            return err_set(err, ERR_INVALID_CONFIG,
                           "'%.*s' is no protocol of groups; there are classic, consumer, share and streams",
                           STR_ARG(str_trim(name)));
        if (seen[i])
            return err_set(err, ERR_INVALID_CONFIG, "%s is named twice", known[i]);
        seen[i] = true;
    }
    return true;
}

bool group_protocol_is_off(const struct broker *broker, struct str protocol)
{
    struct str rest = broker->config.group_protocols, name;
    while (str_split(&rest, ',', &name))
        if (str_eq(str_trim(name), protocol))
            return false;
    return true;
}
