// Delegation tokens by the Java admin client: java TokenClient.java ADDRESS PLAIN_ADDRESS PASSWORD
//
// Users admin (who may everything), alice, bob and carol prove themselves by SCRAM-SHA-256 with the same password. Each line "fact NAME VALUE" is
// what happened, without what differs from run to run. The token of alice is printed too ("fact token ID HMAC") for the test to go on with.

import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateDelegationTokenOptions;
import org.apache.kafka.clients.admin.DescribeDelegationTokenOptions;
import org.apache.kafka.clients.admin.ExpireDelegationTokenOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RenewDelegationTokenOptions;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.token.delegation.DelegationToken;
import org.apache.kafka.common.security.token.delegation.TokenInformation;

public class TokenClient {
    static String address, plainAddress, password;

    static void fact(String name, Object value) {
        System.out.println("fact " + name + " " + value);
    }

    static Admin admin(String user, String secret, boolean token) {
        Properties config = new Properties();
        config.put("bootstrap.servers", user == null ? plainAddress : address);
        config.put("default.api.timeout.ms", "60000");
        if (user != null) {
            config.put("security.protocol", "SASL_PLAINTEXT");
            config.put("sasl.mechanism", "SCRAM-SHA-256");
            config.put("sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"" + user + "\" password=\""
                    + secret + "\"" + (token ? " tokenauth=\"true\"" : "") + ";");
        }
        return Admin.create(config);
    }

    static Admin as(String user) {
        return admin(user, password, false);
    }

    static KafkaPrincipal user(String name) {
        return new KafkaPrincipal("User", name);
    }

    /** The value, or the simple name of what went wrong. */
    static String told(Callable<?> call) throws Exception {
        try {
            return String.valueOf(call.call());
        } catch (ExecutionException failure) {
            return failure.getCause().getClass().getSimpleName();
        }
    }

    static String shape(TokenInformation info) {
        return info.ownerAsString() + " by " + info.tokenRequesterAsString() + " renewers " + info.renewersAsString().stream().sorted().toList() + " expires "
                + (info.expiryTimestamp() - info.issueTimestamp()) + " ends " + (info.maxTimestamp() - info.issueTimestamp());
    }

    static String seen(Admin admin, DescribeDelegationTokenOptions options) throws Exception {
        return told(() -> admin.describeDelegationToken(options).delegationTokens().get().stream()
                .map(token -> shape(token.tokenInfo())).sorted().collect(Collectors.joining("; ")));
    }

    static DelegationToken create(Admin admin, CreateDelegationTokenOptions options) throws Exception {
        return admin.createDelegationToken(options).delegationToken().get();
    }

    static String renewed(Admin admin, byte[] hmac, long period, long issued) throws Exception {
        return told(() -> Math.round((admin.renewDelegationToken(hmac, new RenewDelegationTokenOptions().renewTimePeriodMs(period)).expiryTimestamp().get()
                - System.currentTimeMillis()) / 60000.0));
    }

    static String expired(Admin admin, byte[] hmac, long period) throws Exception {
        return told(() -> Math.round((admin.expireDelegationToken(hmac, new ExpireDelegationTokenOptions().expiryTimePeriodMs(period)).expiryTimestamp().get()
                - System.currentTimeMillis()) / 60000.0));
    }

    public static void main(String[] args) throws Exception {
        address = args[0];
        plainAddress = args[1];
        password = args[2];
        try (Admin root = as("admin"); Admin alice = as("alice"); Admin bob = as("bob"); Admin carol = as("carol"); Admin nobody = admin(null, null, false)) {
            DelegationToken own = create(alice, new CreateDelegationTokenOptions());
            fact("own", shape(own.tokenInfo()));
            fact("sizes", own.tokenInfo().tokenId().length() + " " + own.hmac().length);
            DelegationToken shared = create(alice, new CreateDelegationTokenOptions().renewers(List.of(user("bob"))).maxLifetimeMs(3600000));
            fact("shared", shape(shared.tokenInfo()));
            fact("for-bob-by-alice", told(() -> create(alice, new CreateDelegationTokenOptions().owner(user("bob")))));
            fact("renewer-of-another-kind", told(() -> create(alice, new CreateDelegationTokenOptions().renewers(List.of(new KafkaPrincipal("Group", "x"))))));
            fact("for-bob-by-admin", shape(create(root, new CreateDelegationTokenOptions().owner(user("bob"))).tokenInfo()));
            fact("by-nobody", told(() -> create(nobody, new CreateDelegationTokenOptions())));
            fact("seen-by-nobody", seen(nobody, new DescribeDelegationTokenOptions()));
            // what was made is seen as soon as a broker has heard of it
            DescribeDelegationTokenOptions all = new DescribeDelegationTokenOptions();
            while (seen(root, all).split("; ").length < 3)
                Thread.sleep(100);
            fact("seen-by-admin", seen(root, all));
            fact("seen-by-alice", seen(alice, all));
            fact("seen-by-bob", seen(bob, all));
            fact("seen-by-carol", "[" + seen(carol, all) + "]");
            fact("seen-of-bob-by-admin", seen(root, new DescribeDelegationTokenOptions().owners(List.of(user("bob")))));
            fact("seen-of-carol-by-admin", "[" + seen(root, new DescribeDelegationTokenOptions().owners(List.of(user("carol")))) + "]");
            fact("seen-of-nobody-by-admin", "[" + seen(root, new DescribeDelegationTokenOptions().owners(List.of())) + "]");
            root.createAcls(List.of(
                    new AclBinding(new ResourcePattern(ResourceType.USER, "User:bob", PatternType.LITERAL),
                            new AccessControlEntry("User:carol", "*", AclOperation.DESCRIBE_TOKENS, AclPermissionType.ALLOW)),
                    new AclBinding(new ResourcePattern(ResourceType.USER, "User:bob", PatternType.LITERAL),
                            new AccessControlEntry("User:alice", "*", AclOperation.CREATE_TOKENS, AclPermissionType.ALLOW)),
                    new AclBinding(new ResourcePattern(ResourceType.DELEGATION_TOKEN, own.tokenInfo().tokenId(), PatternType.LITERAL),
                            new AccessControlEntry("User:carol", "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW)),
                    new AclBinding(new ResourcePattern(ResourceType.TOPIC, "tokens-", PatternType.PREFIXED),
                            new AccessControlEntry("User:alice", "*", AclOperation.CREATE, AclPermissionType.ALLOW)))).all().get();
            while (seen(carol, all).isEmpty())
                Thread.sleep(100);
            fact("seen-by-carol-with-rules", seen(carol, all));
            fact("for-bob-with-rule", shape(create(alice, new CreateDelegationTokenOptions().owner(user("bob"))).tokenInfo()));
            fact("renewed-by-owner", renewed(alice, own.hmac(), -1, 0));
            fact("renewed-by-renewer", renewed(bob, shared.hmac(), 600000, 0));
            fact("renewed-past-the-end", renewed(bob, shared.hmac(), 7200000, 0));
            fact("renewed-by-carol", renewed(carol, shared.hmac(), -1, 0));
            fact("renewed-unknown", renewed(alice, new byte[64], -1, 0));
            fact("renewed-by-nobody", renewed(nobody, shared.hmac(), -1, 0));
            fact("expired-by-carol", expired(carol, shared.hmac(), -1));
            fact("expired-unknown", expired(alice, new byte[] {1, 2, 3}, -1));
            fact("expired-by-nobody", expired(nobody, shared.hmac(), -1));
            fact("expiry-in-20-minutes", expired(bob, shared.hmac(), 1200000));
            String secret = Base64.getEncoder().encodeToString(own.hmac());
            try (Admin holder = admin(own.tokenInfo().tokenId(), secret, true)) {
                fact("topic-with-token", told(() -> holder.createTopics(List.of(new NewTopic("tokens-a", 1, (short) 1))).all().get()));
                fact("other-topic-with-token", told(() -> holder.createTopics(List.of(new NewTopic("others", 1, (short) 1))).all().get()));
                fact("token-with-token", told(() -> create(holder, new CreateDelegationTokenOptions())));
                fact("seen-with-token", seen(holder, all));
                fact("renewed-with-token", renewed(holder, own.hmac(), -1, 0));
                fact("expired-with-token", expired(holder, own.hmac(), -1));
            }
            try (Admin guess = admin(own.tokenInfo().tokenId(), secret.replace(secret.charAt(3), 'x') + "x", true)) {
                fact("wrong-secret", told(() -> guess.describeCluster().nodes().get()));
            }
            try (Admin guess = admin("no-such-token", secret, true)) {
                fact("unknown-token", told(() -> guess.describeCluster().nodes().get()));
            }
            try (Admin guess = admin(own.tokenInfo().tokenId(), secret, false)) {
                fact("token-as-user", told(() -> guess.describeCluster().nodes().get()));
            }
            String sharedSecret = Base64.getEncoder().encodeToString(shared.hmac());
            fact("expired-at-once", expired(alice, shared.hmac(), -1));
            fact("expired-twice", expired(alice, shared.hmac(), -1));
            String last;
            do {
                try (Admin gone = admin(shared.tokenInfo().tokenId(), sharedSecret, true)) {
                    last = told(() -> gone.describeCluster().nodes().get());
                }
            } while (last.startsWith("["));
            fact("gone", last);
            DelegationToken brief = create(alice, new CreateDelegationTokenOptions().maxLifetimeMs(1000));
            fact("brief", shape(brief.tokenInfo()));
            String id = brief.tokenInfo().tokenId();
            while (told(() -> alice.describeDelegationToken().delegationTokens().get().stream().anyMatch(token -> token.tokenInfo().tokenId().equals(id))).equals("true"))
                Thread.sleep(100);
            fact("brief-renewed-late", renewed(alice, brief.hmac(), -1, 0));
            fact("token", own.tokenInfo().tokenId() + " " + secret);
        }
    }
}
