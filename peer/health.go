package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/peer/hook"
)

// errTimeOver ends a check that still runs when its app's check_timeout is over.
var errTimeOver = errors.New("its time is over")

// runHook runs the app's hook, and then its check. When the agent ends first,
// they are ended too, and both run again in the next life.
func (j *job) runHook(life context.Context) error {
	if len(j.app.Hook) == 0 && len(j.app.Check) == 0 {
		return nil
	}
	facts := j.facts()
	if err := facts.Validate(); err != nil {
		return at(stepHook, err)
	}
	if err := j.lend(&facts); err != nil {
		return at(stepHook, err)
	}
	if err := j.setLive(life, facts); err != nil {
		return j.unlessStopped(life, at(stepHook, err))
	}
	if err := j.untilHealthy(life, facts); err != nil {
		return j.unlessStopped(life, at(stepCheck, err))
	}
	j.takeBack()
	return nil
}

// unlessStopped is the failure of what ran, or errStopped if it was ended with
// the agent: then it runs again, with what it was lent.
func (j *job) unlessStopped(life context.Context, err error) error {
	if life.Err() != nil {
		return errStopped
	}
	j.takeBack()
	return err
}

// command is how the app's programs are run: hook and check alike. They share a
// record, so that neither runs beside one that outlived an earlier agent.
func (j *job) command(argv []string, facts hook.Facts, timeout time.Duration) hook.Command {
	return hook.Command{
		Argv: argv, Dir: facts.ReleaseDir, Env: facts.Env(), Stdin: facts.JSON(), Timeout: timeout,
		Record: j.layout.hook(j.name()), Limits: j.app.Limits, Cgroup: j.cgroup,
	}
}

// setLive runs the hook, if the app has one.
func (j *job) setLive(life context.Context, facts hook.Facts) error {
	if len(j.app.Hook) == 0 {
		return nil
	}
	result, err := hook.Run(life, j.command(j.app.Hook, facts, j.app.HookTimeout))
	if life.Err() != nil {
		return err
	}
	j.report.Hook = &result
	j.tell()
	j.log.Info("hook ended", zap.Int("exit", result.Exit), zap.Float64("took", result.Seconds))
	return err
}

// untilHealthy runs the check, if the app has one, until it exits 0 or its time
// is over: a server needs a while to come up. What the check says last is told.
func (j *job) untilHealthy(life context.Context, facts hook.Facts) error {
	if len(j.app.Check) == 0 {
		return nil
	}
	began, limit, interval := time.Now(), j.app.CheckTimeout, j.app.CheckInterval
	ctx, cancel := context.WithTimeoutCause(life, limit, errTimeOver)
	defer cancel()
	var last error
	for tries := 0; ; tries++ {
		result, err := hook.Run(ctx, j.command(j.app.Check, facts, limit+time.Second)) // ctx ends it before
		switch {
		case life.Err() != nil:
			return err
		case last != nil && errors.Is(err, errTimeOver) && result.Seconds < interval.Seconds():
			return unhealthy(limit, last, tries) // it had no time to say anything
		}
		result.Seconds = time.Since(began).Seconds()
		j.report.Check = &result
		if err == nil {
			j.log.Info("check passed", zap.Int("tries", tries+1), zap.Float64("took", result.Seconds))
			return nil
		}
		if last = err; pause(ctx, interval) != nil {
			return unhealthy(limit, last, tries+1)
		}
	}
}

// unhealthy words the failure of a check.
func unhealthy(limit time.Duration, last error, tries int) error {
	after := fmt.Sprintf("%d tries", tries)
	if tries == 1 {
		after = "1 try"
	}
	return fmt.Errorf("not healthy within %s: %w after %s", limit, last, after)
}

// tails are the outputs that a report carries.
func tails(j *control.JobReport) []**control.HookResult {
	var all []**control.HookResult
	for _, r := range []**control.HookResult{&j.Hook, &j.Check} {
		if *r != nil {
			all = append(all, r)
		}
	}
	return all
}
