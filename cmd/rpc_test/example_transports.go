package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"time"

	"github.com/tianxia-mmo/tianxia/cmd/rpc_test/rpctest"
	"github.com/tianxia-mmo/tianxia/pkg/rpc"
	pb "github.com/tianxia-mmo/tianxia/proto_define/rpctest/v1"
)

// overProcess calls another process and looks which transport was taken. Every byte is compared.
func overProcess(scheme, want string) func(context.Context, *stage) (string, error) {
	return func(ctx context.Context, s *stage) (string, error) {
		endpoint := s.path()
		if scheme != "" {
			endpoint = scheme + "://" + endpoint
		}
		server, err := s.process(ctx, "-endpoint="+endpoint)
		if err != nil {
			return "", err
		}
		client, err := s.client(rpc.ClientConfig{Endpoint: endpoint})
		if err != nil {
			return "", err
		}
		return callOver(ctx, client, want, fmt.Sprintf("process %d", server.cmd.Process.Pid))
	}
}

func callOver(ctx context.Context, client *rpc.Client, want, whom string) (string, error) {
	stub := rpctest.NewEchoClient(client)
	for _, size := range []int{0, 64, 64 << 10, 1 << 20} {
		payload := randomPayload(size, 1)
		resp, err := stub.Echo(ctx, &pb.EchoRequest{Payload: payload, Sum: sumOf(payload)})
		if err != nil {
			return "", fmt.Errorf("%d bytes: %w", size, err)
		}
		if !bytes.Equal(resp.Payload, payload) {
			return "", fmt.Errorf("%d bytes came back changed", size)
		}
	}
	who, err := stub.Who(ctx, &pb.WhoRequest{})
	if err != nil {
		return "", err
	}
	if got := transportOf(client); got != want || who.Transport != want {
		return "", fmt.Errorf("the client says %s, the server %s, it should be %s: %v", got, who.Transport, want, client.Stats().Instances)
	}
	return fmt.Sprintf("0 B to 1 MiB there and back over %s, %s", want, whom), nil
}

// overHere calls a server in this process.
func overHere(scheme string) func(context.Context, *stage) (string, error) {
	return func(ctx context.Context, s *stage) (string, error) {
		var server rpc.ServerConfig
		var client rpc.ClientConfig
		switch scheme {
		case "tcp":
			server.Endpoints = []string{"tcp://127.0.0.1:0"}
		case "tls":
			certificate, roots, err := selfSigned()
			if err != nil {
				return "", err
			}
			server.Endpoints = []string{"tls://127.0.0.1:0"}
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			client.TLS = &tls.Config{RootCAs: roots, ServerName: "localhost"}
		}
		a, c, _, err := s.pair(ctx, server, client)
		if err != nil {
			return "", err
		}
		return callOver(ctx, c, scheme, a.endpoint)
	}
}

// selfSigned is a certificate for this machine, for a day.
func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}

func transportFeatures() []feature {
	return []feature{
		{"transport: shared memory", true, overProcess("shm", "shm")},
		{"transport: Unix socket", false, overProcess("uds", "uds")},
		{"transport: TCP", false, overHere("tcp")},
		{"transport: TLS", false, overHere("tls")},
		{"transport: within the process", false, overHere("inproc")},
		{"a path picks shared memory by itself", true, overProcess("", "shm")},
		{"a fallback is visible", true, func(ctx context.Context, s *stage) (string, error) {
			path := s.path()
			_, err := s.serve(rpc.ServerConfig{Endpoints: []string{"uds://" + path}})
			if err != nil {
				return "", err
			}
			counters := &rpc.Counters{}
			client, err := s.client(rpc.ClientConfig{Endpoint: path, Metrics: counters})
			if err != nil {
				return "", err
			}
			if _, err := callOver(ctx, client, "uds", ""); err != nil {
				return "", err
			}
			refused := client.Stats().Instances[0].Refused
			if len(refused) != 1 || refused[0].Transport != "shm" || refused[0].Err == nil {
				return "", fmt.Errorf("the server has no shared memory, but the client's statistics do not say so: %v", refused)
			}
			for _, n := range counters.Stats().Conns {
				if n.Transport == "shm" && n.Refused == 1 {
					return fmt.Sprintf("uds in use, counted, and why: %v", refused[0].Err), nil
				}
			}
			return "", fmt.Errorf("the metrics do not show the fallback: %v", counters.Stats().Conns)
		}},
	}
}
