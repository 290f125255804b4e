import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

/**
 * The Java client's part of test_java.py: calls that the clients from 2.8 to 4.x all have. Prints what harness.py
 * (converse) describes.
 */
@SuppressWarnings({"deprecation", "removal"})
public class PeerClient {
    static final String TOPIC = "plain", GROUP = "java-group";
    static final int COUNT_TXN = 50;
    static final Set<String> features = Set.of(System.getenv("PEER_FEATURES").split(" "));
    static final Scanner in = new Scanner(System.in);
    static String address;
    static int count, partitions;

    static void pause() {
        System.out.println("pause");
        System.out.flush();
        in.nextLine();
    }

    static Map<String, Object> common() {
        return new HashMap<>(Map.of("bootstrap.servers", address, "reconnect.backoff.max.ms", 300, "request.timeout.ms", 8000));
    }

    static void produce() throws Exception {
        Map<String, Object> props = common();
        // Idempotence is the default since 3.0 only (KIP-679); without it a retry over a kill writes a record again.
        props.putAll(Map.of("acks", "all", "enable.idempotence", true, "compression.type", "zstd", "linger.ms", 2,
                            "delivery.timeout.ms", 60000));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(TOPIC, "key-" + i % 17, String.format("value-%06d", i))));
                if (i == count / 3 || i == count / 2)
                    pause();
            }
            producer.flush();
            for (var future : sent)
                future.get();
        }
    }

    static KafkaConsumer<String, String> makeConsumer(String instance) {
        return makeConsumer(GROUP, instance == null ? Map.of() : Map.of("group.instance.id", instance));
    }

    static KafkaConsumer<String, String> makeConsumer(String group, Map<String, Object> more) {
        Map<String, Object> props = common();
        props.putAll(Map.of("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false, "isolation.level",
                            "read_committed"));
        if (!more.containsKey("group.protocol"))
            props.putAll(Map.of("session.timeout.ms", 6000, "heartbeat.interval.ms", 500));
        props.putAll(more);
        return new KafkaConsumer<>(props, new StringDeserializer(), new StringDeserializer());
    }

    static int take(KafkaConsumer<String, String> consumer, int seen, int wanted, int seconds) {
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        while (seen < wanted && System.nanoTime() < end)
            for (var record : consumer.poll(Duration.ofMillis(200))) {
                System.out.println("record " + record.partition() + " " + record.offset() + " " + record.key() + " " + record.value());
                seen++;
            }
        return seen;
    }

    static void consume() {
        try (var consumer = makeConsumer(null)) {
            consumer.subscribe(List.of(TOPIC), new ConsumerRebalanceListener() {
                /** A client that finds its only node away for long enough forgets the topics, and joins again when it is back (KIP-899). */
                public void onPartitionsRevoked(Collection<TopicPartition> parts) {
                    consumer.commitSync();
                }

                public void onPartitionsAssigned(Collection<TopicPartition> parts) {
                }
            });
            int seen = take(consumer, 0, count / 2, 60);
            consumer.commitSync();
            pause();
            take(consumer, seen, count, 60);
            consumer.commitSync();
        }
    }

    static void resume() {
        pause();
        try (var consumer = makeConsumer("static-1")) {
            consumer.subscribe(List.of(TOPIC));
            System.out.println("fact extra " + take(consumer, 0, 1, 4));
            Set<TopicPartition> places = new HashSet<>();
            for (int p = 0; p < partitions; p++)
                places.add(new TopicPartition(TOPIC, p));
            long committed = consumer.committed(places).values().stream().mapToLong(OffsetAndMetadata::offset).sum();
            System.out.println("fact committed " + committed);
            System.out.println("fact end " + consumer.endOffsets(places).values().stream().mapToLong(x -> x).sum());
            System.out.println("fact byTime " + consumer.offsetsForTimes(Map.of(new TopicPartition(TOPIC, 0), 0L))
                .get(new TopicPartition(TOPIC, 0)).offset());
        }
    }

    static void admin() throws Exception {
        try (var admin = Admin.create(common())) {
            admin.createTopics(List.of(new NewTopic("made", 2, (short) 1).configs(Map.of("cleanup.policy", "compact")))).all().get();
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, "made");
            System.out.println("fact policy " + admin.describeConfigs(List.of(resource)).all().get().get(resource).get("cleanup.policy").value());
            if (features.contains("configs"))
                alterConfig(admin);
            if (features.contains("records"))
                deleteRecords(admin);
            try (var consumer = makeConsumer(null)) {
                System.out.println("fact partitions " + consumer.partitionsFor("made").size());
            }
            System.out.println("fact nodes " + admin.describeCluster().nodes().get().size());
            System.out.println("fact state " + admin.describeConsumerGroups(List.of(GROUP)).all().get().get(GROUP).state());
            System.out.println("fact groups " + admin.listConsumerGroups().all().get().size());
            System.out.println("fact offsets " + admin.listConsumerGroupOffsets(GROUP).partitionsToOffsetAndMetadata().get()
                .values().stream().mapToLong(OffsetAndMetadata::offset).sum());
            admin.removeMembersFromConsumerGroup(GROUP, new RemoveMembersFromConsumerGroupOptions(
                List.of(new MemberToRemove("static-1")))).all().get();
            admin.deleteConsumerGroups(List.of(GROUP)).all().get();
            admin.deleteTopics(List.of("made")).all().get();
            var topics = new java.util.TreeSet<>(admin.listTopics().names().get());
            topics.removeIf(name -> name.startsWith("_") || name.startsWith("connect-")); // the server's own
            System.out.println("fact topics " + topics);
        }
    }

    static void send(KafkaProducer<String, String> producer, String prefix) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < COUNT_TXN; i++)
            sent.add(producer.send(new ProducerRecord<>("txn", prefix + i)));
        producer.flush();
        for (var future : sent)
            future.get();
    }

    static void transact() throws Exception {
        Map<String, Object> props = common();
        props.put("transactional.id", "java-txn");
        try (var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            producer.beginTransaction();
            send(producer, "committed-");
            pause();
            producer.commitTransaction();
            producer.beginTransaction();
            send(producer, "aborted-");
            producer.abortTransaction();
            producer.beginTransaction();
            send(producer, "offsets-");
            producer.sendOffsetsToTransaction(Map.of(new TopicPartition(TOPIC, 0), new OffsetAndMetadata(7)),
                                              new ConsumerGroupMetadata("txn-group"));
            producer.commitTransaction();
        }
        int committed = 0, aborted = 0;
        try (var consumer = makeConsumer("txn-readers", Map.of())) {
            consumer.subscribe(List.of("txn"));
            for (long end = System.nanoTime() + 30_000_000_000L; committed < 2 * COUNT_TXN && System.nanoTime() < end;)
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    committed += record.value().startsWith("aborted") ? 0 : 1;
                    aborted += record.value().startsWith("aborted") ? 1 : 0;
                }
        }
        System.out.println("fact txnCommitted " + committed);
        System.out.println("fact txnAborted " + aborted);
        try (var admin = Admin.create(common())) {
            System.out.println("fact txnOffset " + admin.listConsumerGroupOffsets("txn-group").partitionsToOffsetAndMetadata().get()
                .get(new TopicPartition(TOPIC, 0)).offset());
            admin.deleteConsumerGroups(List.of("txn-group", "txn-readers")).all().get();
            admin.deleteTopics(List.of("txn")).all().get();
        }
    }

    static void readWithNewProtocol() throws Exception {
        int seen = 0;
        try (var consumer = makeConsumer("new-group", Map.of("group.protocol", "consumer"))) {
            consumer.subscribe(List.of(TOPIC));
            for (long end = System.nanoTime() + 40_000_000_000L; seen < count && System.nanoTime() < end;)
                seen += consumer.poll(Duration.ofMillis(200)).count();
            consumer.commitSync();
        }
        System.out.println("fact newGroup " + seen);
        try (var admin = Admin.create(common())) {
            admin.deleteConsumerGroups(List.of("new-group")).all().get();
        }
    }

    static void alterConfig(Admin admin) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, "made");
        admin.incrementalAlterConfigs(Map.of(resource, List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", "123456"), AlterConfigOp.OpType.SET)))).all().get();
        System.out.println("fact retention " + admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value());
    }

    static void deleteRecords(Admin admin) throws Exception {
        var place = new TopicPartition(TOPIC, 0);
        System.out.println("fact low " + admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(5))).lowWatermarks().get(place).get()
            .lowWatermark());
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        count = Integer.parseInt(args[1]);
        partitions = Integer.parseInt(args[2]);
        try (var admin = Admin.create(common())) {
            admin.createTopics(List.of(new NewTopic(TOPIC, partitions, (short) 1))).all().get();
        }
        produce();
        consume();
        if (features.contains("transactions"))
            transact();
        if (features.contains("consumer"))
            readWithNewProtocol();
        resume();
        admin();
        System.out.println("end");
    }
}
