package main

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// pair gives two connections of a door: what the client holds and what the server holds.
func pair(t *testing.T) (client, server *net.TCPConn) {
	t.Helper()
	inside := listenOnLoopback(t)
	outside := listenOnLoopback(t)
	go func() {
		accepted, err := outside.Accept()
		if err != nil {
			return
		}
		carry(accepted.(*net.TCPConn), inside.Addr().String())
	}()
	connection, err := net.Dial("tcp4", outside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := inside.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close(); accepted.Close() })
	return connection.(*net.TCPConn), accepted.(*net.TCPConn)
}

func listenOnLoopback(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func TestAHalfClosedConnectionStillCarriesTheAnswer(t *testing.T) {
	client, server := pair(t)
	question, answer := []byte("question"), bytes.Repeat([]byte("answer"), 100_000)
	go func() {
		client.Write(question)
		client.CloseWrite()
	}()
	asked, err := io.ReadAll(server)
	if err != nil || !bytes.Equal(asked, question) {
		t.Fatalf("the server read %q, %v", asked, err)
	}
	go func() {
		server.Write(answer)
		server.Close()
	}()
	if answered, err := io.ReadAll(client); err != nil || !bytes.Equal(answered, answer) {
		t.Fatalf("the client read %d bytes, %v", len(answered), err)
	}
}

func TestTheEndOfTheServerReachesTheClient(t *testing.T) {
	client, server := pair(t)
	server.Close()
	if read, err := io.ReadAll(client); err != nil || len(read) != 0 {
		t.Fatalf("the client read %q, %v", read, err)
	}
}

func TestTheEndOfTheClientReachesTheServer(t *testing.T) {
	client, server := pair(t)
	client.Close()
	if read, err := io.ReadAll(server); err != nil || len(read) != 0 {
		t.Fatalf("the server read %q, %v", read, err)
	}
}

func TestAConnectionNobodyAnswersInsideIsClosed(t *testing.T) {
	inside := listenOnLoopback(t)
	address := inside.Addr().String()
	inside.Close()
	outside := listenOnLoopback(t)
	go func() {
		accepted, err := outside.Accept()
		if err != nil {
			return
		}
		carry(accepted.(*net.TCPConn), address)
	}()
	connection, err := net.Dial("tcp4", outside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if read, err := io.ReadAll(connection); err != nil || len(read) != 0 {
		t.Fatalf("read %q, %v", read, err)
	}
}
