// The door is the only way into the cluster's network: a listener on the host's
// loopback whose connections are carried to one address inside.
//
//	door listen PORT_FILE COMMAND...   listen, write the port, become COMMAND
//	door serve ADDRESS                 carry the connections of that listener
//
// A socket belongs to the network namespace it was made in, whoever holds it.
// So `listen` runs on the host's network, COMMAND enters the cluster's, and
// `serve` accepts outside and dials inside without changing namespaces.
// It must never listen on anything but loopback.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// listenerDescriptor is where COMMAND and `serve` find the listener.
	listenerDescriptor = 8
	dialTimeout        = 5 * time.Second
	acceptPause        = 50 * time.Millisecond
)

var errUsage = errors.New("usage: door listen PORT_FILE COMMAND... | door serve ADDRESS")

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "door:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) >= 3 && arguments[0] == "listen":
		return listen(arguments[1], arguments[2:])
	case len(arguments) == 2 && arguments[0] == "serve":
		return serve(arguments[1])
	default:
		return errUsage
	}
}

// listen replaces this process with the command, which inherits the listener.
func listen(portFile string, command []string) error {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := os.WriteFile(portFile, []byte(strconv.Itoa(port)+"\n"), 0o600); err != nil {
		return err
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	// The copy made here is not closed on exec, unlike every other descriptor of Go's.
	if err := syscall.Dup3(int(file.Fd()), listenerDescriptor, 0); err != nil {
		return fmt.Errorf("cannot pass the listener on: %w", err)
	}
	return syscall.Exec(program, command, os.Environ())
}

func serve(address string) error {
	listener, err := net.FileListener(os.NewFile(listenerDescriptor, "listener"))
	if err != nil {
		return err
	}
	for {
		outside, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// Out of descriptors, or a peer that left: neither may end the door.
			fmt.Fprintln(os.Stderr, "door:", err)
			time.Sleep(acceptPause)
			continue
		}
		go carry(outside.(*net.TCPConn), address)
	}
}

// carry moves bytes both ways until both directions have ended.
func carry(outside *net.TCPConn, address string) {
	defer outside.Close()
	connection, err := net.DialTimeout("tcp4", address, dialTimeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "door:", err)
		return
	}
	inside := connection.(*net.TCPConn)
	defer inside.Close()
	var directions sync.WaitGroup
	directions.Go(func() { carryOneWay(inside, outside) })
	directions.Go(func() { carryOneWay(outside, inside) })
	directions.Wait()
}

// carryOneWay passes the end of the stream on as well, however it came about. The
// other direction is left alone: it may still carry what was sent before this end,
// and ends by itself once its own reader or writer sees the peer gone.
func carryOneWay(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		// The writer has failed, so nothing more of this direction can be delivered.
		from.CloseRead()
	}
	to.CloseWrite()
}
