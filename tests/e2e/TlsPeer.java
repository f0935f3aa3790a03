// One end of a TLS connection by Java's own TLS (JSSE): a server that gives each
// client its bytes back, or a client that expects them back, ends its side and
// waits for the end of the other. Standard output has the server's port, and of
// each connection:
//
//     open TLSv1.3 alpn=h2 certificate=1
//     end ok                  or   end ERROR
//
// Usage: TlsPeer server|client PORT [SETTING=VALUE...]
// Settings: cert, key, ca (files), alpn (names with commas), version (1.2 or
// 1.3), auth (any value: a server asks for a certificate), count (connections
// of a client), size (bytes of each), cut (any value: the socket is closed
// without a close_notify).

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

public class TlsPeer {
    static final Map<String, String> settings =
        new HashMap<>(Map.of("count", "1", "size", "100000"));
    static SSLContext context;

    static Certificate[] read(String path) throws Exception {
        try (InputStream file = new FileInputStream(path)) {
            return CertificateFactory.getInstance("X.509")
                .generateCertificates(file).toArray(new Certificate[0]);
        }
    }

    static PrivateKey readKey(String path, String algorithm) throws Exception {
        String text = Files.readString(Path.of(path)).replaceAll("-----.*-----", "");
        return KeyFactory.getInstance(algorithm).generatePrivate(
            new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(text)));
    }

    static KeyStore newStore() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    static void configure() throws Exception {
        char[] none = new char[0];
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        TrustManagerFactory trusted = TrustManagerFactory.getInstance("PKIX");
        KeyStore own = newStore();
        KeyStore authorities = newStore();
        if (settings.containsKey("cert")) {
            Certificate[] chain = read(settings.get("cert"));
            own.setKeyEntry("own", readKey(settings.get("key"),
                chain[0].getPublicKey().getAlgorithm()), none, chain);
        }
        if (settings.containsKey("ca")) {
            int number = 0;
            for (Certificate authority : read(settings.get("ca"))) {
                authorities.setCertificateEntry("ca" + number++, authority);
            }
        }
        keys.init(own, none);
        context = SSLContext.getInstance("TLS");
        if (settings.containsKey("ca")) {
            trusted.init(authorities);
            context.init(keys.getKeyManagers(), trusted.getTrustManagers(), null);
        } else {
            context.init(keys.getKeyManagers(), null, null);
        }
    }

    static SSLSocket secure(Socket socket, boolean isClient) throws IOException {
        SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(
            socket, "localhost", socket.getPort(), true);
        SSLParameters parameters = tls.getSSLParameters();
        parameters.setProtocols(new String[] {"TLSv" + settings.get("version")});
        if (settings.containsKey("alpn")) {
            parameters.setApplicationProtocols(settings.get("alpn").split(","));
        }
        if (isClient) {
            parameters.setServerNames(List.of(new SNIHostName("localhost")));
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
        }
        parameters.setNeedClientAuth(settings.containsKey("auth"));
        tls.setSSLParameters(parameters);
        tls.setUseClientMode(isClient);
        tls.startHandshake();
        return tls;
    }

    static void reportOpen(SSLSocket tls) {
        String alpn = tls.getApplicationProtocol();
        int certificates = 0;
        try {
            certificates = tls.getSession().getPeerCertificates().length;
        } catch (SSLPeerUnverifiedException none) {
            certificates = 0;
        }
        System.out.println("open " + tls.getSession().getProtocol() + " alpn="
            + (alpn == null || alpn.isEmpty() ? "-" : alpn) + " certificate="
            + certificates);
    }

    // Without a close_notify the end of the stream is an exception.
    static void echo(Socket socket) throws IOException {
        SSLSocket tls = secure(socket, false);
        byte[] piece = new byte[1 << 16];
        int size;
        reportOpen(tls);
        while ((size = tls.getInputStream().read(piece)) >= 0) {
            if (settings.containsKey("cut")) {
                socket.close();
                return;
            }
            tls.getOutputStream().write(piece, 0, size);
        }
        tls.close();
    }

    static void talk(Socket socket) throws Exception {
        SSLSocket tls = secure(socket, true);
        byte[] sent = new byte[Integer.parseInt(settings.get("size"))];
        Thread sender = new Thread(() -> {
            try {
                tls.getOutputStream().write(sent);
            } catch (IOException failed) {
                System.err.println(failed);
            }
        });
        reportOpen(tls);
        Arrays.fill(sent, (byte) 'j');
        sender.start();
        byte[] got = tls.getInputStream().readNBytes(sent.length);
        sender.join();
        if (!Arrays.equals(sent, got)) {
            throw new IOException("other bytes came back");
        }
        if (settings.containsKey("cut")) {
            socket.close();
            return;
        }
        tls.shutdownOutput();
        if (tls.getInputStream().read() >= 0) {
            throw new IOException("more bytes came");
        }
        tls.close();
    }

    interface Work {
        void run(Socket socket) throws Exception;
    }

    static void attempt(Socket socket, Work work) {
        try {
            work.run(socket);
            System.out.println("end ok");
        } catch (Exception failed) {
            System.out.println("end " + failed);
        }
    }

    public static void main(String[] words) throws Exception {
        int port = Integer.parseInt(words[1]);
        InetAddress here = InetAddress.getByName("127.0.0.1");
        for (String word : Arrays.asList(words).subList(2, words.length)) {
            String[] parts = word.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        configure();
        if (words[0].equals("server")) {
            ServerSocket listener = new ServerSocket(port, 50, here);
            System.out.println(listener.getLocalPort());
            while (true) {
                Socket socket = listener.accept();
                new Thread(() -> attempt(socket, TlsPeer::echo)).start();
            }
        }
        for (int i = Integer.parseInt(settings.get("count")); i > 0; i--) {
            attempt(new Socket(here, port), TlsPeer::talk);
        }
    }
}
