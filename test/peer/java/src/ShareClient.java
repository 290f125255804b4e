import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * Share groups of the Java client (KIP-932), for test_share.py: the modes of acknowledgement, every outcome of a record, members that
 * share one partition, locks that end, kills in between, offsets by administrators. Prints "pause" when it wants the server killed
 * and started again (not with SHARE_KILLS=0), "fact NAME VALUE", "end".
 */
public class ShareClient {
    static final Scanner in = new Scanner(System.in);
    static String address;
    static Admin admin;

    static Map<String, Object> common() {
        return new HashMap<>(Map.of("bootstrap.servers", address, "reconnect.backoff.max.ms", 300, "request.timeout.ms", 8000));
    }

    static void fact(String name, Object value) {
        System.out.println("fact " + name + " " + value);
        System.out.flush();
    }

    static KafkaShareConsumer<String, String> member(String group, String topic, boolean explicit, Object... more) {
        Map<String, Object> props = common();
        props.putAll(Map.of("group.id", group, "share.acknowledgement.mode", explicit ? "explicit" : "implicit",
                            "metadata.max.age.ms", 500));
        for (int i = 0; i < more.length; i += 2)
            props.put((String)more[i], more[i + 1]);
        var consumer = new KafkaShareConsumer<>(props, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    /** A topic of one partition, and its group, which reads it from the start. */
    static void prepare(String name, String... settings) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, 1, (short)1))).all().get();
        List<AlterConfigOp> ops = new ArrayList<>();
        ops.add(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET));
        for (int i = 0; i < settings.length; i += 2)
            ops.add(new AlterConfigOp(new ConfigEntry(settings[i], settings[i + 1]), AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, name), ops)).all().get();
    }

    static void produce(String topic, int from, int to) throws Exception {
        Map<String, Object> props = common();
        props.put("linger.ms", 1);
        try (var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer())) {
            for (int i = from; i < to; i++)
                producer.send(new ProducerRecord<>(topic, 0, null, "" + i));
        }
    }

    static long deadline(int seconds) {
        return System.nanoTime() + seconds * 1_000_000_000L;
    }

    /** Polls until there is something. */
    static List<ConsumerRecord<String, String>> some(KafkaShareConsumer<String, String> consumer) {
        for (long end = deadline(60); System.nanoTime() < end;) {
            var records = consumer.poll(Duration.ofMillis(200));
            if (!records.isEmpty()) {
                List<ConsumerRecord<String, String>> list = new ArrayList<>();
                records.forEach(list::add);
                return list;
            }
        }
        throw new IllegalStateException("no records in time");
    }

    /** What still comes in a while, "value*deliveries". */
    static List<String> rest(KafkaShareConsumer<String, String> consumer, int millis) {
        List<String> list = new ArrayList<>();
        for (long end = System.nanoTime() + millis * 1_000_000L; System.nanoTime() < end;)
            for (var record : consumer.poll(Duration.ofMillis(100)))
                list.add(shown(record));
        return list;
    }

    static String shown(ConsumerRecord<String, String> record) {
        return record.value() + "*" + record.deliveryCount().get();
    }

    static List<String> all(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ShareClient::shown).toList();
    }

    static String failures(Map<TopicIdPartition, Optional<KafkaException>> result) {
        return result.values().stream().map(e -> e.map(x -> x.getClass().getSimpleName()).orElse("ok")).sorted().toList().toString();
    }

    // What was polled is accepted by the next poll, or by commitSync.
    static void implicit() throws Exception {
        prepare("implicit");
        produce("implicit", 0, 10);
        try (var consumer = member("implicit", "implicit", false)) {
            fact("implicit", all(some(consumer)));
            consumer.poll(Duration.ofMillis(100));
            produce("implicit", 10, 12);
            fact("implicitNext", all(some(consumer)));
            fact("implicitCommit", failures(consumer.commitSync()));
        }
        try (var consumer = member("implicit", "implicit", false)) {
            fact("implicitAgain", rest(consumer, 1000));
        }
    }

    // Each record by itself.
    static void explicit() throws Exception {
        prepare("explicit");
        produce("explicit", 0, 6);
        try (var consumer = member("explicit", "explicit", true)) {
            var records = some(consumer);
            consumer.acknowledge(records.get(0), AcknowledgeType.ACCEPT);
            consumer.acknowledge(records.get(1), AcknowledgeType.RELEASE);
            consumer.acknowledge(records.get(2), AcknowledgeType.REJECT);
            consumer.acknowledge(records.get(3), AcknowledgeType.RELEASE);
            consumer.acknowledge(records.get(4), AcknowledgeType.ACCEPT);
            consumer.acknowledge(records.get(5), AcknowledgeType.ACCEPT);
            fact("explicitCommit", failures(consumer.commitSync()));
            var again = some(consumer);
            fact("released", all(again));
            for (var record : again)
                consumer.acknowledge(record);
            consumer.commitSync();
            fact("accepted", rest(consumer, 500));
        }
    }

    // A record that nobody can work on is given up after the last delivery.
    static void limit() throws Exception {
        prepare("limit", "share.delivery.count.limit", "3");
        produce("limit", 0, 1);
        List<String> seen = new ArrayList<>();
        try (var consumer = member("limit", "limit", true)) {
            for (int i = 0; i < 3; i++) {
                var record = some(consumer).get(0);
                seen.add(shown(record));
                consumer.acknowledge(record, AcknowledgeType.RELEASE);
                consumer.commitSync();
            }
            fact("limit", seen);
            fact("limitAfter", rest(consumer, 1000));
        }
    }

    // A member that keeps its records too long loses them; one that renews keeps them.
    static void locks() throws Exception {
        prepare("locks", "share.record.lock.duration.ms", "2000");
        produce("locks", 0, 4);
        try (var slow = member("locks", "locks", true); var other = member("locks", "locks", true)) {
            var records = some(slow);
            fact("lockTimeout", slow.acquisitionLockTimeoutMs().get());
            fact("lockHeld", rest(other, 1000));
            var again = some(other);
            fact("lockEnded", all(again));
            for (var record : records)
                slow.acknowledge(record);
            fact("lockLate", failures(slow.commitSync()));
            for (var record : again)
                other.acknowledge(record);
            fact("lockCommit", failures(other.commitSync()));
        }
        prepare("renew", "share.record.lock.duration.ms", "3000");
        produce("renew", 0, 1);
        try (var slow = member("renew", "renew", true); var other = member("renew", "renew", true)) {
            var record = some(slow).get(0);
            List<String> stolen = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                slow.acknowledge(record, AcknowledgeType.RENEW);
                slow.commitSync();
                stolen.addAll(rest(other, 1500));
                slow.poll(Duration.ofMillis(50));
            }
            slow.acknowledge(record, AcknowledgeType.ACCEPT);
            fact("renewCommit", failures(slow.commitSync()));
            fact("renewStolen", stolen);
        }
    }

    // Members of a group read one partition together; one that leaves gives back what it has, as if it had not come.
    static void together() throws Exception {
        final int count = 3000;
        prepare("together");
        List<KafkaShareConsumer<String, String>> members = new ArrayList<>();
        for (int i = 0; i < 3; i++)
            members.add(member("together", "together", false, "max.poll.records", 50));
        for (var member : members)
            member.poll(Duration.ofMillis(500));
        produce("together", 0, count);
        Map<Integer, Integer> seen = new HashMap<>();
        int[] by = new int[3];
        for (long end = deadline(60); seen.size() < count && System.nanoTime() < end;)
            for (int i = 0; i < 3; i++)
                for (var record : members.get(i).poll(Duration.ofMillis(50))) {
                    seen.merge(Integer.parseInt(record.value()), 1, Integer::sum);
                    by[i]++;
                }
        fact("together", seen.size());
        fact("togetherTwice", seen.values().stream().filter(n -> n > 1).count());
        fact("togetherAll", Arrays.stream(by).allMatch(n -> n > 0));
        var description = admin.describeShareGroups(List.of("together")).all().get().get("together");
        fact("described", description.groupState() + " " + description.members().size() + " " +
             description.members().stream().mapToInt(m -> m.assignment().topicPartitions().size()).sum());
        for (var member : members) {
            member.commitSync();
            member.close();
        }
        produce("together", count, count + 2);
        var first = member("together", "together", true);
        some(first);
        first.close();
        try (var second = member("together", "together", true)) {
            var records = some(second);
            fact("givenBack", all(records));
            for (var record : records)
                second.acknowledge(record);
            second.commitSync();
        }
    }

    // Nobody sees what was aborted, if the group says so; markers are no records.
    static void transactions() throws Exception {
        prepare("committed", "share.isolation.level", "read_committed");
        Map<String, Object> props = common();
        props.put("transactional.id", "share-txn");
        try (var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            for (int i = 0; i < 6; i++) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>("committed", 0, null, "" + i));
                producer.flush();
                if (i % 2 == 0)
                    producer.commitTransaction();
                else
                    producer.abortTransaction();
            }
        }
        List<String> seen = new ArrayList<>();
        try (var consumer = member("committed", "committed", false)) {
            for (long end = deadline(30); seen.size() < 3 && System.nanoTime() < end;)
                for (var record : consumer.poll(Duration.ofMillis(100)))
                    seen.add(shown(record));
            consumer.commitSync();
            rest(consumer, 1000);
            fact("committed", seen);
        }
        var info = admin.listShareGroupOffsets(Map.of("committed", new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo("committed")
                       .get().get(new TopicPartition("committed", 0));
        fact("committedOffset", info.startOffset() + " " + info.lag().get());
    }

    static String errorOf(KafkaFuture<?> future) throws Exception {
        try {
            future.get();
            return "none";
        } catch (ExecutionException ex) {
            return ex.getCause().getClass().getSimpleName();
        }
    }

    static String offsets(String group) throws Exception {
        var map = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get();
        return map.entrySet().stream().map(e -> e.getKey() + "=" + (e.getValue() == null ? null : e.getValue().startOffset()
                   + "/" + e.getValue().lag().map(Object::toString).orElse("-"))).sorted().toList().toString();
    }

    static void administrators() throws Exception {
        prepare("admin");
        produce("admin", 0, 10);
        TopicPartition part = new TopicPartition("admin", 0);
        try (var consumer = member("admin", "admin", true)) {
            var records = some(consumer);
            for (int i = 0; i < 10; i++)
                if (i < 4 || i == 6)
                    consumer.acknowledge(records.get(i));
                else
                    consumer.acknowledge(records.get(i), AcknowledgeType.RELEASE);
            consumer.commitSync();
            fact("offsets", offsets("admin"));
            fact("alterUsed", errorOf(admin.alterShareGroupOffsets("admin", Map.of(part, 8L)).all()));
            fact("deleteUsed", errorOf(admin.deleteShareGroups(List.of("admin")).all()));
            fact("deleteOffsetsUsed", errorOf(admin.deleteShareGroupOffsets("admin", Set.of("admin")).all()));
        }
        for (long end = deadline(30); System.nanoTime() < end;)
            if (admin.describeShareGroups(List.of("admin")).all().get().get("admin").groupState() == GroupState.EMPTY)
                break;
        fact("alter", errorOf(admin.alterShareGroupOffsets("admin", Map.of(part, 8L)).all()));
        fact("altered", offsets("admin"));
        try (var consumer = member("admin", "admin", false)) {
            fact("alteredRead", all(some(consumer)));
        }
        fact("unknown", errorOf(admin.describeShareGroups(List.of("none")).all()));
        fact("listed", admin.listGroups(ListGroupsOptions.forShareGroups()).all().get().stream().filter(g -> g.groupId().equals("admin"))
                           .map(g -> g.type().get() + " " + g.protocol()).collect(Collectors.joining()));
        fact("deleteOffsets", errorOf(admin.deleteShareGroupOffsets("admin", Set.of("admin")).all()));
        fact("deletedOffsets", offsets("admin"));
        fact("delete", errorOf(admin.deleteShareGroups(List.of("admin")).all()));
        fact("deleted", errorOf(admin.describeShareGroups(List.of("admin")).all()));
        ConfigResource group = new ConfigResource(ConfigResource.Type.GROUP, "admin");
        var bad = new AlterConfigOp(new ConfigEntry("share.delivery.count.limit", "1"), AlterConfigOp.OpType.SET);
        fact("badConfig", errorOf(admin.incrementalAlterConfigs(Map.of(group, List.of(bad))).all()));
        var back = new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "by_duration:PT1H"), AlterConfigOp.OpType.SET);
        fact("backConfig", errorOf(admin.incrementalAlterConfigs(Map.of(group, List.of(back))).all()));
        try (var consumer = member("admin", "admin", false)) {
            fact("back", some(consumer).size());
        }
    }

    /** Reads and acknowledges while the server is killed. What commitSync says is accepted must not come again. */
    static class Worker extends Thread {
        final List<Integer> twice = new CopyOnWriteArrayList<>();
        volatile boolean stopping;

        public void run() {
            try (var consumer = member("kills", "kills", true, "max.poll.records", 100)) {
                while (!stopping)
                    step(consumer);
            }
        }

        void step(KafkaShareConsumer<String, String> consumer) {
            List<Integer> round = new ArrayList<>();
            for (var record : consumer.poll(Duration.ofMillis(50))) {
                int number = Integer.parseInt(record.value());
                if (done.contains(number))
                    twice.add(number);
                round.add(number);
                delivered.add(number);
                consumer.acknowledge(record);
            }
            try {
                var result = consumer.commitSync(Duration.ofSeconds(5));
                if (!result.isEmpty() && result.values().stream().allMatch(Optional::isEmpty))
                    done.addAll(round);
            } catch (KafkaException ex) {
                // not known to be accepted: it may come again, or not
            }
        }

        static final Set<Integer> done = ConcurrentHashMap.newKeySet(), delivered = ConcurrentHashMap.newKeySet();
    }

    static void kills() throws Exception {
        final int count = 4000;
        prepare("kills", "share.record.lock.duration.ms", "2000", "share.delivery.count.limit", "10");
        List<Worker> workers = List.of(new Worker(), new Worker());
        for (var worker : workers)
            worker.start();
        Map<String, Object> props = common();
        props.putAll(Map.of("acks", "all", "linger.ms", 5, "delivery.timeout.ms", 60000));
        try (var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>("kills", 0, null, "" + i));
                if (i % 1300 == 1299) {
                    System.out.println("pause");
                    System.out.flush();
                    in.nextLine();
                }
                if (i % 10 == 0)
                    Thread.sleep(5);
            }
        }
        // What is not known to be accepted may have been: the server says when all is.
        for (long end = deadline(90); !offsets("kills").equals("[kills-0=" + count + "/0]") && System.nanoTime() < end;)
            Thread.sleep(100);
        fact("killsOffset", offsets("kills"));
        for (var worker : workers)
            worker.stopping = true;
        for (var worker : workers)
            worker.join();
        fact("kills", Worker.delivered.size());
        fact("killsKnown", Worker.done.size() > count / 2);
        fact("killsTwice", workers.stream().mapToInt(w -> w.twice.size()).sum());
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        Set<String> wanted = new HashSet<>(Arrays.asList(System.getenv().getOrDefault("SHARE_PARTS", "").split(",")));
        admin = Admin.create(common());
        Map<String, Callable<Void>> parts = new LinkedHashMap<>();
        parts.put("implicit", () -> { implicit(); return null; });
        parts.put("explicit", () -> { explicit(); return null; });
        parts.put("limit", () -> { limit(); return null; });
        parts.put("locks", () -> { locks(); return null; });
        parts.put("together", () -> { together(); return null; });
        parts.put("transactions", () -> { transactions(); return null; });
        parts.put("administrators", () -> { administrators(); return null; });
        if (!"0".equals(System.getenv("SHARE_KILLS")))
            parts.put("kills", () -> { kills(); return null; });
        for (var part : parts.entrySet())
            if (wanted.contains("") || wanted.contains(part.getKey()))
                part.getValue().call();
        admin.close();
        System.out.println("end");
    }
}
