package stack

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATSConfig says where a NATS server runs. Fields that are set override the
// file.
type NATSConfig struct {
	// ConfigFile is a nats-server configuration.
	//
	// Defaults to what nats.conf at the top of this repository has for limits.
	ConfigFile string

	// Host is where it listens.
	//
	// Defaults to the file's, else 127.0.0.1.
	Host string

	// Port is where it listens. -1 is a free one.
	//
	// Defaults to the file's, else a free one.
	Port int

	// StoreDir holds the streams and the log. It is the server's own.
	//
	// Defaults to the file's; without a file it has to be given.
	StoreDir string

	// Peers makes the server one of a cluster.
	//
	// Defaults to the file's, else the server is alone.
	Peers NATSPeers
}

// NATSPeers are the servers of a cluster, as one of them sees it.
type NATSPeers struct {
	// Name is the server's own, which no other has. "" for none.
	Name string
	// Addr is where it listens for the others.
	Addr string
	// All are the addresses where this one finds the others; its own may be among them.
	All []string
	// Advertise is where the others tell each other to find this one, who do not have it
	// in All. Where they go by proxies that is nowhere, or they would go past them.
	//
	// Defaults to Addr.
	Advertise string
}

// A NATS is a NATS server with JetStream inside this process. What it
// acknowledged is written, and synced once a second: a crash of the process
// loses nothing, and a power cut takes the last second.
type NATS struct {
	config NATSConfig
	server *server.Server
	home   *natsHome
	stop   sync.Once
	done   chan struct{}
}

// StartNATS starts a server and returns when clients can connect.
func StartNATS(ctx context.Context, cfg NATSConfig) (*NATS, error) {
	n, err := retryStart(ctx, func() (*NATS, error) { return startNATS(ctx, cfg) })
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	return n, nil
}

func startNATS(ctx context.Context, cfg NATSConfig) (*NATS, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	home, err := openNATSHome(opts.StoreDir)
	if err != nil {
		return nil, err
	}
	if err := refuseTaken(opts.Host, opts.Port); err != nil {
		home.close()
		return nil, err
	}
	opts.StoreDir = home.dir
	cfg.Host, cfg.StoreDir = opts.Host, home.dir
	s, err := server.NewServer(opts)
	if err != nil {
		home.close()
		return nil, err
	}
	s.SetLoggerV2(home.log, opts.Debug, opts.Trace, opts.TraceVerbose)
	s.Start() // comes back once the streams are recovered
	n := &NATS{config: cfg, server: s, home: home, done: make(chan struct{})}
	if err := n.await(ctx); err != nil {
		n.shutdown()
		return nil, fmt.Errorf("%w; see %s", err, home.log.file.Name())
	}
	n.config.Port = s.Addr().(*net.TCPAddr).Port
	return n, nil
}

func (cfg NATSConfig) options() (*server.Options, error) {
	opts := &server.Options{
		ServerName:         "savepoint",
		MaxPayload:         1 << 20,
		SyncInterval:       time.Second,
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  32 << 30,
	}
	if cfg.ConfigFile != "" {
		var err error
		if opts, err = server.ProcessConfigFile(cfg.ConfigFile); err != nil {
			return nil, err
		}
	}
	opts.NoSigs = true // signals belong to the program
	opts.JetStream = true
	opts.Host = cmp.Or(cfg.Host, opts.Host, "127.0.0.1")
	opts.Port = cmp.Or(cfg.Port, opts.Port, server.RANDOM_PORT)
	opts.StoreDir = cmp.Or(cfg.StoreDir, opts.StoreDir)
	return opts, cfg.Peers.join(opts)
}

// join makes a server of opts one of the cluster. Clients are not told of the other
// servers: they know those that they were given, which may be behind proxies.
func (p NATSPeers) join(opts *server.Options) error {
	if p.Name == "" {
		return nil
	}
	host, text, err := net.SplitHostPort(p.Addr)
	if err != nil {
		return fmt.Errorf("address for the peers: %w", err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("address for the peers: %w", err)
	}
	opts.ServerName = p.Name
	opts.Cluster = server.ClusterOpts{Name: "savepoint", Host: host, Port: port, NoAdvertise: true, Advertise: p.Advertise}
	for _, addr := range p.All {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: addr})
	}
	return nil
}

func (n *NATS) await(ctx context.Context) error {
	for !n.server.ReadyForConnections(pollEvery) {
		if err := n.home.log.fatal(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// Config is what StartNATS needs to start this server again, on the same port.
func (n *NATS) Config() NATSConfig { return n.config }

// Port is the TCP port.
func (n *NATS) Port() int { return n.config.Port }

// URL is the address for clients on this machine.
func (n *NATS) URL() string {
	host := n.config.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "nats://" + net.JoinHostPort(host, strconv.Itoa(n.config.Port))
}

// Done is closed when Stop has ended the server.
func (n *NATS) Done() <-chan struct{} { return n.done }

// Stop ends the server and returns when its files are closed, or, with an
// error, when ctx is done; the server then goes on ending. Stopping twice is no
// error.
func (n *NATS) Stop(ctx context.Context) error {
	n.stop.Do(func() { go n.shutdown() })
	select {
	case <-n.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop NATS: %w", context.Cause(ctx))
	}
}

func (n *NATS) shutdown() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
	n.home.close()
	close(n.done)
}
