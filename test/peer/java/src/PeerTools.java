import java.io.ByteArrayInputStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's command line tools in one process, because each would need seconds to start its own: what their scripts run, with
 * the arguments of a command line. A line of input is CLASS, then arguments, then "<" and the tool's standard input (with \n for line
 * ends), all separated by tabs. The tool prints as it does; then a line "status N" follows.
 */
public class PeerTools {
    /** What Exit.exit() throws here: the tool has ended. */
    static class Ended extends Error {
    }

    static Integer status;
    static final List<Runnable> hooks = new ArrayList<>();

    static void end(int wanted) {
        if (status == null)
            status = wanted; // a tool that catches everything exits once more with another status
        throw new Ended();
    }

    static void run(List<String> words) {
        int less = words.indexOf("<");
        String stdin = less < 0 ? "" : words.get(less + 1).replace("\\n", "\n");
        String[] arguments = words.subList(1, less < 0 ? words.size() : less).toArray(new String[0]);
        System.setIn(new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)));
        status = null;
        hooks.clear();
        try {
            Class.forName(words.get(0)).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Ended)) {
                thrown.getCause().printStackTrace();
                status = status == null ? 1 : status;
            }
        } catch (ReflectiveOperationException none) {
            none.printStackTrace();
            status = 1;
        }
        hooks.forEach(Runnable::run);
    }

    public static void main(String[] args) {
        Exit.setExitProcedure((wanted, message) -> end(wanted));
        Exit.setHaltProcedure((wanted, message) -> end(wanted));
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        Scanner in = new Scanner(System.in, StandardCharsets.UTF_8);
        while (in.hasNextLine()) {
            run(List.of(in.nextLine().split("\t", -1)));
            System.out.println("\nstatus " + (status == null ? 0 : status));
            System.out.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
