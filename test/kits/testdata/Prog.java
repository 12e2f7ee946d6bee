// As the kit for Java 11 does: an exception's type is its class, a failed load
// is told through the FIFO without a ready line, and serving goes on.
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Prog {
    static String apply(String line) {
        Matcher m = Pattern.compile("\"first_name\":\"([^\"]*)\",\"last_name\":\"([^\"]*)\"").matcher(line);
        if (!m.find()) {
            throw new RuntimeException("unable to parse data: " + line.replace('"', '\'') + " as expected type: class Name");
        }
        System.out.println("parsed");
        return "hello " + m.group(1) + " " + m.group(2);
    }

    static void respond(String message) throws Exception {
        try (FileOutputStream fifo = new FileOutputStream("/tmp/algoout", true)) {
            fifo.write((message + "\n").getBytes(StandardCharsets.UTF_8));
        }
    }

    static String error(RuntimeException e) {
        return "{\"error\":{\"message\":\"" + e.getMessage() + "\",\"error_type\":\"" + e.getClass() + "\",\"stacktrace\":\"" + e.getStackTrace()[0] + "\"}}";
    }

    public static void main(String[] args) throws Exception {
        if (args.length > 0) {
            respond(error(new RuntimeException("no such model")));
        } else {
            System.out.println("PIPE_INIT_COMPLETE");
            System.out.flush();
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                respond("{\"result\":\"" + apply(line) + "\",\"metadata\":{\"content_type\":\"text\"}}");
            } catch (RuntimeException e) {
                respond(error(e));
            }
        }
    }
}
