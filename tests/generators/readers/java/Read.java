package mail;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** Reads a JSON text a line and writes what quicktype's classes make of it, as read.mjs does. */
public class Read {
    public static void main(String[] arguments) throws IOException {
        ObjectMapper mapper = new ObjectMapper();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            out.println(mapper.writeValueAsString(read(line)));
        }
    }

    private static Map<String, ?> read(String text) {
        try {
            MailMessage message = Converter.fromJsonString(text);
            return Map.of("context", context(message.getPayload()), "encoded", Converter.toJsonString(message));
        } catch (IOException error) {
            return Map.of("refused", error.getMessage());
        }
    }

    private static Map<String, Object> context(MailPayload payload) {
        Map<String, Object> context = new HashMap<>();
        context.put("code", payload.getCode());
        Application application = payload.getApplication();
        if (application != null) {
            context.put("application", named(application.getID(), application.getName()));
        }
        Organization organization = payload.getOrganization();
        if (organization != null) {
            context.put("organization", named(organization.getID(), organization.getName()));
        }
        User user = payload.getUser();
        if (user != null) {
            context.put("user", named(user.getID(), user.getName()));
        }
        User inviter = payload.getInviter();
        if (inviter != null) {
            context.put("inviter", named(inviter.getID(), inviter.getName()));
        }
        return context;
    }

    private static Map<String, String> named(String id, String name) {
        Map<String, String> named = new HashMap<>();
        named.put("id", id);
        named.put("name", name);
        return named;
    }
}
