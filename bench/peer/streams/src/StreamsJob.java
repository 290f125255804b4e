import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Joined;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.KTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * The SQL cases in Kafka Streams: StreamsJob QUERY BOOTSTRAP GUARANTEE CONFIG STATE_DIR OUT_TOPIC.
 *
 * <p>QUERY filter, window or join; GUARANTEE at_least_once or exactly_once_v2; CONFIG stock, or tuned: large caches,
 * batches and polls, lz4, longer commit intervals. Ends when all input went through the topology and close() has
 * flushed and committed; prints one JSON line.
 */
public final class StreamsJob {
    public record Transaction(int user_id, long amount, long ts, String merchant, String note) {}

    public record Small(int user_id, long amount, String merchant) {}

    public record User(int user_id, String name, String tier, String country) {}

    public record Enriched(int user_id, long amount, long ts, String merchant, String name, String tier) {}

    public record Sum(long total, long n) {}

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final LongAdder SEEN = new LongAdder();

    private static <T> Serde<T> json(Class<T> type) {
        return Serdes.serdeFrom(
            (topic, value) -> {
                try {
                    return value == null ? null : JSON.writeValueAsBytes(value);
                } catch (JsonProcessingException e) {
                    throw new IllegalStateException(e);
                }
            },
            (topic, bytes) -> {
                try {
                    return bytes == null ? null : JSON.readValue(bytes, type);
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            });
    }

    private static KStream<String, Transaction> transactions(StreamsBuilder builder) {
        return builder.stream("transactions", Consumed.with(Serdes.String(), json(Transaction.class)))
            .peek((key, value) -> SEEN.increment());
    }

    private static void build(StreamsBuilder builder, String query, String out) {
        Serde<String> text = Serdes.String();
        switch (query) {
            case "filter" -> transactions(builder)
                .filter((key, t) -> t.amount() > 50)
                .mapValues(t -> new Small(t.user_id(), t.amount(), t.merchant()))
                .to(out, Produced.with(text, json(Small.class)));
            case "window" -> transactions(builder)
                .groupByKey(Grouped.with(text, json(Transaction.class)))
                .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(3), Duration.ofSeconds(2)))
                .aggregate(() -> new Sum(0, 0), (key, t, sum) -> new Sum(sum.total() + t.amount(), sum.n() + 1),
                    Materialized.with(text, json(Sum.class)))
                .toStream()
                .map((key, sum) -> KeyValue.pair(key.key() + "@" + key.window().start(), sum))
                .to(out, Produced.with(text, json(Sum.class)));
            case "join" -> {
                KTable<String, User> users = builder.table("users", Consumed.with(text, json(User.class)));
                transactions(builder)
                    .join(users, (t, u) -> new Enriched(t.user_id(), t.amount(), t.ts(), t.merchant(), u.name(), u.tier()),
                        Joined.with(text, json(Transaction.class), json(User.class)))
                    .to(out, Produced.with(text, json(Enriched.class)));
            }
            default -> throw new IllegalArgumentException(query);
        }
    }

    private static long inputRecords(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) bootstrap))) {
            Map<TopicPartition, OffsetSpec> ask = new HashMap<>();
            admin.describeTopics(List.of("transactions")).allTopicNames().get().get("transactions").partitions()
                .forEach(p -> ask.put(new TopicPartition("transactions", p.partition()), OffsetSpec.latest()));
            return admin.listOffsets(ask).all().get().values().stream().mapToLong(i -> i.offset()).sum();
        }
    }

    private static Properties properties(String bootstrap, String guarantee, String config, String state, String out) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, out);
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
        p.put(StreamsConfig.STATE_DIR_CONFIG, state);
        p.put("auto.offset.reset", "earliest");
        if (config.equals("tuned")) {
            p.put("statestore.cache.max.bytes", 512L << 20);
            p.put("commit.interval.ms", guarantee.startsWith("exactly") ? 1000 : 10000);
            p.put("topology.optimization", "all");
            p.put("buffered.records.per.partition", 10000);
            p.put(StreamsConfig.consumerPrefix("max.poll.records"), 10000);
            p.put(StreamsConfig.consumerPrefix("max.partition.fetch.bytes"), 4 << 20);
            p.put(StreamsConfig.producerPrefix("batch.size"), 256 << 10);
            p.put(StreamsConfig.producerPrefix("compression.type"), "lz4");
        }
        return p;
    }

    public static void main(String[] args) throws Exception {
        String out = args[5];
        Properties p = properties(args[1], args[2], args[3], args[4], out);
        long total = inputRecords(args[1]);
        StreamsBuilder builder = new StreamsBuilder();
        build(builder, args[0], out);
        KafkaStreams streams = new KafkaStreams(builder.build(p), p);
        long start = System.nanoTime();
        streams.start();
        long last = -1;
        long changed = start;
        while (SEEN.sum() < total && System.nanoTime() - changed < 120_000_000_000L) {
            Thread.sleep(5);
            if (SEEN.sum() != last) {
                last = SEEN.sum();
                changed = System.nanoTime();
            }
        }
        streams.close(Duration.ofMinutes(5));
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf("{\"records\":%d,\"seconds\":%.3f}%n", SEEN.sum(), seconds);
        System.exit(SEEN.sum() == total ? 0 : 1);
    }
}
