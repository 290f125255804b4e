#!/usr/bin/env python3
"""Kafka Streams' word count with exactly_once_v2: the broker is killed, and so is the application, in the middle.

Without transactions on the broker the application runs at_least_once, and only the broker is killed. PEER_TOOLS_LIBS names the folder of
the jars.
"""
import tempfile

from harness import Broker, passed
from jvm import Tools, apis_of, libs_of, wait_for
from wordcount import LINES, Application, check_counts, make_topics, produce, seen


def run(broker, tools, application, kill_application):
    address = broker.address
    produce(tools, address, range(LINES // 3))
    application.start()
    wait_for("the first counts", 120, lambda: seen(tools, address, LINES // 2))
    produce(tools, address, range(LINES // 3, 2 * LINES // 3))
    broker.restart()
    if kill_application:
        application.kill()
        application.start()
    produce(tools, address, range(2 * LINES // 3, LINES))
    broker.restart()
    return wait_for("all counts", 180, lambda: seen(tools, address, 3 * LINES))


def main():
    libs = libs_of()
    with Broker() as broker, Tools(libs) as tools, tempfile.TemporaryDirectory(prefix="rialto-streams-") as state:
        exactly_once = "EndTxn" in apis_of(tools, broker.address)
        make_topics(tools, broker.address)
        application = Application(libs, broker.address, state, "exactly_once_v2" if exactly_once else "at_least_once")
        try:
            rows = run(broker, tools, application, kill_application=exactly_once)
        except SystemExit:
            print(application.said()[-6000:])
            raise
        finally:
            application.stop()
        check_counts(broker, rows, exactly_once)
    passed("streams", f"word count of {LINES} lines, {'exactly_once_v2, kills of both' if exactly_once else 'at_least_once, kills'}")


main()
