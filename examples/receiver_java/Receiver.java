// A receiver for Logto's HTTP email connector, in Java with Jackson and Jakarta Mail: one mail by template type, handed
// to an SMTP server.
//
// Configured by the environment: MAIL_AUTHORIZATION (as in the connector's settings), MAIL_FROM, SMTP_HOST, SMTP_PORT,
// PORT. To run it with Debian's libjackson2-databind-java and libjakarta-mail-java:
// MAIL_AUTHORIZATION='Bearer s3cret' java -cp '/usr/share/java/*' Receiver.java

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.sun.mail.smtp.SMTPAddressFailedException;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import jakarta.mail.Message.RecipientType;
import jakarta.mail.MessagingException;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeBodyPart;
import jakarta.mail.internet.MimeMessage;
import jakarta.mail.internet.MimeMultipart;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

public final class Receiver {
    static final String PATH = "/logto-mail";
    static final int MAX_BYTES = 2 * 1024 * 1024;

    // Later Logto releases add template types: a type that is not listed becomes a general mail.
    static final Map<String, String> SUBJECTS = Map.of(
        "SignIn", "Your code to sign in",
        "Register", "Your code to create an account",
        "ForgotPassword", "Your code to reset your password",
        "OrganizationInvitation", "You are invited to join",
        "UserPermissionValidation", "Your code to confirm that it is you",
        "BindNewIdentifier", "Your code to add this address",
        "MfaVerification", "Your code to finish signing in",
        "BindMfa", "Your code to set up a second factor");

    // Mail libraries read quoted names, lists and comments differently: such a recipient is refused.
    static final Pattern ADDRESS = Pattern.compile(
        "[^\\s@\"(),:;<>\\[\\\\\\]\\p{C}\\p{Z}\ufffd]+@[^\\s@\"(),:;<>\\[\\\\\\]\\p{C}\\p{Z}\ufffd]+");
    static final Pattern NOT_PRINTABLE = Pattern.compile("[\\p{C}\\p{Z}\\s]+");

    static final JsonMapper JSON = new JsonMapper();

    /** Ends a request with an error status. Its text repeats nothing of the message and nothing of this program. */
    static final class Refused extends Exception {
        final int status;

        Refused(int status, String text) {
            super(text);
            this.status = status;
        }
    }

    final byte[] authorization = setting("MAIL_AUTHORIZATION", "").getBytes(UTF_8);
    final Session session;

    Receiver() {
        if (authorization.length == 0) {
            throw new IllegalStateException("Set MAIL_AUTHORIZATION to the value in the connector's settings");
        }
        Properties properties = new Properties();
        properties.put("mail.from", setting("MAIL_FROM", "no-reply@example.com"));
        properties.put("mail.smtp.host", setting("SMTP_HOST", "localhost"));
        properties.put("mail.smtp.port", setting("SMTP_PORT", "25"));
        // Without this, each mail looks up the name of this machine.
        properties.put("mail.smtp.localhost", "localhost");
        // Addresses beyond ASCII go out with SMTPUTF8.
        properties.put("mail.mime.allowutf8", "true");
        // Logto's user waits for the response, and gives up after 10 seconds.
        for (String limit : List.of("connectiontimeout", "timeout", "writetimeout")) {
            properties.put("mail.smtp." + limit, "5000");
        }
        session = Session.getInstance(properties);
    }

    static String setting(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }

    /**
     * Return the first of some members that is a text, on one line. Any may be missing or null, and the sender of an
     * invitation may replace the object by any value.
     */
    static String textOf(JsonNode context, String... members) {
        for (String member : members) {
            // Line breaks would make headers, and control characters and lone surrogates cannot be sent.
            String text = NOT_PRINTABLE.matcher(context.path(member).asText("")).replaceAll(" ").strip();
            if (context.path(member).isTextual() && !text.isEmpty()) {
                return text.substring(0, text.offsetByCodePoints(0, Math.min(100, text.codePointCount(0, text.length()))));
            }
        }
        return "";
    }

    static String escape(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;").replace("'", "&#39;");
    }

    static JsonNode parse(byte[] body) throws Refused, IOException {
        try {
            JsonNode message = JSON.readTree(body);
            if (message.path("to").isTextual() && message.path("type").isTextual() && message.path("payload").isObject()) {
                return message;
            }
        } catch (JacksonException problem) {
            throw new Refused(400, "The body is not JSON");
        }
        throw new Refused(400, "The body is no message");
    }

    MimeMessage compose(JsonNode message) throws Refused, MessagingException {
        String to = message.path("to").textValue();
        String type = message.path("type").textValue();
        JsonNode payload = message.path("payload");
        if (!ADDRESS.matcher(to).matches()) {
            throw new Refused(422, "No mail can be sent to this recipient");
        }
        JsonNode secretNode = payload.path(payload.has("code") && !type.equals("OrganizationInvitation") ? "code" : "link");
        String secret = secretNode.isTextual() ? secretNode.textValue() : "";
        if (secret.isEmpty() || NOT_PRINTABLE.matcher(secret).find()) {
            throw new Refused(422, "The message has no code and no link to send");
        }
        String place = textOf(payload.path("organization"), "name");
        place = place.isEmpty() ? textOf(payload.path("application"), "displayName", "name") : place;
        place = place.isEmpty() ? "our service" : place;
        String name = textOf(payload.path("user"), "name", "username");
        String inviter = textOf(payload.path("inviter"), "name", "username", "primaryEmail");
        String greeting = name.isEmpty() ? "Hello," : "Hello " + name + ",";
        String line = inviter.isEmpty() ? "This is for " + place + ":" : inviter + " invites you to " + place + ":";
        String shown = escape(secret);
        if (secret.matches("(?i)https?://.*")) {
            shown = "<a href=\"" + shown + "\">" + shown + "</a>";
        }

        // The constructor with a text would parse it, and does not know every letter.
        InternetAddress recipient = new InternetAddress();
        recipient.setAddress(to);
        MimeMessage mail = new MimeMessage(session);
        mail.setFrom();
        mail.setRecipient(RecipientType.TO, recipient);
        mail.setSubject(SUBJECTS.getOrDefault(type, "Your verification") + " - " + place, "UTF-8");
        mail.setSentDate(new Date());
        MimeBodyPart text = new MimeBodyPart();
        text.setText(greeting + "\n\n" + line + "\n\n" + secret + "\n", "UTF-8");
        MimeBodyPart html = new MimeBodyPart();
        html.setText("<!doctype html><html><body><p>" + escape(greeting) + "</p>\n<p>" + escape(line) + "</p>\n<p><b>"
            + shown + "</b></p></body></html>\n", "UTF-8", "html");
        mail.setContent(new MimeMultipart("alternative", text, html));
        return mail;
    }

    static boolean isRecipientRefused(MessagingException problem) {
        for (Exception cause = problem; cause instanceof MessagingException next; cause = next.getNextException()) {
            // A code below 500 asks to try again later.
            if (cause instanceof SMTPAddressFailedException refusal && refusal.getReturnCode() >= 500) {
                return true;
            }
        }
        return false;
    }

    void receive(HttpExchange exchange) throws IOException, Refused, MessagingException {
        // Read the whole body first, also before a refusal: else the connection cannot carry the next request.
        byte[] body = exchange.getRequestBody().readNBytes(MAX_BYTES + 1);
        exchange.getRequestBody().transferTo(OutputStream.nullOutputStream());
        if (!exchange.getRequestURI().getPath().equals(PATH)) {
            throw new Refused(404, "There is nothing here");
        }
        if (!exchange.getRequestMethod().equals("POST")) {
            exchange.getResponseHeaders().set("Allow", "POST");
            throw new Refused(405, "Messages are posted");
        }
        // Two values are refused. The comparison needs the same time for every wrong value of one length.
        List<String> given = exchange.getRequestHeaders().getOrDefault("Authorization", List.of());
        if (given.size() != 1 || !MessageDigest.isEqual(given.get(0).getBytes(ISO_8859_1), authorization)) {
            throw new Refused(401, "Wrong authorization");
        }
        if (body.length > MAX_BYTES) {
            throw new Refused(413, "The message is too large");
        }
        MimeMessage mail = compose(parse(body));
        try {
            Transport.send(mail);
        } catch (MessagingException problem) {
            System.err.println("The mail was not sent: " + problem);
            throw isRecipientRefused(problem)
                ? new Refused(422, "The recipient was refused")
                : new Refused(503, "The mail was not sent");
        }
    }

    void handle(HttpExchange exchange) throws IOException {
        int status = 204;
        byte[] response = {};
        try {
            receive(exchange);
        } catch (Refused refusal) {
            status = refusal.status;
            response = JSON.writeValueAsBytes(Map.of("error", refusal.getMessage()));
        } catch (Exception | StackOverflowError problem) {
            problem.printStackTrace();
            status = 500;
            response = JSON.writeValueAsBytes(Map.of("error", "An error of ours"));
        }
        boolean hasBody = response.length > 0 && !exchange.getRequestMethod().equals("HEAD");
        if (hasBody) {
            exchange.getResponseHeaders().set("Content-Type", "application/json");
        }
        exchange.sendResponseHeaders(status, hasBody ? response.length : -1);
        if (hasBody) {
            exchange.getResponseBody().write(response);
        }
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(setting("PORT", "3000")));
        // A request that stalls holds a thread: limit its seconds, and not the number of threads.
        System.setProperty("sun.net.httpserver.maxReqTime", "30");
        HttpServer server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", new Receiver()::handle);
        server.start();
        System.out.println("Listening on http://127.0.0.1:" + server.getAddress().getPort() + PATH);
    }
}
