import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * The Java client's part of test_java_txn.py: copies a topic in transactions that commit the input's offsets too. Prints lines for it:
 * "pause" wants the broker killed and restarted, and goes on when a line comes back; "record PARTITION OFFSET KEY VALUE" is a
 * committed record; "fact NAME VALUE" is something to check.
 */
public class PeerTransactions {
    static final String SOURCE = "source", TARGET = "target", GROUP = "copy-group", ID = "copy-id";
    static final int BATCH = 100;
    static final Set<Integer> PAUSE_BEFORE_OFFSETS = Set.of(5, 17), PAUSE_BEFORE_END = Set.of(9, 23);
    static final Scanner in = new Scanner(System.in);
    static String address;
    static int count, partitions;

    static void pause() {
        System.out.println("pause");
        System.out.flush();
        in.nextLine();
    }

    static void fact(String name, Object value) {
        System.out.println("fact " + name + " " + value);
    }

    static Map<String, Object> common() {
        return new HashMap<>(Map.of("bootstrap.servers", address, "reconnect.backoff.max.ms", 300, "request.timeout.ms", 8000));
    }

    static KafkaProducer<String, String> makeProducer(String id) {
        Map<String, Object> props = common();
        props.putAll(Map.of("transactional.id", id, "transaction.timeout.ms", 20000, "max.block.ms", 60000, "linger.ms", 2));
        var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer());
        producer.initTransactions();
        return producer;
    }

    static KafkaConsumer<String, String> makeConsumer(String group, String isolation) {
        Map<String, Object> props = common();
        props.putAll(Map.of("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false, "isolation.level", isolation,
                            "max.poll.records", BATCH));
        if (group.equals(GROUP)) /* KIP-848; test_confluent_txn.py has the classic protocol */
            props.put("group.protocol", "consumer");
        return new KafkaConsumer<>(props, new StringDeserializer(), new StringDeserializer());
    }

    static void fillSource() {
        try (var producer = new KafkaProducer<>(common(), new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < count; i++)
                producer.send(new ProducerRecord<>(SOURCE, i % partitions, "key-" + i % 17, String.format("value-%06d", i)));
        }
    }

    /** Back to what is committed. */
    static void rewind(KafkaConsumer<String, String> consumer) {
        var committed = consumer.committed(consumer.assignment(), Duration.ofSeconds(30));
        for (var place : consumer.assignment()) {
            var at = committed.get(place);
            consumer.seek(place, at == null ? 0 : at.offset());
        }
    }

    /** One transaction; false when it was aborted. */
    static boolean copyBatch(KafkaConsumer<String, String> consumer, KafkaProducer<String, String> producer,
                             ConsumerRecords<String, String> records, int turn) {
        Map<TopicPartition, OffsetAndMetadata> places = new HashMap<>();
        producer.beginTransaction();
        for (var record : records) {
            producer.send(new ProducerRecord<>(TARGET, record.partition(), record.key(), record.value()));
            places.put(new TopicPartition(SOURCE, record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        if (PAUSE_BEFORE_OFFSETS.contains(turn)) {
            producer.flush();
            pause();
        }
        try {
            producer.sendOffsetsToTransaction(places, consumer.groupMetadata());
            if (PAUSE_BEFORE_END.contains(turn))
                pause();
            if (turn % 7 == 3) {
                producer.abortTransaction();
                return false;
            }
            producer.commitTransaction();
            return true;
        } catch (ProducerFencedException | InvalidProducerEpochException e) {
            throw e;
        } catch (KafkaException e) {
            System.err.println("aborted: " + e);
            producer.abortTransaction();
            return false;
        }
    }

    static void copy() {
        int done = 0, turn = 0, aborts = 0;
        long end = System.nanoTime() + 180_000_000_000L;
        try (var consumer = makeConsumer(GROUP, "read_committed"); var producer = makeProducer(ID)) {
            consumer.subscribe(List.of(SOURCE));
            while (done < count && System.nanoTime() < end) {
                var records = consumer.poll(Duration.ofMillis(500));
                if (records.isEmpty())
                    continue;
                if (copyBatch(consumer, producer, records, turn++)) {
                    done += records.count();
                } else {
                    aborts++;
                    rewind(consumer);
                }
            }
        }
        fact("copied", done);
        fact("aborts", aborts >= 3);
        fact("turns", turn > 23);
    }

    static int readTarget(String isolation, boolean print) {
        int seen = 0;
        long quiet = System.nanoTime();
        try (var consumer = makeConsumer("read", isolation)) {
            List<TopicPartition> places = new ArrayList<>();
            for (int i = 0; i < partitions; i++)
                places.add(new TopicPartition(TARGET, i));
            consumer.assign(places);
            consumer.seekToBeginning(places);
            while (System.nanoTime() - quiet < (seen >= count ? 3 : 20) * 1_000_000_000L)
                for (var record : consumer.poll(Duration.ofMillis(200))) {
                    if (print)
                        System.out.println("record " + record.partition() + " " + record.offset() + " " + record.key() + " " + record.value());
                    seen++;
                    quiet = System.nanoTime();
                }
        }
        return seen;
    }

    /** A second producer aborts what the first has open; the first cannot commit it. */
    static void zombie(Admin admin) throws Exception {
        var first = makeProducer("fenced-id");
        first.beginTransaction();
        first.send(new ProducerRecord<>("zombie", 0, "k", "first")).get();
        var open = admin.describeTransactions(List.of("fenced-id")).description("fenced-id").get();
        fact("open", open.state() + " " + open.topicPartitions());
        var second = makeProducer("fenced-id");
        second.beginTransaction();
        second.send(new ProducerRecord<>("zombie", 0, "k", "second")).get();
        try {
            first.commitTransaction();
            fact("zombie", "committed");
        } catch (ProducerFencedException | InvalidProducerEpochException e) {
            fact("zombie", "fenced");
        }
        second.commitTransaction();
        admin.fenceProducers(List.of("fenced-id")).all().get();
        try {
            second.beginTransaction();
            second.send(new ProducerRecord<>("zombie", 0, "k", "third"));
            second.commitTransaction();
            fact("fencedByAdmin", "committed");
        } catch (KafkaException e) {
            fact("fencedByAdmin", "fenced");
        }
        first.close(Duration.ZERO);
        second.close(Duration.ZERO);
    }

    /** Nobody ends it: an administrator does. */
    static void abandon(Admin admin) throws Exception {
        var producer = makeProducer("left-id");
        producer.beginTransaction();
        producer.send(new ProducerRecord<>("zombie", 1, "k", "left")).get();
        var place = new TopicPartition("zombie", 1);
        var state = admin.describeProducers(List.of(place)).partitionResult(place).get().activeProducers().get(0);
        fact("hangs", state.currentTransactionStartOffset().isPresent());
        admin.abortTransaction(new AbortTransactionSpec(place, state.producerId(), (short)state.producerEpoch(),
                                                        state.coordinatorEpoch().orElse(0))).all().get();
        state = admin.describeProducers(List.of(place)).partitionResult(place).get().activeProducers().get(0);
        fact("hangsStill", state.currentTransactionStartOffset().isPresent());
        producer.close(Duration.ZERO);
        var listed = new TreeSet<String>();
        for (var one : admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(TransactionState.COMPLETE_COMMIT))).all().get())
            listed.add(one.transactionalId());
        fact("committed", listed.contains(ID));
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        count = Integer.parseInt(args[1]);
        partitions = Integer.parseInt(args[2]);
        try (Admin admin = Admin.create(common())) {
            List<NewTopic> topics = new ArrayList<>();
            for (String name : List.of(SOURCE, TARGET, "zombie"))
                topics.add(new NewTopic(name, partitions, (short)1));
            admin.createTopics(topics).all().get();
            var features = admin.describeFeatures().featureMetadata().get();
            fact("feature", features.finalizedFeatures().get("transaction.version").maxVersionLevel());
            fillSource();
            copy();
            readTarget("read_committed", true);
            fact("uncommitted", readTarget("read_uncommitted", false) > count);
            zombie(admin);
            abandon(admin);
        }
        System.out.println("end");
    }
}
