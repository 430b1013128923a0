package tracker

// failure is why a request was refused, as the client gets to read it. Each is
// a constant, so that nothing which came from outside is sent back.
type failure string

// The failures.
const (
	failLongQuery    failure = "query is too long"
	failQuery        failure = "query is not url-encoded"
	failLongValue    failure = "a value in the query is too long"
	failInfoHash     failure = "info_hash: want 20 bytes"
	failManyHashes   failure = "info_hash: too many in one scrape"
	failNoHash       failure = "info_hash: a scrape must name its torrents"
	failPeerID       failure = "peer_id: want 20 bytes"
	failPort         failure = "port: want 1 to 65535"
	failLeft         failure = "left: want a number of bytes"
	failNumWant      failure = "numwant: want a number"
	failEvent        failure = "event: want started, completed or stopped"
	failIP           failure = "ip: want an ip address that hosts can reach"
	failRole         failure = "certificate: only peers and seeders announce"
	failForeignIP    failure = "ip: not an address of the certificate"
	failUnregistered failure = "torrent is not registered with this tracker"
	failFull         failure = "tracker is full"
	failInternal     failure = "internal error"
)

// Error implements error.
func (f failure) Error() string { return string(f) }
