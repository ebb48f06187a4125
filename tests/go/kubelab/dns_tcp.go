package main

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"time"
)

// How long a client may be silent on a connection.
const idle = 10 * time.Second

func (n *names) serveStreams(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go n.serveStream(connection)
	}
}

// serveStream answers requests with their length before them (RFC 1035, 4.2.2) until the client goes.
func (n *names) serveStream(connection net.Conn) {
	defer connection.Close()
	for {
		_ = connection.SetDeadline(time.Now().Add(idle))
		var length uint16
		if binary.Read(connection, binary.BigEndian, &length) != nil {
			return
		}
		request := make([]byte, length)
		if _, err := io.ReadFull(connection, request); err != nil {
			return
		}
		answer := n.answer(request, math.MaxUint16)
		if answer == nil {
			return
		}
		framed := binary.BigEndian.AppendUint16(nil, uint16(len(answer)))
		if _, err := connection.Write(append(framed, answer...)); err != nil {
			return
		}
	}
}
