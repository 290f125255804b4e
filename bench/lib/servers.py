"""The servers under load, behind one shape: start() gives ready_ms and a pid, kafka is its address, stop() ends it.

Data directories are made fresh at every start, in the work directory; nothing of a server outlives its stop().
"""
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from machine import connects, fail, free_port, http_answers, metadata_answers, stop, wait_ready


class Server:
    """with server: starts it, and ends it whatever happens."""

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop()

    def until_ready(self, begin, conditions):
        """Milliseconds from `begin` until the last condition was true; a server that does not get there is ended."""
        try:
            return (wait_ready(self.process, conditions) - begin) * 1e3
        except BaseException:
            stop(self.process)
            raise

    def stop(self):
        stop(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)


class Disk:
    """Where a data directory lies, if not on the disk that all are measured on: memory, where a sync takes what it is told to take."""

    def __init__(self, work, sync_us=0):
        self.name = f"a disk of {sync_us / 1000:g} ms a sync" if sync_us else "in memory"
        self.directory = "/dev/shm/rialto-bench"
        self.environment = {"LD_PRELOAD": str(Path(work) / "sync_delay.so"), "SYNC_DELAY_US": str(sync_us)} if sync_us else {}


class Rialto(Server):
    """`rialto server`, all faces on."""

    def __init__(self, program, work, durability, disk=None):
        self.name = f"rialto-{durability}" + (f", {disk.name}" if disk else "")
        self.program, self.directory = program, Path(disk.directory if disk else work) / "run" / f"rialto-{durability}"
        self.environment = {**os.environ, **(disk.environment if disk else {})}
        self.port, self.http_ports = free_port(), [free_port() for _ in range(4)]
        self.options = [f"kafka.listen=127.0.0.1:{self.port}", "log.retention.ms=-1", f"durability={durability}", "log.level=warn",
                        "http.listen=" + ",".join(f"127.0.0.1:{port}" for port in self.http_ports)]
        self.kafka = f"127.0.0.1:{self.port}"
        self.topic_configs = []

    def start(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        return self.launch()

    def kill_and_start(self):
        """Milliseconds to ready on what a kill -9 has left."""
        self.process.kill()
        self.process.wait()
        return self.launch().ready_ms

    def launch(self):
        command = [self.program, "server", "--data", str(self.directory / "data")]
        for option in self.options:
            command += ["--set", option]
        with open(self.directory / "log", "wb") as log:
            begin = time.monotonic()
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)
        self.pid = self.process.pid
        faces = [lambda: metadata_answers(self.port)]
        faces += [lambda port=port: http_answers(port, "/healthz") for port in self.http_ports]
        self.ready_ms = self.until_ready(begin, faces)
        return self

    def sql(self, statements):
        body = json.dumps({"ksql": statements, "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_ports[0]}/ksql", data=body, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            fail(f"rialto refuses {statements}: {error.read().decode()}")


class Kafka(Server):
    """One Apache Kafka node in KRaft mode: the distribution's settings, on loopback, retention off because event times lie in the past."""

    PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs={data}
num.partitions=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.ms=-1
log.segment.bytes=1073741824
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""
    LOGGING = """appender.f.type=File
appender.f.name=F
appender.f.fileName={directory}/server.log
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRef.f.ref=F
"""
    # The JVM options of the distribution's own start script.
    JVM = ["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
           "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]

    def __init__(self, work, fsync=False):
        self.name = "kafka-fsync" if fsync else "kafka"
        self.libraries, self.directory = f"{work}/kafka-libs/*", Path(work) / "run" / self.name
        self.port, self.controller = free_port(), free_port()
        self.kafka = f"127.0.0.1:{self.port}"
        # Kafka's own way to promise what durability=fsync promises: a sync for every append.
        self.topic_configs = ["flush.messages=1"] if fsync else []

    def start(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        properties, logging = self.directory / "server.properties", self.directory / "log4j2.properties"
        properties.write_text(self.PROPERTIES.format(port=self.port, controller=self.controller, data=self.directory / "data"))
        logging.write_text(self.LOGGING.format(directory=self.directory))
        java = ["java", f"-Dlog4j2.configurationFile={logging}", "-cp", self.libraries]
        with open(self.directory / "out", "wb") as log:
            made = subprocess.run([*java, "kafka.tools.StorageTool", "format", "--standalone", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", str(properties)],
                                  stdout=log, stderr=log, check=False)
            if made.returncode != 0:
                fail(f"Kafka cannot format its directory; see {self.directory}/out")
            begin = time.monotonic()
            self.process = subprocess.Popen([java[0], *self.JVM, *java[1:], "kafka.Kafka", str(properties)], stdout=log, stderr=log)
        self.pid = self.process.pid
        self.ready_ms = self.until_ready(begin, [lambda: metadata_answers(self.port)])
        return self


class Bare(Server):
    """The load tool as a server that does only what the bytes of a produce ask for."""

    def __init__(self, work):
        self.name, self.work = "bare work", Path(work)
        self.directory, self.port = self.work / "run" / "bare", free_port()
        self.kafka = f"127.0.0.1:{self.port}"

    def start(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        begin = time.monotonic()
        self.process = subprocess.Popen([self.work / "load", "bare", "-b", self.kafka, "-t", self.directory / "batches"])
        self.pid = self.process.pid
        self.ready_ms = self.until_ready(begin, [lambda: connects(self.port)])
        return self


FLINK_OPENS = ["java.lang", "java.util", "java.time", "java.nio", "java.util.concurrent", "java.util.concurrent.atomic", "java.lang.reflect",
               "java.net", "java.text"]


def engine_command(work, engine, query, kafka, guarantee, config, out):
    """The command line of a Kafka Streams or Flink job."""
    state = Path(work) / "run" / f"state-{out}"
    shutil.rmtree(state, ignore_errors=True)
    os.makedirs(state)
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in FLINK_OPENS] if engine == "flink" else []
    main = {"streams": "StreamsJob", "flink": "FlinkJob"}[engine]
    return ["java", "-Xmx2g", *opens, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{work}/{engine}-classes:{work}/{engine}-libs/*",
            main, query, kafka, guarantee, config, str(state), out], state
