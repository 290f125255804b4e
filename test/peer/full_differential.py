#!/usr/bin/env python3
"""The same requests to the broker and to an Apache Kafka: every answer is the same, or the difference is one that is meant.

    full_differential.py [CASE...]

A case is a function of a module in differential/; what is meant to differ is tabled in differential/deliberate.py, with the reason. PEER_TOOLS_LIBS
names the folder of the jars.
"""
import os
import re
import sys
import tempfile
import time
import traceback

from harness import Broker, passed
from jvm import KAFKA
from differential import CASES
from differential import expiry, listeners
from differential.deliberate import reason_of
from differential.session import Pairs, Session, differences

BROKEN = "the case itself"
OPTIONS = ("auto.create.topics.enable=true",)
# Of the Apache Kafka: new assignments are made at once, as is the default here, not once a second; one partition for each coordinator.
LIKE_OURS = ("group.consumer.assignment.interval.ms=0", "group.share.assignment.interval.ms=0", "share.coordinator.state.topic.num.partitions=1")


def run(case, broker, *more, **where):
    session = Session(broker, *more, **where)
    try:
        case(session)
    except Exception:  # pylint: disable=broad-except
        session.note(BROKEN, {}, traceback.format_exc(limit=-3))
    session.close()
    return session.seen


def compare(case, ours, theirs):
    """Prints the differences that are not meant, each kind once; how many steps and how many such differences."""
    kinds, pairs = {}, Pairs()
    for place in range(max(len(ours), len(theirs))):
        mine, other = (seen[place] if place < len(seen) else ("nothing", {}, None, None) for seen in (ours, theirs))
        if mine[0] != other[0]:
            print(f"{case}: step {place}: {mine[0]} {mine[3]} here, {other[0]} {other[3]} there")
            return len(ours), len(kinds) + 1
        if mine[0] == BROKEN:
            kinds[BROKEN] = [(mine, other)]
            print(f"{case}: {mine[3]}")
        for path, here, there in differences(mine[2], other[2], pairs):
            if reason_of(case, mine[0], path, here, there) is None:
                kind = (re.sub(r" v\d+", "", mine[0]), re.sub(r"\['?[\w.-]*'?\]", "[]", path) if "Configs[" not in path else path, repr(here), repr(there))
                kinds.setdefault(kind, []).append((mine, other))
    told, broken = None, kinds.pop(BROKEN, ())
    for (_, path, here, there), places in kinds.items():
        mine, other = places[0]
        if mine is not told:
            print(f"{case}: {mine[0]} {short(mine[1])}")
        told = mine
        print(f"    {path}: rialto {short(here)}, Kafka {short(there)}" + (f" and {len(places) - 1} more" if len(places) > 1 else ""))
        for word, answer in (("rialto", mine[3]), ("Kafka", other[3])):
            if "Error" in path and isinstance(answer, dict):
                texts = [text for text in re.findall(r"'ErrorMessage': (?:'[^']*'|\"[^\"]*\")", repr(answer)) if not text.endswith("''")]
                if texts:
                    print(f"        {word} says {'; '.join(texts)[:300]}")
    return len(ours), len(kinds) + len(broken)


def short(value, most=300):
    words = repr(value)
    return words if len(words) <= most else words[:most] + "..."


# Rules need an authorizer, and nobody to be above them.
RULED = ("authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=true")


def run_all(picked, make, options, kafkas_own, home):
    """Runs cases on two fresh brokers; how many answers and differences."""
    steps, found = 0, 0
    with make(*options, *LIKE_OURS, *kafkas_own, program=KAFKA) as kafka, make(*options) as broker:
        for name in ["coordinators", *picked]:
            begin = time.monotonic()
            ours = run(CASES[name], broker, home=home)
            between = time.monotonic()
            theirs = run(CASES[name], kafka, ours, home=home)
            count, differ = compare(name, ours, theirs)
            steps, found = steps + count, found + differ
            print(f"-- {name}: {count} answers, {differ} differences, {between - begin:.1f} + {time.monotonic() - between:.1f} s", flush=True)
    return steps, found


def families(home):
    """Which cases need which brokers: the starts of their names, how a broker is made, options of both, those of the Apache Kafka, whether there are users."""
    yield ("rules_",), Broker, OPTIONS + RULED, (), True
    yield ("logins_", "tls_"), listeners.Several, OPTIONS + listeners.options(home), tuple(listeners.jaas()), True
    yield ("expiry_", "throttles_"), Broker, OPTIONS + expiry.OPTIONS, (), False
    yield ("",), Broker, OPTIONS, (), False


def main():
    left = [name for name in CASES if name != "coordinators" and (not sys.argv[1:] or name.startswith(tuple(sys.argv[1:])))]
    alone = os.path.basename(os.environ["BROKER_PROGRAM"]) == "rialto_broker"  # which knows no users
    steps, found, ran = 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="rialto-differential-") as home:
        for starts, make, options, kafkas_own, users in families(home):
            picked, left = [name for name in left if name.startswith(starts)], [name for name in left if not name.startswith(starts)]
            if not picked or (alone and users):
                continue
            if make is listeners.Several:
                listeners.certificates(home)
            count, differ = run_all(picked, make, options, kafkas_own, home)
            steps, found, ran = steps + count, found + differ, ran + len(picked)
    if found:
        sys.exit(f"FAILED: {found} differences in {steps} answers")
    passed("differential", f"{steps} answers of {ran} cases")


main()
