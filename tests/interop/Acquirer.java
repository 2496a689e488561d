import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.xml.XMLConstants;
import javax.xml.stream.XMLInputFactory;
import javax.xml.stream.XMLOutputFactory;
import javax.xml.stream.XMLStreamConstants;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.XMLStreamReader;
import javax.xml.stream.XMLStreamWriter;
import javax.xml.transform.stream.StreamSource;
import javax.xml.validation.Schema;
import javax.xml.validation.SchemaFactory;
import javax.xml.validation.Validator;
import org.xml.sax.SAXException;

/**
 * An acquirer that shares nothing with Tieout but the messages: it takes pain.001.001.09 and answers by pain.002.001.10.
 *
 * <pre>
 *   inbox --rename--> work: hash, schema, counts, sums, seen before? --> outbox: .ack.xml, .result.xml --> truth
 * </pre>
 *
 * Every answer is written under a temporary name and renamed. What is in the truth file has been answered. The program
 * ends when its standard input is closed. Nothing but the JDK is needed.
 */
public final class Acquirer {
    private static final String ANSWER = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10";
    private static final String[] REASONS = {"AC04", "AC06", "AM04", "MS03", "RR04"};
    private static final long BYTES_MAX = 64L << 20;
    private static final int PERCENT_REJECTED = 8;
    private static final int PERCENT_CHANGED = 4;

    record Payment(String reference, BigDecimal amount, String currency) {}

    record Decision(Payment payment, String kind, String status, String code, BigDecimal reported) {}

    record Refusal(String code, String text) {}

    /** A group header or a payment information: what it says of itself, and what is in it. */
    static final class Part {
        String id = "";
        String count = "";
        String sum = "";
        final List<Payment> payments = new ArrayList<>();

        BigDecimal total() {
            return payments.stream().map(Payment::amount).reduce(BigDecimal.ZERO, BigDecimal::add);
        }
    }

    /** A message as far as it could be read; `fault` tells why it could not be read to its end. */
    static final class Message {
        final Part group = new Part();
        final List<Part> batches = new ArrayList<>();
        String fault = "";
    }

    private final Path inbox;
    private final Path outbox;
    private final Path work;
    private final Path truth;
    private final Path seen;
    private final Path clock;
    private final PathMatcher pattern;
    private final String seed;
    private final Schema schema;
    private final Set<String> names = new HashSet<>();
    private final Set<String> messages = new HashSet<>();
    private volatile boolean ending;

    private Acquirer(Map<String, String> options) throws IOException, SAXException {
        inbox = Path.of(options.get("inbox"));
        outbox = Path.of(options.get("outbox"));
        work = Path.of(options.get("work"));
        truth = Path.of(options.get("truth"));
        seen = truth.resolveSibling(truth.getFileName() + ".seen");
        clock = options.containsKey("clock") ? Path.of(options.get("clock")) : null;
        pattern = FileSystems.getDefault().getPathMatcher("glob:" + options.get("pattern"));
        seed = options.get("seed");
        schema = schemaAt(Path.of(options.get("xsd")));
        remember();
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            options.put(arguments[at].replaceFirst("^--", ""), arguments[at + 1]);
        }
        Set<String> needed = Set.of("inbox", "outbox", "work", "truth", "pattern", "seed", "xsd");
        Set<String> unknown = new HashSet<>(options.keySet());
        unknown.removeAll(needed);
        unknown.removeAll(Set.of("clock", "poll-ms"));
        if (arguments.length % 2 != 0 || !options.keySet().containsAll(needed) || !unknown.isEmpty()) {
            System.err.println("usage: Acquirer --inbox DIR --outbox DIR --work DIR --truth FILE --pattern GLOB --seed N"
                + " --xsd FILE [--clock FILE] [--poll-ms N]");
            System.exit(2);
        }
        Acquirer acquirer = new Acquirer(options);
        acquirer.endWithInput();
        acquirer.watch(Long.parseLong(options.getOrDefault("poll-ms", "5")));
    }

    /** Whoever started us holds our standard input: when that process dies, however it dies, we end too. */
    private void endWithInput() {
        Thread reader = new Thread(() -> {
            try (InputStream input = System.in) {
                input.transferTo(OutputStream.nullOutputStream());
            } catch (IOException gone) {
                System.err.println("standard input: " + gone.getMessage());
            }
            ending = true;
        });
        reader.setDaemon(true);
        reader.start();
    }

    private void watch(long pollMs) throws Exception {
        Files.write(truth, new byte[0], StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        boolean last;
        do {
            last = ending; // one more look after the end was asked for
            for (Path file : waiting()) {
                handle(file);
            }
            Thread.sleep(last ? 0 : pollMs);
        } while (!last);
    }

    private List<Path> waiting() throws IOException {
        try (Stream<Path> all = Files.list(inbox)) {
            return all.filter(each -> !each.getFileName().toString().startsWith("."))
                .filter(each -> pattern.matches(each.getFileName()))
                .filter(each -> Files.isRegularFile(each, LinkOption.NOFOLLOW_LINKS))
                .sorted()
                .collect(Collectors.toList());
        }
    }

    private void handle(Path file) throws Exception {
        String name = file.getFileName().toString();
        String stem = freeStem(name);
        Path taken = work.resolve(stem + ".xml");
        try {
            Files.move(file, taken, StandardCopyOption.ATOMIC_MOVE);
        } catch (NoSuchFileException gone) {
            return;
        }
        if (Files.size(taken) > BYTES_MAX) {
            throw new IOException(name + " is larger than " + BYTES_MAX + " bytes");
        }
        byte[] bytes = Files.readAllBytes(taken);
        Message message = read(bytes);
        Refusal refusal = refusalOf(name, bytes, message);
        List<Decision> decisions = new ArrayList<>();
        place(stem + ".ack.xml", acknowledgement(stem, message, refusal));
        if (refusal == null) {
            message.batches.forEach(batch -> batch.payments.forEach(each -> decisions.add(decide(each))));
            place(stem + ".result.xml", results(stem, message, decisions));
        }
        note(name, message.group.id);
        append(truth, truthOf(name, taken, bytes, message, refusal, decisions));
    }

    /** A name that was taken before gets a number, so that no earlier copy or answer is replaced. */
    private String freeStem(String name) {
        String stem = name.replaceFirst("\\.xml$", "");
        String free = stem;
        for (int copy = 2; Files.exists(work.resolve(free + ".xml")); copy++) {
            free = stem + "." + copy;
        }
        return free;
    }

    // ---- reading and checking

    private static Schema schemaAt(Path path) throws SAXException {
        SchemaFactory factory = SchemaFactory.newInstance(XMLConstants.W3C_XML_SCHEMA_NS_URI);
        factory.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
        factory.setProperty(XMLConstants.ACCESS_EXTERNAL_DTD, "");
        factory.setProperty(XMLConstants.ACCESS_EXTERNAL_SCHEMA, "");
        return factory.newSchema(path.toFile());
    }

    /** The message as its elements pass by; where it breaks, what was read before the break. */
    private static Message read(byte[] bytes) {
        XMLInputFactory factory = XMLInputFactory.newFactory();
        factory.setProperty(XMLInputFactory.SUPPORT_DTD, false);
        factory.setProperty(XMLInputFactory.IS_SUPPORTING_EXTERNAL_ENTITIES, false);
        factory.setProperty(XMLInputFactory.IS_COALESCING, true);
        Message message = new Message();
        try {
            XMLStreamReader reader = factory.createXMLStreamReader(new ByteArrayInputStream(bytes));
            Deque<String> path = new ArrayDeque<>();
            String text = "";
            String reference = "";
            String currency = "";
            while (reader.hasNext()) {
                switch (reader.next()) {
                    case XMLStreamConstants.START_ELEMENT -> {
                        path.addLast(reader.getLocalName());
                        text = "";
                        if (path.peekLast().equals("PmtInf")) {
                            message.batches.add(new Part());
                        } else if (reader.getAttributeValue(null, "Ccy") != null) {
                            currency = reader.getAttributeValue(null, "Ccy");
                        }
                    }
                    case XMLStreamConstants.CHARACTERS -> text = reader.getText();
                    case XMLStreamConstants.END_ELEMENT -> {
                        Part batch = message.batches.isEmpty() ? null : message.batches.get(message.batches.size() - 1);
                        switch (String.join("/", path).replaceFirst("^Document/CstmrCdtTrfInitn/", "")) {
                            case "GrpHdr/MsgId" -> message.group.id = text;
                            case "GrpHdr/NbOfTxs" -> message.group.count = text;
                            case "GrpHdr/CtrlSum" -> message.group.sum = text;
                            case "PmtInf/PmtInfId" -> batch.id = text;
                            case "PmtInf/NbOfTxs" -> batch.count = text;
                            case "PmtInf/CtrlSum" -> batch.sum = text;
                            case "PmtInf/CdtTrfTxInf/PmtId/EndToEndId" -> reference = text;
                            case "PmtInf/CdtTrfTxInf/Amt/InstdAmt", "PmtInf/CdtTrfTxInf/Amt/EqvtAmt/Amt" -> {
                                Payment payment = new Payment(reference, new BigDecimal(text), currency);
                                batch.payments.add(payment);
                                message.group.payments.add(payment);
                            }
                            default -> { }
                        }
                        path.removeLast();
                        text = "";
                    }
                    default -> { }
                }
            }
        } catch (XMLStreamException | NumberFormatException broken) {
            message.fault = broken instanceof XMLStreamException ? "not well-formed" : "an amount is no number";
        }
        return message;
    }

    /** Why the whole file is refused, by the external status reason codes of ISO 20022; null: it is accepted. */
    private Refusal refusalOf(String name, byte[] bytes, Message message) {
        if (names.contains(name)) {
            return new Refusal("AM05", "a file of this name was taken before");
        }
        if (messages.contains(message.group.id)) {
            return new Refusal("DU01", "this message was taken before");
        }
        if (!message.fault.isEmpty()) {
            return new Refusal("FF01", message.fault);
        }
        if (!isValid(bytes)) {
            return new Refusal("FF01", "not valid by the schema pain.001.001.09");
        }
        List<Part> parts = new ArrayList<>(message.batches);
        parts.add(0, message.group);
        for (Part part : parts) {
            if (!part.count.isEmpty() && Long.parseLong(part.count) != part.payments.size()) {
                return new Refusal(part == message.group ? "AM19" : "AM20", "NbOfTxs counts otherwise");
            }
            // compareTo, not equals: 10.5 and 10.50 are the same sum.
            if (!part.sum.isEmpty() && new BigDecimal(part.sum).compareTo(part.total()) != 0) {
                return new Refusal("AM10", "CtrlSum adds up otherwise");
            }
        }
        return null;
    }

    private boolean isValid(byte[] bytes) {
        try {
            Validator validator = schema.newValidator();
            validator.setFeature(XMLConstants.FEATURE_SECURE_PROCESSING, true);
            validator.setProperty(XMLConstants.ACCESS_EXTERNAL_DTD, "");
            validator.setProperty(XMLConstants.ACCESS_EXTERNAL_SCHEMA, "");
            validator.validate(new StreamSource(new ByteArrayInputStream(bytes)));
            return true;
        } catch (SAXException | IOException invalid) {
            return false;
        }
    }

    /** The same seed and reference always give the same decision. */
    private Decision decide(Payment payment) {
        byte[] drawn = sha256((seed + "/" + payment.reference).getBytes(StandardCharsets.UTF_8));
        int lot = Byte.toUnsignedInt(drawn[0]) * 100 / 256;
        if (lot < PERCENT_REJECTED) {
            String code = REASONS[Byte.toUnsignedInt(drawn[1]) % REASONS.length];
            return new Decision(payment, "rejected", "RJCT", code, payment.amount);
        }
        if (lot < PERCENT_REJECTED + PERCENT_CHANGED) {
            return new Decision(payment, "amount_changed", "ACSC", "", payment.amount.add(payment.amount.ulp()));
        }
        return new Decision(payment, "confirmed", "ACSC", "", payment.amount);
    }

    // ---- answering

    private byte[] acknowledgement(String stem, Message message, Refusal refusal) throws Exception {
        Sheet sheet = new Sheet(stem + ".A", now(), message, refusal == null ? "ACTC" : "RJCT");
        if (refusal != null) {
            sheet.reason(refusal.code, refusal.text);
        }
        return sheet.close();
    }

    private byte[] results(String stem, Message message, List<Decision> decisions) throws Exception {
        boolean partly = decisions.stream().anyMatch(each -> each.status.equals("RJCT"));
        Sheet sheet = new Sheet(stem + ".R", now(), message, partly ? "PART" : "ACSC");
        Map<String, List<Decision>> byStatus = decisions.stream()
            .collect(Collectors.groupingBy(Decision::status, TreeMap::new, Collectors.toList()));
        for (Map.Entry<String, List<Decision>> each : byStatus.entrySet()) {
            sheet.claim(each.getKey(), each.getValue());
        }
        int at = 0;
        for (Part batch : message.batches) {
            sheet.open("OrgnlPmtInfAndSts");
            sheet.leaf("OrgnlPmtInfId", batch.id);
            for (int of = 0; of < batch.payments.size(); of++) {
                sheet.payment(decisions.get(at), stem + "/" + ++at);
            }
            sheet.end();
        }
        return sheet.close();
    }

    /** One pain.002 in the making; the group is closed by the first element behind it. */
    static final class Sheet {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final XMLStreamWriter out;
        private boolean inGroup = true;

        Sheet(String id, String createdAt, Message about, String status) throws XMLStreamException {
            out = XMLOutputFactory.newFactory().createXMLStreamWriter(bytes, "UTF-8");
            out.writeStartDocument("UTF-8", "1.0");
            out.writeStartElement("Document");
            out.writeDefaultNamespace(ANSWER);
            out.writeStartElement("CstmrPmtStsRpt");
            out.writeStartElement("GrpHdr");
            leaf("MsgId", HexFormat.of().formatHex(sha256(id.getBytes(StandardCharsets.UTF_8)), 0, 16));
            leaf("CreDtTm", createdAt);
            end();
            out.writeStartElement("OrgnlGrpInfAndSts");
            leaf("OrgnlMsgId", about.group.id.isEmpty() ? "NOTPROVIDED" : about.group.id);
            leaf("OrgnlMsgNmId", "pain.001.001.09");
            leaf("GrpSts", status);
        }

        void open(String name) throws XMLStreamException {
            if (inGroup) {
                inGroup = false;
                end();
            }
            out.writeStartElement(name);
        }

        void end() throws XMLStreamException {
            out.writeEndElement();
        }

        void leaf(String name, String text) throws XMLStreamException {
            out.writeStartElement(name);
            out.writeCharacters(text);
            out.writeEndElement();
        }

        void reason(String code, String text) throws XMLStreamException {
            out.writeStartElement("StsRsnInf");
            out.writeStartElement("Rsn");
            leaf("Cd", code);
            end();
            if (!text.isEmpty()) {
                leaf("AddtlInf", text);
            }
            end();
        }

        void claim(String status, List<Decision> decisions) throws XMLStreamException {
            BigDecimal sum = decisions.stream().map(Decision::reported).reduce(BigDecimal.ZERO, BigDecimal::add);
            out.writeStartElement("NbOfTxsPerSts");
            leaf("DtldNbOfTxs", Integer.toString(decisions.size()));
            leaf("DtldSts", status);
            leaf("DtldCtrlSum", sum.toPlainString());
            end();
        }

        void payment(Decision decision, String ours) throws XMLStreamException {
            open("TxInfAndSts");
            leaf("OrgnlEndToEndId", decision.payment.reference);
            leaf("TxSts", decision.status);
            if (!decision.code.isEmpty()) {
                reason(decision.code, "");
            }
            leaf("AcctSvcrRef", ours.substring(Math.max(0, ours.length() - 35)));
            out.writeStartElement("OrgnlTxRef");
            out.writeStartElement("Amt");
            out.writeStartElement("InstdAmt");
            out.writeAttribute("Ccy", decision.payment.currency);
            out.writeCharacters(decision.reported.toPlainString());
            for (int open = 0; open < 4; open++) {
                end();
            }
        }

        byte[] close() throws XMLStreamException {
            out.writeEndDocument();
            out.close();
            return bytes.toByteArray();
        }
    }

    private void place(String name, byte[] bytes) throws IOException {
        Path part = outbox.resolve("." + name + ".part");
        try (FileChannel channel = FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
            channel.force(true);
        }
        Files.move(part, outbox.resolve(name), StandardCopyOption.ATOMIC_MOVE);
    }

    /** The time that the clock file shows, a test's virtual one; else the machine's. */
    private String now() throws IOException {
        Instant now = clock != null && Files.exists(clock)
            ? Instant.parse(Files.readString(clock).split("\\s")[0])
            : Instant.now();
        return now.truncatedTo(ChronoUnit.SECONDS).toString();
    }

    // ---- remembering

    private void remember() throws IOException {
        if (Files.exists(seen)) {
            for (String line : Files.readAllLines(seen)) {
                names.add(line.substring(0, line.indexOf('\t')));
                messages.add(line.substring(line.indexOf('\t') + 1));
            }
        }
    }

    private void note(String name, String message) throws IOException {
        names.add(name);
        if (!message.isEmpty()) {
            messages.add(message);
        }
        append(seen, name + "\t" + message);
    }

    private static void append(Path path, String line) throws IOException {
        Files.writeString(path, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static String truthOf(
        String name, Path taken, byte[] bytes, Message message, Refusal refusal, List<Decision> decisions) {
        String payments = decisions.stream().map(each -> object(
            "reference", each.payment.reference, "decision", each.kind, "code", each.code,
            "amount", each.payment.amount.toPlainString(), "reported", each.reported.toPlainString(),
            "currency", each.payment.currency)).collect(Collectors.joining(", ", "[", "]"));
        String head = object(
            "file", name, "taken_as", taken.getFileName().toString(), "sha256", HexFormat.of().formatHex(sha256(bytes)),
            "message_id", message.group.id, "verdict", refusal == null ? "accepted" : "refused",
            "code", refusal == null ? "" : refusal.code);
        return head.substring(0, head.length() - 1) + ", \"payments\": " + payments + "}";
    }

    private static String object(String... namesAndValues) {
        StringBuilder text = new StringBuilder("{");
        for (int at = 0; at < namesAndValues.length; at += 2) {
            text.append(at == 0 ? "" : ", ").append(quoted(namesAndValues[at])).append(": ")
                .append(quoted(namesAndValues[at + 1]));
        }
        return text.append("}").toString();
    }

    private static String quoted(String text) {
        StringBuilder found = new StringBuilder("\"");
        text.chars().forEach(each -> {
            if (each < ' ' || each == '"' || each == '\\') {
                found.append(String.format("\\u%04x", each));
            } else {
                found.append((char) each);
            }
        });
        return found.append('"').toString();
    }

    private static byte[] sha256(byte[] bytes) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(bytes);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
