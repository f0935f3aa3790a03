// An echo server as one first writes it in Go: a goroutine for each connection,
// and io.Copy, which splices between sockets. The port is in PORT.
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func echo(conn net.Conn) {
	defer conn.Close()
	io.Copy(conn, conn)
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(conn)
	}
}
