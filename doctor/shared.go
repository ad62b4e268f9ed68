package doctor

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// shared names the parts that run on one machine, as their addresses tell: two
// names of one machine, or two machines behind one, are not found out.
func shared(cfg Config) []string {
	hosts := map[string][]string{
		partRedis: hostsOf(cfg.RedisURL), partNATS: hostsOf(cfg.NATSURL), partPostgres: postgresHosts(cfg.DatabaseURL),
	}
	var best []string
	for _, candidates := range hosts {
		for _, host := range candidates {
			if on := partsOn(host, hosts); len(on) > len(best) {
				best = on
			}
		}
	}
	if len(best) < 2 {
		return nil
	}
	return best
}

func partsOn(host string, hosts map[string][]string) (parts []string) {
	for _, part := range []string{partRedis, partNATS, partPostgres} {
		if slices.Contains(hosts[part], host) {
			parts = append(parts, part)
		}
	}
	return parts
}

// hostsOf reads the hosts of a comma list of URLs or addresses.
func hostsOf(list string) (hosts []string) {
	for item := range strings.SplitSeq(list, ",") {
		item = strings.TrimSpace(item)
		if !strings.Contains(item, "://") {
			item = "any://" + item
		}
		u, err := url.Parse(item)
		if err != nil {
			continue // whoever connects will say so
		}
		hosts = append(hosts, machine(u.Hostname()))
		for _, addr := range u.Query()["addr"] { // further nodes of a cluster
			if host, _, err := net.SplitHostPort(addr); err == nil {
				hosts = append(hosts, machine(host))
			}
		}
	}
	return hosts
}

func postgresHosts(url string) []string {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil
	}
	hosts := []string{machine(config.Host)}
	for _, f := range config.Fallbacks {
		hosts = append(hosts, machine(f.Host))
	}
	return hosts
}

// machine is one name for all that mean this one.
func machine(host string) string {
	host = strings.ToLower(host)
	ip := net.ParseIP(host)
	if host == "" || host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback() {
		return "localhost"
	}
	return host
}
