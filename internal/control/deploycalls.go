package control

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"crow/internal/release"
)

// The client's calls about deploys, and about what of them is on the hosts.

// CreateDeploy orders a release to the hosts that the selector matches.
func (c *Client) CreateDeploy(ctx context.Context, req CreateDeploy) (DeployStatus, error) {
	var s DeployStatus
	return s, c.create(ctx, PathDeploys, req, &s)
}

// Keyed returns the deploy that was asked for with the request's idempotency key before.
// None is CodeNotFound; a key of another request is CodeRefused.
func (c *Client) Keyed(ctx context.Context, req CreateDeploy) (DeployStatus, error) {
	var s DeployStatus
	return s, c.create(ctx, PathKeyed, req, &s)
}

// Status returns a deploy by its id, or an app's newest. With wait it returns
// once the deploy's revision is above after, or the time has passed.
func (c *Client) Status(ctx context.Context, idOrApp string, after uint64, wait time.Duration) (DeployStatus, error) {
	var s DeployStatus
	q := pollQuery(after, wait)
	path := strings.Replace(PathDeploy, "{id}", url.PathEscape(idOrApp), 1)
	return s, c.poll(ctx, path+"?"+q.Encode(), wait, &s)
}

// Steer changes the course of a deploy, which is named by its id, or by an app
// for its newest.
func (c *Client) Steer(ctx context.Context, idOrApp string, req Steer) (DeployStatus, error) {
	var s DeployStatus
	return s, c.create(ctx, strings.Replace(PathSteer, "{id}", url.PathEscape(idOrApp), 1), req, &s)
}

// Plan returns what a deploy would do, and changes nothing.
func (c *Client) Plan(ctx context.Context, req PlanDeploy) (DeployPlan, error) {
	var p DeployPlan
	return p, c.create(ctx, PathPlan, req, &p)
}

// App returns who runs what of an app.
func (c *Client) App(ctx context.Context, app string) (AppStatus, error) {
	var s AppStatus
	return s, c.call(ctx, http.MethodGet, strings.Replace(PathApp, "{app}", url.PathEscape(app), 1), nil, &s)
}

// RemoveRelease removes a release that no host runs or should; in a dry run it
// only says what would go.
func (c *Client) RemoveRelease(ctx context.Context, ref release.Ref, dryRun bool) (Removed, error) {
	var r Removed
	path := strings.NewReplacer("{app}", url.PathEscape(ref.App), "{version}", url.PathEscape(ref.Version)).Replace(PathRelease)
	return r, c.call(ctx, http.MethodDelete, path+"?"+url.Values{"dry_run": {strconv.FormatBool(dryRun)}}.Encode(), nil, &r)
}

// Forget removes a host that is gone from the books.
func (c *Client) Forget(ctx context.Context, host string) (Host, error) {
	var h Host
	return h, c.call(ctx, http.MethodPost, strings.Replace(PathForget, "{name}", url.PathEscape(host), 1), nil, &h)
}
