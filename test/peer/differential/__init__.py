"""Cases of the differential test, by name: functions case_NAME of the modules here, in the order in which they stand."""
from . import admin, configs, consumers, expiry, groups, limits, lives, logins, records, rules, share, throttles, tls, topics, transactions


def coordinators(s):
    """The first of all: every coordinator is ready after it."""
    for kind in (0, 1):
        s.until(lambda answer: answer["Coordinators"][0]["ErrorCode"] == 0, "FindCoordinator", 4, KeyType=kind, CoordinatorKeys=["warm"])
    s.until(lambda answer: answer["Groups"][0]["ErrorCode"] in (0, 69), "DescribeGroups", 6, Groups=["warm"])
    s.until(lambda answer: answer["ErrorCode"] == 0, "InitProducerId", 5, TransactionalId="warm", TransactionTimeoutMs=60000)
    topic = s.topic("warm")
    s.until(lambda answer: answer["ErrorCode"] == 0, "ShareGroupHeartbeat", 1, GroupId="warm-share", MemberId="A" * 22, MemberEpoch=0,
            SubscribedTopicNames=["warm"])
    asked = [dict(TopicId=topic, Partitions=[dict(PartitionIndex=0)])]
    s.until(lambda answer: answer["ErrorCode"] == 0 and "'ErrorCode': 1" not in repr(answer["Responses"]), "ShareFetch",
            1, GroupId="warm-share", MemberId="A" * 22, MaxWaitMs=500, MaxRecords=1, Topics=asked)
    s.quiet("ShareGroupHeartbeat", 1, GroupId="warm-share", MemberId="A" * 22, MemberEpoch=-1)


CASES = {"coordinators": coordinators}
for module in (admin, topics, configs, records, groups, consumers, transactions, share, limits, lives, rules, logins, tls, expiry, throttles):
    for name, case in vars(module).items():
        if name.startswith("case_"):
            CASES[f"{module.__name__.rpartition('.')[2]}_{name[5:]}"] = case
