import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/**
 * Groups of the Java client, classic and of the new protocol, for test_java_groups.py: members come and go while a producer writes,
 * every record has to come once. Prints "pause" when it wants the server killed and started again, "fact NAME VALUE", "end".
 */
public class GroupClient {
    static final int PARTITIONS = 6;
    static final Scanner in = new Scanner(System.in);
    static String address;

    static Map<String, Object> common() {
        return new HashMap<>(Map.of("bootstrap.servers", address, "reconnect.backoff.max.ms", 300, "request.timeout.ms", 8000));
    }

    /** Numbers its records; half of what it writes may be on its way when the server dies, none may be lost. */
    static class Flow extends Thread {
        final String topic;
        final AtomicBoolean stopping = new AtomicBoolean();
        int count;

        Flow(String topic) {
            this.topic = topic;
            setDaemon(true);
            start();
        }

        public void run() {
            Map<String, Object> props = common();
            props.putAll(Map.of("acks", "all", "linger.ms", 5, "delivery.timeout.ms", 60000));
            try (var producer = new KafkaProducer<>(props, new StringSerializer(), new StringSerializer())) {
                while (!stopping.get()) {
                    producer.send(new ProducerRecord<>(topic, count % PARTITIONS, null, "" + count));
                    count++;
                    Thread.sleep(5);
                }
            } catch (InterruptedException ex) {
                throw new IllegalStateException(ex);
            }
        }

        int finish() throws Exception {
            stopping.set(true);
            join();
            return count;
        }
    }

    /** A consumer that commits what it has read before it reads on. */
    static class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        final List<Integer> seen;
        boolean committed; // all that it has read

        Member(String group, String topic, List<Integer> seen, String protocol, String instance, String pattern) {
            Map<String, Object> props = common();
            props.putAll(Map.of("group.id", group, "group.protocol", protocol, "auto.offset.reset", "earliest",
                                "enable.auto.commit", false, "metadata.max.age.ms", 500));
            if (protocol.equals("classic"))
                props.putAll(Map.of("session.timeout.ms", 30000, "heartbeat.interval.ms", 300, "partition.assignment.strategy",
                                    CooperativeStickyAssignor.class.getName()));
            if (instance != null)
                props.put("group.instance.id", instance);
            this.seen = seen;
            consumer = new KafkaConsumer<>(props, new StringDeserializer(), new StringDeserializer());
            if (pattern != null)
                consumer.subscribe(new SubscriptionPattern(pattern), this);
            else
                consumer.subscribe(List.of(topic), this);
        }

        void commit() {
            try {
                consumer.commitSync();
                committed = true;
            } catch (RetriableException | RebalanceInProgressException | CommitFailedException ex) {
                // the server is away or the group comes together: the next commit has these offsets too
            }
        }

        public void onPartitionsRevoked(Collection<TopicPartition> parts) {
            commit();
        }

        public void onPartitionsAssigned(Collection<TopicPartition> parts) {
        }

        void step() {
            for (var record : consumer.poll(Duration.ofMillis(20)))
                seen.add(Integer.parseInt(record.value()));
            committed = false;
            commit();
        }

        List<Integer> assigned() {
            return consumer.assignment().stream().map(TopicPartition::partition).sorted().toList();
        }
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void until(String what, List<Member> members, Condition condition) throws Exception {
        long end = System.nanoTime() + 90_000_000_000L;
        while (!condition.holds()) {
            if (System.nanoTime() > end)
                throw new IllegalStateException(what + ": " + members.stream().map(Member::assigned).toList());
            for (var member : members)
                member.step();
        }
    }

    /**
     * Every partition has one member, every member its even share (before that partitions are still on their way), and what was read
     * is committed: a client that is closed while it joins again counts its partitions as lost and cannot commit any more, so what it
     * had not committed would come again.
     */
    static Condition shared(List<Member> members) {
        return () -> {
            List<Integer> all = new ArrayList<>();
            for (var member : members) {
                int count = member.assigned().size();
                if (count < PARTITIONS / members.size() || count > (PARTITIONS + members.size() - 1) / members.size() || !member.committed)
                    return false;
                all.addAll(member.assigned());
            }
            Collections.sort(all);
            return all.equals(List.of(0, 1, 2, 3, 4, 5));
        };
    }

    static void drain(Flow flow, List<Member> members, List<Integer> seen) throws Exception {
        int count = flow.finish();
        until("the rest", members, () -> new HashSet<>(seen).size() == count);
    }

    static GroupType kind(Admin admin, String group) throws Exception {
        return admin.listGroups().all().get().stream().filter(row -> row.groupId().equals(group)).findFirst().get().type().get();
    }

    static void share(Admin admin) throws Exception {
        List<Integer> seen = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        Flow flow = new Flow("shared");
        for (int i = 0; i < 3; i++) {
            members.add(new Member("shared", "shared", seen, "consumer", i == 0 ? "static" : null, null));
            until(members.size() + " members", members, shared(members));
        }
        System.out.println("fact kind " + kind(admin, "shared"));
        System.out.println("fact members " + admin.describeConsumerGroups(List.of("shared")).all().get().get("shared").members().size());
        var away = members.remove(0); // static: it leaves for a while, and nobody gets its partitions
        List<Integer> had = away.assigned();
        away.consumer.close();
        long end = System.nanoTime() + 1_500_000_000L;
        until("a while", members, () -> System.nanoTime() > end);
        members.add(new Member("shared", "shared", seen, "consumer", "static", null));
        until("it is back", members, shared(members));
        System.out.println("fact back " + had.equals(members.get(2).assigned()));
        drain(flow, members, seen);
        System.out.println("fact sharedTwice " + (seen.size() - new HashSet<>(seen).size()));
        for (var member : members)
            member.consumer.close(CloseOptions.groupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
    }

    static void pattern(Admin admin) throws Exception {
        var member = new Member("pattern", null, new ArrayList<>(), "consumer", null, "pattern-[ab]");
        admin.createTopics(List.of(new NewTopic("pattern-a", 1, (short) 1), new NewTopic("pattern-b", 1, (short) 1),
                                   new NewTopic("pattern-c", 1, (short) 1))).all().get();
        until("topics of the pattern", List.of(member), () -> member.consumer.assignment().size() == 2);
        System.out.println("fact pattern " + new TreeSet<>(member.consumer.assignment().stream().map(TopicPartition::topic).toList()));
        member.consumer.close();
    }

    static void move(Admin admin) throws Exception {
        List<Integer> seen = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        Flow flow = new Flow("moved");
        for (int i = 0; i < 2; i++)
            members.add(new Member("moved", "moved", seen, "classic", null, null));
        until("classic", members, shared(members));
        for (String protocol : List.of("consumer", "classic")) {
            for (int i = 0; i < 2; i++) {
                members.add(new Member("moved", "moved", seen, protocol, null, null));
                until(protocol + ": a third member", members, shared(members));
                members.remove(0).consumer.close();
                until(protocol + ": without an old one", members, shared(members));
            }
            System.out.println("fact moved-" + protocol + " " + kind(admin, "moved"));
        }
        drain(flow, members, seen);
        System.out.println("fact movedTwice " + (seen.size() - new HashSet<>(seen).size()));
        for (var member : members)
            member.consumer.close();
    }

    static void kill() throws Exception {
        List<Integer> seen = new ArrayList<>();
        List<Member> members = new ArrayList<>();
        Flow flow = new Flow("killed");
        members.add(new Member("killed", "killed", seen, "consumer", null, null));
        until("one member", members, shared(members));
        for (int i = 0; i < 2; i++) {
            members.add(new Member("killed", "killed", seen, "consumer", null, null));
            for (int j = 0; j < 10 * i; j++)
                for (var member : members)
                    member.step();
            System.out.println("pause");
            System.out.flush();
            in.nextLine();
            until("after a kill", members, shared(members));
        }
        drain(flow, members, seen);
        System.out.println("fact killedLost 0");
        for (var member : members)
            member.consumer.close();
    }

    static void offsets(Admin admin) throws Exception {
        var place = new TopicPartition("shared", 0);
        admin.alterConsumerGroupOffsets("shared", Map.of(place, new OffsetAndMetadata(3))).all().get();
        System.out.println("fact altered " + admin.listConsumerGroupOffsets("shared").partitionsToOffsetAndMetadata().get().get(place).offset());
        admin.deleteConsumerGroupOffsets("shared", Set.of(place)).all().get();
        System.out.println("fact deleted " + admin.listConsumerGroupOffsets("shared").partitionsToOffsetAndMetadata().get().get(place));
        admin.deleteConsumerGroups(List.of("shared", "killed", "pattern")).all().get();
        System.out.println("fact left " + admin.listGroups().all().get().stream().map(GroupListing::groupId).sorted().toList());
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        try (var admin = Admin.create(common())) {
            List<NewTopic> topics = new ArrayList<>();
            for (String name : List.of("shared", "moved", "killed"))
                topics.add(new NewTopic(name, PARTITIONS, (short) 1));
            admin.createTopics(topics).all().get();
            share(admin);
            pattern(admin);
            move(admin);
            kill();
            offsets(admin);
        } catch (Exception ex) {
            ex.printStackTrace();
            System.exit(1);
        }
        System.out.println("end");
    }
}
