// One end of a TLS connection by Go's crypto/tls: a server that gives each
// client its bytes back, or a client that expects them back, ends its side and
// waits for the end of the other. Standard output has the server's port, and of
// each connection:
//
//	open TLSv1.3 alpn=h2 resumed=0 certificate=1
//	end ok                  or   end ERROR
//
// Usage: peer server|client PORT [SETTING=VALUE...]
// Settings: cert, key, ca (files), alpn (names with commas), version (1.2 or
// 1.3), auth (any value: a server asks for a certificate), count (connections
// of a client), size (bytes of each), cut (any value: the socket is closed
// without a close_notify).
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
)

var settings = map[string]string{"count": "1", "size": "100000"}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func number(name string) int {
	value, err := strconv.Atoi(settings[name])
	check(err)
	return value
}

func configure() *tls.Config {
	config := &tls.Config{
		ServerName:         "localhost",
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	if settings["cert"] != "" {
		pair, err := tls.LoadX509KeyPair(settings["cert"], settings["key"])
		check(err)
		config.Certificates = []tls.Certificate{pair}
	}
	if settings["ca"] != "" {
		text, err := os.ReadFile(settings["ca"])
		check(err)
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(text)
		config.ClientCAs = config.RootCAs
	}
	if settings["auth"] != "" {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if settings["alpn"] != "" {
		config.NextProtos = strings.Split(settings["alpn"], ",")
	}
	config.MinVersion = map[string]uint16{
		"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[settings["version"]]
	config.MaxVersion = config.MinVersion
	return config
}

func reportOpen(conn *tls.Conn) {
	state := conn.ConnectionState()
	alpn, resumed := state.NegotiatedProtocol, 0
	if alpn == "" {
		alpn = "-"
	}
	if state.DidResume {
		resumed = 1
	}
	fmt.Printf("open TLSv1.%d alpn=%s resumed=%d certificate=%d\n",
		state.Version-tls.VersionTLS10, alpn, resumed,
		len(state.PeerCertificates))
}

func reportEnd(err error) {
	if err == nil {
		fmt.Println("end ok")
	} else {
		fmt.Println("end", err)
	}
}

// Without a close_notify the end of the stream is an error to io.Copy().
func echo(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		return err
	}
	reportOpen(conn)
	if settings["cut"] != "" {
		piece := make([]byte, 1)
		if _, err := conn.Read(piece); err != nil {
			return err
		}
		return conn.NetConn().Close()
	}
	if _, err := io.Copy(conn, conn); err != nil {
		return err
	}
	return conn.Close()
}

func serve(port string) {
	listener, err := tls.Listen("tcp", "127.0.0.1:"+port, configure())
	check(err)
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		conn, err := listener.Accept()
		check(err)
		go func() { reportEnd(echo(conn.(*tls.Conn))) }()
	}
}

func talk(conn *tls.Conn) error {
	reportOpen(conn)
	sent := bytes.Repeat([]byte("0123456789"), number("size")/10)
	failed := make(chan error, 1)
	go func() {
		_, err := conn.Write(sent)
		failed <- err
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if err := <-failed; err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return fmt.Errorf("other bytes came back")
	}
	if settings["cut"] != "" {
		return conn.NetConn().Close()
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(conn)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes more came", len(rest))
	}
	conn.Close()
	return err
}

func main() {
	for _, word := range os.Args[3:] {
		name, value, _ := strings.Cut(word, "=")
		settings[name] = value
	}
	if os.Args[1] == "server" {
		serve(os.Args[2])
	}
	config := configure()
	for i := 0; i < number("count"); i++ {
		conn, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[2], config)
		if err != nil {
			fmt.Println("end", err)
			continue
		}
		reportEnd(talk(conn))
	}
}
