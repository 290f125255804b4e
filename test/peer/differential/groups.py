"""Groups of the first protocol: each call in each state; offsets; what administrators ask."""
import kafkaspec

GONE, MISSING = "a-00000000-0000-0000-0000-000000000000", bytes(15) + b"\7"


def subscription(*topics, version=0):
    return version.to_bytes(2, "big") + len(topics).to_bytes(4, "big") + b"".join(len(name).to_bytes(2, "big") + name.encode() for name in topics) + b"\xff\xff\xff\xff"


def join(group, member="", **more):
    return dict(dict(GroupId=group, SessionTimeoutMs=30000, RebalanceTimeoutMs=30000, MemberId=member, ProtocolType="consumer",
                     Protocols=[dict(Name="range", Metadata=subscription("grp-t"))]), **more)


def fit(version, fields, first):
    """Without the fields that the version has not yet."""
    return {key: value for key, value in fields.items() if version >= first.get(key, 0)}


JOIN = dict(RebalanceTimeoutMs=1, GroupInstanceId=5, Reason=8)


def member_of(s, version, group, **more):
    """One member that has joined and has its assignment; (member id, generation)."""
    answer = s.quiet("JoinGroup", version, fit(version, join(group, **more), JOIN))
    if answer["ErrorCode"] == 79:
        answer = s.quiet("JoinGroup", version, fit(version, join(group, answer["MemberId"], **more), JOIN))
    s.note("joined", {}, answer)
    s.quiet("SyncGroup", min(version, 4), GroupId=group, GenerationId=answer["GenerationId"], MemberId=answer["MemberId"],
            Assignments=[dict(MemberId=answer["MemberId"], Assignment=b"mine")])
    return answer["MemberId"], answer["GenerationId"]


def ask_all(s, group, member, generation, last=True):
    """Heartbeats, syncs, commits of whom the group knows or not."""
    for who, when, instance in ((member, generation, None), (member, generation + 1, None), (member, generation - 1, None), (member, -1, None), (GONE, generation, None),
                                ("", generation, None), ("", -1, None), (member, generation, "nobody"), (member, generation, ""), (GONE, generation, "st")):
        for version in (0, 3, 4):
            s.call("Heartbeat", version, fit(version, dict(GroupId=group, GenerationId=when, MemberId=who, GroupInstanceId=instance), dict(GroupInstanceId=3)))
        for version in (0, 3, 5):
            for kind, name in (("consumer", "range"), ("other", "range"), ("consumer", "roundrobin"), (None, None)) if version == 5 else (("consumer", "range"),):
                fields = dict(GroupId=group, GenerationId=when, MemberId=who, GroupInstanceId=instance, ProtocolType=kind, ProtocolName=name)
                s.call("SyncGroup", version, fit(version, fields, dict(GroupInstanceId=3, ProtocolType=5, ProtocolName=5)))
        for version in (2, 7, 9):
            fields = dict(GroupId=group, GenerationIdOrMemberEpoch=when, MemberId=who, GroupInstanceId=instance,
                          Topics=[dict(Name="grp-t", Partitions=[dict(PartitionIndex=0, CommittedOffset=5, CommittedMetadata="m")])])
            s.call("OffsetCommit", version, fit(version, fields, dict(GroupInstanceId=7)))
        s.call("TxnOffsetCommit", 3, TransactionalId="grp-none", GroupId=group, ProducerId=7, ProducerEpoch=0, GenerationId=when, MemberId=who, GroupInstanceId=instance,
               Topics=[dict(Name="grp-t", Partitions=[dict(PartitionIndex=0, CommittedOffset=5, CommittedMetadata="m")])])
        s.call("OffsetFetch", 9, Groups=[dict(GroupId=group, MemberId=who, MemberEpoch=when, Topics=[dict(Name="grp-t", PartitionIndexes=[0])])])
    for who, instance in ((GONE, None), ("", None), (member, "nobody"), ("", "nobody"), (GONE, "nobody")) + (((member, None), (member, None)) if last else ()):
        for version in (0, 3, 5):
            if version:
                row = fit(version, dict(MemberId=who, GroupInstanceId=instance, Reason="why"), dict(Reason=5))
                s.call("LeaveGroup", version, GroupId=group, Members=[row])
            elif instance is None:
                s.call("LeaveGroup", version, GroupId=group, MemberId=who)
    s.call("DescribeGroups", 6, Groups=[group])


def case_unknown(s):
    s.topic("grp-t", 2)
    ask_all(s, "grp-none", GONE, 1)
    ask_all(s, "", GONE, 1)


def case_stable(s):
    s.topic("grp-t", 2)
    for version in (0, 4, 9):
        group = f"grp-stable-{version}"
        member, generation = member_of(s, version, group)
        for describe in range(7):
            s.call("DescribeGroups", describe, Groups=[group])
        s.call("DescribeGroups", 5, Groups=[group], IncludeAuthorizedOperations=True)
        s.call("DeleteGroups", 2, GroupsNames=[group])
        s.call("OffsetDelete", 0, GroupId=group, Topics=[dict(Name="grp-t", Partitions=[dict(PartitionIndex=0)])])
        s.call("ConsumerGroupDescribe", 1, GroupIds=[group])
        s.call("ShareGroupDescribe", 1, GroupIds=[group])
        ask_all(s, group, member, generation)
        ask_all(s, group, member, generation)


def case_static(s):
    s.topic("grp-t", 2)
    member, generation = member_of(s, 7, "grp-static", GroupInstanceId="st")
    s.call("DescribeGroups", 6, Groups=["grp-static"])
    ask_all(s, "grp-static", member, generation, last=False)
    for who, instance in ((member, "st"), (GONE, "st"), ("", "st")):
        s.call("Heartbeat", 4, GroupId="grp-static", GenerationId=generation, MemberId=who, GroupInstanceId=instance)
        s.call("SyncGroup", 5, GroupId="grp-static", GenerationId=generation, MemberId=who, GroupInstanceId=instance)
        s.call("OffsetCommit", 9, GroupId="grp-static", GenerationIdOrMemberEpoch=generation, MemberId=who, GroupInstanceId=instance, Topics=[])
    s.call("JoinGroup", 9, join("grp-static", GONE, GroupInstanceId="st"))
    again = s.call("JoinGroup", 9, join("grp-static", "", GroupInstanceId="st"))
    s.call("JoinGroup", 9, join("grp-static", member, GroupInstanceId="st"))
    s.call("Heartbeat", 4, GroupId="grp-static", GenerationId=generation, MemberId=member, GroupInstanceId="st")
    s.call("Heartbeat", 4, GroupId="grp-static", GenerationId=again["GenerationId"], MemberId=again["MemberId"], GroupInstanceId="st")
    s.call("JoinGroup", 5, join("grp-static", "", GroupInstanceId="st"))
    for row in (dict(MemberId=GONE, GroupInstanceId="st"), dict(MemberId="", GroupInstanceId="st"), dict(MemberId="", GroupInstanceId="st")):
        s.call("LeaveGroup", 5, GroupId="grp-static", Members=[row, row])


def case_join(s):
    """What is refused, and how one is told one's member id."""
    for version in range(10):
        group = f"grp-join-{version}"
        bad = [join(group, GONE), join(""), join(group, SessionTimeoutMs=1), join(group, SessionTimeoutMs=99999999), join(group, SessionTimeoutMs=0), join(group, SessionTimeoutMs=-1),
               join(group, ProtocolType=""), join(group, Protocols=[]), join(group, ProtocolType="", Protocols=[])]
        if version >= 5:
            bad += [join(group, GroupInstanceId=name) for name in ("", ".", "..", "a b", "x" * 249, "x" * 250, "ä")]
        for place, fields in enumerate(bad):
            if fields["GroupId"]:
                fields["GroupId"] += f"-{place}"
            s.call("JoinGroup", version, fit(version, fields, JOIN))
            s.call("DescribeGroups", 5, Groups=[fields["GroupId"]])
        first = s.call("JoinGroup", version, fit(version, join(group), JOIN))
        if first["ErrorCode"] == 79:
            s.call("DescribeGroups", 5, Groups=[group])
            s.call("Heartbeat", 4, GroupId=group, GenerationId=-1, MemberId=first["MemberId"])
            s.call("SyncGroup", 3, GroupId=group, GenerationId=-1, MemberId=first["MemberId"])
            s.call("JoinGroup", version, fit(version, join(group, first["MemberId"], ProtocolType="other"), JOIN))
            first = s.call("JoinGroup", version, fit(version, join(group, first["MemberId"]), JOIN))
        if not isinstance(first, dict) or first["ErrorCode"]:
            continue
        member, generation = first["MemberId"], first["GenerationId"]
        s.call("DescribeGroups", 5, Groups=[group])
        s.call("Heartbeat", 4, GroupId=group, GenerationId=generation, MemberId=member)
        s.call("OffsetCommit", 5, GroupId=group, GenerationIdOrMemberEpoch=generation, MemberId=member,
               Topics=[dict(Name="grp-t", Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata=None)])])
        for fields in (join(group, ProtocolType="other"), join(group, Protocols=[dict(Name="nonsense", Metadata=b"")]), join(group, member, ProtocolType="other"), join(group, GONE)):
            s.call("JoinGroup", version, fit(version, fields, JOIN))
        s.call("SyncGroup", 5, GroupId=group, GenerationId=generation, MemberId=member, ProtocolType="consumer", ProtocolName="range",
               Assignments=[dict(MemberId=member, Assignment=b"one"), dict(MemberId=GONE, Assignment=b"two")])
        s.call("SyncGroup", 0, GroupId=group, GenerationId=generation, MemberId=member)
        s.call("JoinGroup", version, fit(version, join(group, member), JOIN))
        s.call("DescribeGroups", 5, Groups=[group])
        more = dict(Protocols=[dict(Name="range", Metadata=b"x"), dict(Name="roundrobin", Metadata=b"y")])
        s.call("JoinGroup", version, fit(version, join(group, member, **more), JOIN))
        s.call("Heartbeat", 4, GroupId=group, GenerationId=generation + 1, MemberId=member)


def case_two(s):
    """A member that joins makes the other one join again."""
    s.topic("grp-t", 2)
    for version in (2, 4, 9):
        group = f"grp-two-{version}"
        member, generation = member_of(s, version, group)
        connection = s.other()
        fields = fit(version, join(group), JOIN)
        if version >= 4:
            fields["MemberId"] = s.quiet("JoinGroup", version, fields)["MemberId"]
        kafkaspec.send(connection, "JoinGroup", version, fields)
        s.until(lambda answer: answer["Groups"][0]["GroupState"] == "PreparingRebalance", "DescribeGroups", 5, Groups=[group])
        s.call("DescribeGroups", 5, Groups=[group])
        s.call("Heartbeat", 4, GroupId=group, GenerationId=generation, MemberId=member)
        s.call("SyncGroup", 3, GroupId=group, GenerationId=generation, MemberId=member)
        s.call("OffsetCommit", 5, GroupId=group, GenerationIdOrMemberEpoch=generation, MemberId=member,
               Topics=[dict(Name="grp-t", Partitions=[dict(PartitionIndex=0, CommittedOffset=1, CommittedMetadata=None)])])
        s.call("DeleteGroups", 2, GroupsNames=[group])
        s.call("JoinGroup", version, fit(version, join(group, member), JOIN))
        s.note("the other one", {}, kafkaspec.receive(connection, "JoinGroup", version))
        s.call("DescribeGroups", 5, Groups=[group])


def commit(group, *rows, **more):
    return dict(dict(GroupId=group, GenerationIdOrMemberEpoch=-1, MemberId="", Topics=[
        dict(Name=topic, Partitions=[dict(PartitionIndex=part, CommittedOffset=offset, CommittedMetadata=text)]) for topic, part, offset, text in rows]), **more)


def case_offsets(s):
    uuid = s.topic("grp-o", 2)
    rows = [("grp-o", 0, 5, "meta"), ("grp-o", 1, 0, ""), ("grp-o", 0, 7, None), ("grp-o", 9, 5, "m"), ("grp-o", -1, 5, "m"), ("grp-none", 0, 5, "m"), ("", 0, 5, "m"),
            ("a b", 0, 5, "m"), ("x" * 250, 0, 5, "m"), ("grp-o", 0, -1, "m"), ("grp-o", 0, -5, "m"), ("grp-o", 0, 1 << 60, "m"), ("grp-o", 0, 5, "x" * 4096), ("grp-o", 0, 5, "x" * 4097),
            ("__consumer_offsets", 0, 5, "m")]
    for version in range(2, 11):
        group = f"grp-off-{version}"
        for row in rows:
            fields = commit(group, row)
            if version >= 10:
                fields["Topics"] = [dict(TopicId=uuid if row[0] == "grp-o" else MISSING if row[0] == "grp-none" else bytes(16), Partitions=fields["Topics"][0]["Partitions"])]
            s.call("OffsetCommit", version, fields)
        for name in ("", group, "grp-off-other"):
            for member, generation in (("", -1), ("", 0), ("x", -1), ("x", 1), ("", 5)):
                s.call("OffsetCommit", version, GroupId=name, GenerationIdOrMemberEpoch=generation, MemberId=member, Topics=[])
                if version < 10:
                    s.call("OffsetCommit", version, commit(name, ("grp-o", 0, 3, "m"), GenerationIdOrMemberEpoch=generation, MemberId=member))
        if version in (2, 3, 4):
            s.call("OffsetCommit", version, commit(group, ("grp-o", 1, 3, "m"), RetentionTimeMs=1000))
        if version in (6, 9):
            fields = commit(group, ("grp-o", 1, 3, "m"))
            for epoch in (0, 7, -2):
                fields["Topics"][0]["Partitions"][0]["CommittedLeaderEpoch"] = epoch
                s.call("OffsetCommit", version, fields)
    for version in range(1, 8):
        for group in ("grp-off-9", "grp-off-none", ""):
            for topics in ([dict(Name="grp-o", PartitionIndexes=[0, 1, 9])], [dict(Name="grp-none", PartitionIndexes=[0])], [dict(Name="grp-o", PartitionIndexes=[])], [],
                           *([None] if version >= 2 else [])):
                for stable in (False, True) if version >= 7 else (False,):
                    s.call("OffsetFetch", version, dict(dict(GroupId=group, Topics=topics), **(dict(RequireStable=stable) if version >= 7 else {})))
    for version in (8, 9, 10):
        for groups in (["grp-off-9"], ["grp-off-none"], ["grp-off-9", "grp-off-none", ""], ["grp-off-9"] * 2, []):
            for topics in (None, [], [("grp-o", [0, 1, 9])], [("grp-none", [0])], [("grp-o", [0]), ("grp-o", [1])]):
                def row(name, parts):
                    return dict({"TopicId": uuid if name == "grp-o" else MISSING} if version >= 10 else {"Name": name}, PartitionIndexes=parts)
                asked = None if topics is None else [row(*one) for one in topics]
                for stable in (False, True):
                    s.call("OffsetFetch", version, Groups=[dict(GroupId=name, Topics=asked) for name in groups], RequireStable=stable)
        for member, epoch in (("x", 0), ("x", -1), ("", 0), (None, 1)) if version >= 9 else ():
            s.call("OffsetFetch", version, Groups=[dict(GroupId="grp-off-9", MemberId=member, MemberEpoch=epoch, Topics=None)])


def case_delete(s):
    s.topic("grp-d", 2)
    for version in range(3):
        for number in range(3):
            s.quiet("OffsetCommit", 7, commit(f"grp-del-{version}-{number}", ("grp-d", 0, 5, "m"), ("grp-d", 1, 5, "m")))
        for names in ([f"grp-del-{version}-0"], [f"grp-del-{version}-0"], [f"grp-del-{version}-1"] * 2, [""], [f"grp-del-{version}-2", "grp-none"], []):
            s.call("DeleteGroups", version, GroupsNames=names)
    s.quiet("OffsetCommit", 7, commit("grp-del", ("grp-d", 0, 5, "m"), ("grp-d", 1, 5, "m")))
    for group in ("grp-del", "grp-none", ""):
        for topic, parts in (("grp-d", [0]), ("grp-d", [0]), ("grp-d", [9]), ("grp-none", [0]), ("", [0]), ("grp-d", []), ("grp-d", [1, 1]), ("grp-d", [-1])):
            s.call("OffsetDelete", 0, GroupId=group, Topics=[dict(Name=topic, Partitions=[dict(PartitionIndex=part) for part in parts])])
        s.call("OffsetDelete", 0, GroupId=group, Topics=[])
    s.call("DescribeGroups", 6, Groups=["grp-del"])


def case_admin(s):
    for version in range(7):
        for names in ([], ["grp-none"], [""], ["grp-none", "grp-none"]):
            for operations in (False, True) if version >= 3 else (False,):
                s.call("DescribeGroups", version, dict(dict(Groups=names), **(dict(IncludeAuthorizedOperations=operations) if version >= 3 else {})))
    s.quiet("OffsetCommit", 7, commit("grp-list", ("grp-t", 0, 5, "m")))
    for version in range(6):
        s.call("ListGroups", version)
        for states in ([], ["Empty"], ["empty"], ["EMPTY"], ["Stable"], ["nonsense"], ["Empty", "Stable", "Dead"], [""], ["Assigning"], ["Reconciling"]) if version >= 4 else ():
            s.call("ListGroups", version, StatesFilter=states)
            for kinds in ([], ["classic"], ["Classic"], ["consumer"], ["share"], ["streams"], ["nonsense"], [""]) if version >= 5 else ():
                s.call("ListGroups", version, StatesFilter=states, TypesFilter=kinds)
    for version in range(7):
        for kind in (0, 1, 2, 3, -1) if version >= 1 else (0,):
            for keys in ([["x"]] if version < 4 else [["x"], ["x", "y"], ["x", "x"], [], [""], ["g:AAAAAAAAAAAAAAAAAAAABw:0"], ["a:b:c"], ["g:AAAAAAAAAAAAAAAAAAAABw:-1"], ["é"]]):
                fields = dict(KeyType=kind) if version else {}
                fields.update(dict(Key=keys[0]) if version < 4 else dict(CoordinatorKeys=keys))
                s.call("FindCoordinator", version, fields)
        if version < 4:
            s.call("FindCoordinator", version, Key="")
