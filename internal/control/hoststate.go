package control

// HostState is how reachable a host is.
type HostState string

// The states. HostFailed is a host that fell silent, HostLeft one that said
// goodbye.
const (
	HostAlive  HostState = "alive"
	HostFailed HostState = "failed"
	HostLeft   HostState = "left"
)
