package registry

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ParseEndpoint splits and checks an endpoint:
//
//	unix:///run/world.sock   a path without scheme means the same: shared memory if possible, else the socket
//	shm:///run/world.sock    shared memory, or nothing
//	uds:///run/world.sock    the socket, or nothing
//	tcp://10.0.0.7:7000
//	tls://world.example:7000
//	inproc://world           inside this process
//
// address is the path, the host and port, or the name. Paths are absolute, since other processes stand in other folders. Port 0 and an empty host are refused: they can be
// listened on but not called.
func ParseEndpoint(s string) (scheme, address string, err error) {
	wrong := func(why string) (string, string, error) {
		return "", "", fmt.Errorf("endpoint %s: %s", quote(s), why)
	}
	if err := checkText("endpoint", s, MaxEndpoint); err != nil {
		return "", "", err
	}
	scheme, address, ok := strings.Cut(s, "://")
	if !ok {
		scheme, address = "unix", s
	}
	switch scheme {
	case "unix", "shm", "uds":
		if !absolute(address) {
			return wrong("the path is not absolute: other processes stand in other folders; write unix:///folder/name.sock")
		}
	case "tcp", "tls":
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return wrong("want host:port behind " + scheme + "://, with an IPv6 address in brackets")
		}
		if host == "" {
			return wrong("no host in front of the port: name the address that others reach this machine by")
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return wrong("the port is no number from 1 to 65535: register the address that the listener got")
		}
	case "inproc":
		if address == "" {
			return wrong("no name behind inproc://")
		}
	default:
		return wrong("the scheme " + quote(scheme) + " is unknown: use unix, shm, uds, tcp, tls or inproc")
	}
	return scheme, address, nil
}

// absolute judges paths of every system alike, so that an instance is valid everywhere or nowhere.
func absolute(path string) bool {
	if strings.HasPrefix(path, "/") {
		return len(path) > 1
	}
	return len(path) > 3 && path[1] == ':' && (path[2] == '\\' || path[2] == '/') && (path[0]|0x20 >= 'a' && path[0]|0x20 <= 'z')
}
