/* foreign_options.c - options of Apache Kafka that are none here, and why: said to who sets one, at the start or by a tool.
 *
 * A row is a name, or the beginning or the end of some with '*' for the rest; the first that fits counts.
 */
#include "broker/broker_int.h"

static const struct {
    const char *pattern, *why;
} foreign[] = {
    {"listeners", "it is kafka.listen here"},
    {"advertised.listeners", "it is kafka.advertise here"},
    {"early.start.listeners", "listeners start when all is ready"},
    {"log.dir", "the data directory is given by --data"},
    {"log.dirs", "the data directory is given by --data"},
    {"cordoned.log.dirs", "there is one log directory"},
    {"broker.id", "there is one node, and its id is 1"},
    {"node.id", "there is one node, and its id is 1"},
    {"broker.*", "there is one node"},
    {"initial.broker.*", "there is one node"},
    {"process.roles", "there is one node, which is broker and controller"},
    {"controller.quota.window.*", "the windows of quotas are quota.window.num and quota.window.size.seconds"},
    {"controller*", "there is one node, and no quorum of controllers"},
    {"metadata.*", "there is one node, and no quorum of controllers"},
    {"zookeeper.*", "there is no ZooKeeper"},
    {"inter.broker.*", "there is one node"},
    {"security.inter.broker.protocol", "there is one node"},
    {"default.replication.factor", "a partition has one replica; see replication.factor.clamp"},
    {"replica.*", "a partition has one replica"},
    {"num.replica.*", "a partition has one replica"},
    {"*replication.throttled.rate", "a partition has one replica"},
    {"replication.quota.*", "a partition has one replica"},
    {"alter.log.dirs.*", "there is one log directory"},
    {"auto.leader.*", "a partition has one replica"},
    {"leader.*", "a partition has one replica"},
    {"remote.*", "there is no remote storage"},
    {"follower.fetch.last.tiered.offset.enable", "there is no remote storage"},
    {"num.io.threads", "requests run on the network threads: num.network.threads"},
    {"queued.max.*", "requests run as they are read; a connection that has too many under way is not read"},
    {"background.threads", "there are no such threads"},
    {"num.recovery.threads.per.data.dir", "a start reads only what lies behind the checkpoints"},
    {"log.cleaner.threads", "one thread compacts"},
    {"log.cleaner.io.buffer.*", "compaction reads batch by batch; see log.cleaner.dedupe.buffer.size"},
    {"log.flush.*", "a checkpoint is written with a sync; see durability, flush.messages and flush.ms"},
    {"log.dir.failure.timeout.ms", "a log whose disk fails goes offline by itself"},
    {"log.roll.jitter.hours", "it is the topic config segment.jitter.ms here"},
    {"log.retention.hours", "it is log.retention.ms here"},
    {"log.retention.minutes", "it is log.retention.ms here"},
    {"log.roll.hours", "it is log.roll.ms here"},
    {"offsets.retention.minutes", "it is offsets.retention.ms here"},
    {"max.connections.per.ip.overrides", "max.connections.per.ip is the same for all addresses"},
    {"*.purgatory.purge.interval.requests", "requests that wait are taken out when they end"},
    {"group.coordinator.*", "groups are decided on the network threads, and their records share a sync"},
    {"share.coordinator.*",
     "share groups are decided on the network threads, and their records share a sync"},
    {"offsets.*", "groups live in memory and in one log of their own"},
    {"transaction.state.log.*", "transactions live in memory and in one log of their own"},
    {"transaction.partition.verification.enable", "batches of transactions are always checked"},
    {"transaction.remove.*", "ids expire when they are due"},
    {"transaction.two.phase.commit.enable", "two-phase commit is not offered"},
    {"add.partitions.to.txn.*", "a transaction takes its partitions without a call to another node"},
    {"max.request.partition.size.limit", "a request says how many partitions it wants to be told of"},
    {"request.timeout.ms", "there is one node"},
    {"controlled.shutdown.*", "a partition has one replica"},
    {"socket.connection.*", "the server connects to no other node"},
    {"socket.*", "the system says how large the buffers of sockets are"},
    {"metric.reporters", "metrics are for Prometheus: /metrics of http.listen"},
    {"metrics.*", "metrics are for Prometheus: /metrics of http.listen"},
    {"kafka.metrics.*", "metrics are for Prometheus: /metrics of http.listen"},
    {"telemetry.*", "client metrics are not kept"},
    {"sasl.kerberos.*", "GSSAPI is not offered"},
    {"sasl.login.*", "the server logs in nowhere"},
    {"sasl.client.*", "the server logs in nowhere"},
    {"sasl.mechanism.*", "the server logs in nowhere"},
    {"sasl.jaas.config", "users are those of `rialto user` and of sasl.bootstrap.users"},
    {"sasl.oauthbearer.*", "tokens are checked against a file of keys: sasl.oauthbearer.jwks.endpoint.url"},
    {"ssl.endpoint.identification.algorithm", "the server connects nowhere"},
    {"ssl.keystore.*", "keys and certificates are in files: ssl.keystore.location"},
    {"ssl.truststore.*", "certificates are in files: ssl.truststore.location"},
    {"ssl.allow.*", "new certificates are taken whoever they name"},
    {"ssl.*", "TLS is OpenSSL's; see ssl.enabled.protocols and ssl.cipher.suites"},
    {"security.providers", "no Java classes are loaded"},
    {"config.providers", "no Java classes are loaded"},
    {"*.class", "no Java classes are loaded"},
    {"*.class.name", "no Java classes are loaded"},
    {"*.class.path", "no Java classes are loaded"},
};

static bool fits(const char *pattern, struct str name)
{
    struct str text = str_from(pattern);
    if (pattern[0] == '*')
        return str_ends_with(name, str_sub(text, 1, SIZE_MAX));
    if (text.ptr[text.len - 1] == '*')
        return str_starts_with(name, str_sub(text, 0, text.len - 1));
    return str_eq(name, text);
}

const char *broker_option_foreign(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(foreign); i++)
        if (fits(foreign[i].pattern, name))
            return foreign[i].why;
    return NULL;
}
