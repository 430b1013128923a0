package seeder

import (
	"context"
	"net/http"

	"crow/internal/release"
	"crow/seeder/build"
)

// paidWriter sends what the upload limit has room for.
type paidWriter struct {
	http.ResponseWriter
	ctx   context.Context
	await func(ctx context.Context, n int) error // until n bytes may be sent
}

// Write implements io.Writer. It is given little at a time: http.ServeContent copies.
func (w paidWriter) Write(b []byte) (int, error) {
	if err := w.await(w.ctx, len(b)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(b)
}

// serveOrigin gives out an artifact over HTTP, whole or in ranges.
func (a *api) serveOrigin(w http.ResponseWriter, r *http.Request) {
	d, err := release.ParseDigest(r.PathValue("digest"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	f, err := a.dir.OpenBlob(d)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		a.fail(w, r, err)
		return
	}
	// An artifact never changes under its digest, which so is the best tag for
	// a range of it.
	w.Header().Set("ETag", `"`+d.String()+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(paidWriter{w, r.Context(), a.await}, r, "", fi.ModTime(), f)
}

// serveTorrent gives out the torrent of an artifact, with the announce URLs as
// they are now. Hosts are told of these by their orders; other clients are not.
func (a *api) serveTorrent(w http.ResponseWriter, r *http.Request) {
	d, err := release.ParseDigest(r.PathValue("digest"))
	if err != nil {
		a.fail(w, r, err)
		return
	}
	b, err := a.dir.GetDoc(kindTorrent, d.String())
	if err == nil {
		b, err = build.WithTrackers(b, a.trackers)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-bittorrent")
	_, _ = w.Write(b) // a client that hung up asks again
}
