//! The rdkafka crate's part of test_rust.py: idempotent producer, group and admin over kills. Prints what harness.py (converse) describes.
use std::io::{stdin, BufRead, Write};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::ClientContext;

const TOPIC: &str = "plain";
const GROUP: &str = "rust-group";
const TXN_GROUP: &str = "txn-group";
const TXN_COUNT: usize = 50;

struct Peer {
    address: String,
    count: usize,
    partitions: i32,
}

/// Ends the program when a record was not delivered.
struct Delivered;
impl ClientContext for Delivered {}
impl ProducerContext for Delivered {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, _)) = result {
            eprintln!("not delivered: {error}");
            std::process::exit(1);
        }
    }
}

fn pause() {
    println!("pause");
    std::io::stdout().flush().unwrap();
    stdin().lock().read_line(&mut String::new()).unwrap();
}

fn fact(name: &str, value: impl std::fmt::Display) {
    println!("fact {name} {value}");
}

/// Waits for an admin call: its future is finished by librdkafka's own thread.
fn wait<T>(future: impl std::future::Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Thread(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

impl Peer {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("reconnect.backoff.max.ms", "300").set("log_level", "2");
        config
    }

    fn produce(&self) {
        let producer: BaseProducer<Delivered> = self
            .config()
            .set("enable.idempotence", "true")
            .set("compression.type", "gzip")
            .set("linger.ms", "2")
            .create_with_context(Delivered)
            .unwrap();
        for n in 0..self.count {
            let (key, value) = (format!("key-{}", n % 17), format!("value-{n:06}"));
            let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some("x") });
            producer.send(BaseRecord::to(TOPIC).key(&key).payload(&value).headers(headers)).map_err(|(e, _)| e).unwrap();
            producer.poll(Duration::ZERO);
            if n == self.count / 3 || n == self.count / 2 {
                pause();
            }
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    }

    fn member(&self) -> BaseConsumer {
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "500")
            .set("check.crcs", "true")
            .create()
            .unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        consumer
    }

    fn take(&self, consumer: &BaseConsumer, mut seen: usize, wanted: usize, seconds: u64) -> usize {
        let end = Instant::now() + Duration::from_secs(seconds);
        while seen < wanted && Instant::now() < end {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                let (key, value) = (message.key().unwrap(), message.payload().unwrap());
                let text = |bytes| std::str::from_utf8(bytes).unwrap();
                println!("record {} {} {} {}", message.partition(), message.offset(), text(key), text(value));
                seen += 1;
            }
        }
        seen
    }

    fn consume(&self) {
        let consumer = self.member();
        let seen = self.take(&consumer, 0, self.count / 2, 60);
        consumer.commit_consumer_state(CommitMode::Sync).unwrap();
        pause();
        self.take(&consumer, seen, self.count, 60);
        consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    }

    /// Writes the records of one transaction and waits for them.
    fn send(&self, producer: &BaseProducer<Delivered>, prefix: &str) {
        for n in 0..TXN_COUNT {
            let value = format!("{prefix}-{n}");
            producer.send(BaseRecord::<(), _>::to("txn").payload(&value)).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    }

    fn transact(&self, admin: &AdminClient<DefaultClientContext>) {
        let timeout = Duration::from_secs(60);
        let producer: BaseProducer<Delivered> =
            self.config().set("transactional.id", "rust-txn").create_with_context(Delivered).unwrap();
        producer.init_transactions(timeout).unwrap();
        producer.begin_transaction().unwrap();
        self.send(&producer, "committed");
        pause();
        producer.commit_transaction(timeout).unwrap();
        producer.begin_transaction().unwrap();
        self.send(&producer, "aborted");
        producer.abort_transaction(timeout).unwrap();
        producer.begin_transaction().unwrap();
        self.send(&producer, "offsets");
        let member: BaseConsumer = self.config().set("group.id", TXN_GROUP).create().unwrap();
        let mut places = TopicPartitionList::new();
        places.add_partition_offset(TOPIC, 0, Offset::Offset(7)).unwrap();
        producer.send_offsets_to_transaction(&places, &member.group_metadata().unwrap(), timeout).unwrap();
        producer.commit_transaction(timeout).unwrap();
        let offset = member.committed_offsets(places, timeout).unwrap().elements()[0].offset();
        fact("txnOffset", offset.to_raw().unwrap());
        self.read_committed();
        wait(admin.delete_groups(&[TXN_GROUP], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
    }

    fn read_committed(&self) {
        let consumer: BaseConsumer =
            self.config().set("group.id", "txn-readers").set("auto.offset.reset", "earliest").create().unwrap();
        consumer.subscribe(&["txn"]).unwrap();
        let (mut committed, mut aborted) = (0, 0);
        let end = Instant::now() + Duration::from_secs(30);
        while committed < 2 * TXN_COUNT && Instant::now() < end {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                match message.payload().unwrap().starts_with(b"aborted") {
                    true => aborted += 1,
                    false => committed += 1,
                }
            }
        }
        fact("txnCommitted", committed);
        fact("txnAborted", aborted);
    }

    fn read_with_new_protocol(&self, admin: &AdminClient<DefaultClientContext>) {
        let mut config = self.config();
        config.set("group.id", "new-group").set("group.protocol", "consumer").set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.set("enable.auto.commit", "false").create().unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        let mut seen = 0;
        let end = Instant::now() + Duration::from_secs(60);
        while seen < self.count && Instant::now() < end {
            if let Some(Ok(_)) = consumer.poll(Duration::from_millis(200)) {
                seen += 1;
            }
        }
        consumer.commit_consumer_state(CommitMode::Sync).unwrap();
        drop(consumer);
        fact("newGroup", seen);
        wait(admin.delete_groups(&["new-group"], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
    }

    fn resume(&self) {
        pause();
        let consumer = self.member();
        fact("extra", self.take(&consumer, 0, 1, 4));
        let timeout = Duration::from_secs(20);
        let mut places = TopicPartitionList::new();
        places.add_partition_range(TOPIC, 0, self.partitions - 1);
        let committed = consumer.committed_offsets(places, timeout).unwrap();
        let raw = |offset| if let Offset::Offset(n) = offset { n } else { 0 };
        fact("committed", committed.elements().iter().map(|place| raw(place.offset())).sum::<i64>());
        let ends = (0..self.partitions).map(|p| consumer.fetch_watermarks(TOPIC, p, timeout).unwrap().1);
        fact("end", ends.sum::<i64>());
        let groups = consumer.fetch_group_list(Some(GROUP), timeout).unwrap();
        fact("state", groups.groups()[0].state());
    }

    fn administer(&self, admin: &AdminClient<DefaultClientContext>) {
        let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(20)));
        let made = NewTopic::new("made", 2, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
        wait(admin.create_topics([&made], &options)).unwrap()[0].as_ref().unwrap();
        let twice = wait(admin.create_topics([&made], &options)).unwrap();
        fact("twice", format!("{:?}", twice[0].as_ref().unwrap_err().1));
        wait(admin.create_partitions(&[NewPartitions::new("made", 4)], &options)).unwrap()[0].as_ref().unwrap();
        let configs = wait(admin.describe_configs(&[ResourceSpecifier::Topic("made")], &options)).unwrap();
        let policy = configs[0].as_ref().unwrap().get("cleanup.policy").unwrap();
        fact("policy", policy.value.as_deref().unwrap());
        let metadata = admin.inner().fetch_metadata(Some("made"), Duration::from_secs(20)).unwrap();
        fact("partitions", metadata.topics()[0].partitions().len());
        fact("nodes", metadata.brokers().len());
        wait(admin.delete_groups(&[GROUP], &options)).unwrap()[0].as_ref().unwrap();
        wait(admin.delete_topics(&["made"], &options)).unwrap()[0].as_ref().unwrap();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap();
    let count = arguments.next().unwrap().parse().unwrap();
    let partitions = arguments.next().unwrap().parse().unwrap();
    let peer = Peer { address, count, partitions };
    let admin: AdminClient<DefaultClientContext> = peer.config().create().unwrap();
    let topic = NewTopic::new(TOPIC, partitions, TopicReplication::Fixed(1));
    let created = wait(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    assert!(matches!(created[0], Ok(_)), "{created:?}");
    peer.produce();
    peer.consume();
    let features = std::env::var("PEER_FEATURES").unwrap();
    for feature in features.split(' ') {
        match feature {
            "transactions" => peer.transact(&admin),
            "consumer" => peer.read_with_new_protocol(&admin),
            _ => {}
        }
    }
    peer.resume();
    peer.administer(&admin);
    println!("end");
}
