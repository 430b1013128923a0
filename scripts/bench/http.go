package main

import (
	"context"
	"fmt"
)

const httpPort = "8000"

// runHTTP1 is the yardstick: one host alone, by plain HTTP.
func runHTTP1(ctx context.Context, s *stage) (delivery, error) { return runHTTP(ctx, s, []int{1}) }

// runHTTPAll is what is done without a swarm: all hosts ask one server at once.
func runHTTPAll(ctx context.Context, s *stage) (delivery, error) {
	return runHTTP(ctx, s, s.net.all())
}

func runHTTP(ctx context.Context, s *stage, hosts []int) (delivery, error) {
	_, err := s.start(job{name: "server", part: partSeeder, args: []string{s.tools.self, roleFlag, "server", ":" + httpPort, s.file.path}})
	if err != nil {
		return delivery{}, err
	}
	if err := s.awaitPort(ctx, 0, httpPort); err != nil {
		return delivery{}, err
	}
	start, err := s.begin(ctx)
	if err != nil {
		return delivery{}, err
	}
	// Each host gets each byte once, or the file would not be whole.
	d := delivery{sent: int64(len(hosts)) * s.file.size}
	for _, host := range hosts {
		path := s.path(hostName(host) + ".bin")
		url := fmt.Sprintf("http://%s:%s/", address(0), httpPort)
		args := []string{s.tools.self, roleFlag, "client", url, path, s.mark(theFile, host)}
		if _, err := s.start(job{name: hostName(host), host: host, args: args}); err != nil {
			return delivery{}, err
		}
		d.expect(s.file, path)
	}
	times, err := s.awaitMarks(ctx, s.marks(hosts))
	d.seconds = secondsSince(start, times)
	return d, err
}
