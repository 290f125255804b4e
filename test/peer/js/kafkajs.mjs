// The kafkajs part of test_kafkajs.py: idempotent producer, group and admin over kills. Prints what harness.py (converse) describes.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { createRequire } from "node:module";

const { Kafka, CompressionTypes, Partitioners, ConfigResourceTypes, logLevel } =
    createRequire(process.env.PEER_JS + "/")("kafkajs");

const TOPIC = "plain", GROUP = "kafkajs-group", CHUNK = 50;
const [address, count, partitions] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const retry = { initialRetryTime: 100, maxRetryTime: 300, retries: 60 };
const { PEER_MECHANISM, PEER_USER, PEER_PASSWORD, PEER_CA } = process.env;
const secured = PEER_MECHANISM && {
    ssl: { ca: [readFileSync(PEER_CA, "utf8")] },
    sasl: { mechanism: PEER_MECHANISM.toLowerCase(), username: PEER_USER, password: PEER_PASSWORD },
};
const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry, ...secured });
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function pause() {
    console.log("pause");
    await answers.next();
}

const fact = (name, value) => console.log(`fact ${name} ${value}`);

async function produce() {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1, createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    for (let n = 0; n < count; n += CHUNK) {
        const messages = [];
        for (let i = n; i < Math.min(n + CHUNK, count); i++)
            messages.push({ key: `key-${i % 17}`, value: `value-${String(i).padStart(6, "0")}`, headers: { n: "x" } });
        const sent = producer.send({ topic: TOPIC, messages, acks: -1, compression: CompressionTypes.GZIP });
        if (n === count / 3 || n === count / 2)
            await pause();
        await sent;
    }
    await producer.disconnect();
}

// Commits until it is done: kafkajs does not repeat it when the connection is lost.
async function commit(consumer, place) {
    for (let tries = 0; ; tries++) {
        try {
            return await consumer.commitOffsets([place]);
        } catch (error) {
            if (tries === 60)
                throw error;
            await sleep(100);
        }
    }
}

// Reads batches, each committed, until `wanted` records were seen or the time is over; calls `half` once, in the middle.
async function take(wanted, seconds, half) {
    const consumer = kafka.consumer({ groupId: GROUP, sessionTimeout: 6000, heartbeatInterval: 500, maxBytesPerPartition: 1024,
                                      maxWaitTimeInMs: 200, retry });
    let seen = 0, over;
    const enough = new Promise(resolve => { over = resolve; });
    await consumer.connect();
    await consumer.subscribe({ topics: [TOPIC], fromBeginning: true });
    await consumer.run({
        autoCommit: false, eachBatchAutoResolve: false,
        eachBatch: async ({ batch, resolveOffset }) => {
            for (const message of batch.messages)
                console.log(`record ${batch.partition} ${message.offset} ${message.key} ${message.value}`);
            seen += batch.messages.length;
            await commit(consumer, { topic: TOPIC, partition: batch.partition, offset: String(BigInt(batch.lastOffset()) + 1n) });
            resolveOffset(batch.lastOffset());
            if (half && seen >= wanted / 2) {
                const now = half;
                half = null;
                await now();
            }
            if (seen >= wanted)
                over();
        },
    });
    await Promise.race([enough, sleep(seconds * 1000, null, { ref: false })]);
    return { seen, leave: () => consumer.disconnect() };
}

async function transact(admin) {
    const count = 50, group = "txn-group";
    const producer = kafka.producer({ transactionalId: "kafkajs-txn", maxInFlightRequests: 1, idempotent: true,
                                      createPartitioner: Partitioners.DefaultPartitioner });
    const messages = prefix => Array.from({ length: count }, (_, n) => ({ value: `${prefix}-${n}` }));
    await producer.connect();
    const first = await producer.transaction();
    await first.send({ topic: "txn", messages: messages("committed") });
    await pause();
    await first.commit();
    const second = await producer.transaction();
    await second.send({ topic: "txn", messages: messages("aborted") });
    await second.abort();
    const third = await producer.transaction();
    await third.send({ topic: "txn", messages: messages("offsets") });
    await third.sendOffsets({ consumerGroupId: group, topics: [{ topic: TOPIC, partitions: [{ partition: 0, offset: "7" }] }] });
    await third.commit();
    await producer.disconnect();
    fact("txnOffset", (await admin.fetchOffsets({ groupId: group, topics: [TOPIC] }))[0].partitions.find(p => p.partition === 0).offset);
    let committed = 0, aborted = 0, enough;
    const all = new Promise(resolve => { enough = resolve; });
    const consumer = kafka.consumer({ groupId: "txn-readers", readUncommitted: false, retry });
    await consumer.connect();
    await consumer.subscribe({ topics: ["txn"], fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => {
        String(message.value).startsWith("aborted") ? aborted++ : committed++;
        if (committed === 2 * count)
            enough();
    } });
    await Promise.race([all, sleep(30000, null, { ref: false })]);
    await consumer.disconnect();
    fact("txnCommitted", committed);
    fact("txnAborted", aborted);
    await admin.deleteGroups([group, "txn-readers"]);
    await admin.deleteTopics({ topics: ["txn"] });
}

async function deleteRecords(admin) {
    await admin.deleteTopicRecords({ topic: TOPIC, partitions: [{ partition: 0, offset: "5" }] });
    fact("low", (await admin.fetchTopicOffsets(TOPIC)).find(place => place.partition === 0).low);
}

async function resume(admin) {
    await pause();
    const { seen, leave } = await take(1, 4);
    fact("extra", seen);
    fact("state", (await admin.describeGroups([GROUP])).groups[0].state);
    await leave();
    const sum = places => places.reduce((all, place) => all + Number(place.offset), 0);
    fact("committed", sum((await admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] }))[0].partitions));
    fact("end", sum(await admin.fetchTopicOffsets(TOPIC)));
}

async function administer(admin) {
    const made = { topic: "made", numPartitions: 2, configEntries: [{ name: "cleanup.policy", value: "compact" }] };
    fact("created", await admin.createTopics({ topics: [made], waitForLeaders: true }));
    fact("twice", await admin.createTopics({ topics: [made] }));
    await admin.createPartitions({ topicPartitions: [{ topic: "made", count: 4 }] });
    fact("partitions", (await admin.fetchTopicMetadata({ topics: ["made"] })).topics[0].partitions.length);
    const described = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: "made", configNames: ["cleanup.policy"] }],
                                                    includeSynonyms: false });
    fact("policy", described.resources[0].configEntries[0].configValue);
    fact("groups", (await admin.listGroups()).groups.map(group => group.groupId));
    fact("nodes", (await admin.describeCluster()).brokers.length);
    await admin.deleteGroups([GROUP]);
    await admin.deleteTopics({ topics: ["made"] });
}

const admin = kafka.admin();
await admin.connect();
await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: partitions }], waitForLeaders: true });
await produce();
await (await take(count, 60, pause)).leave();
const features = new Set(process.env.PEER_FEATURES.split(" "));
if (features.has("transactions"))
    await transact(admin);
await resume(admin);
await administer(admin);
if (features.has("records"))
    await deleteRecords(admin);
await admin.disconnect();
console.log("end");
process.exit(0);
